"""A tenant's statement of a month: what was measured, what counts against us, the credit. Pure.

It holds all it was computed from, so that anybody can compute it again: `recomputed`. Times are UTC, to the second.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from apps.periods import Month
from apps.sla.credits import STEPS, TARGET, credit_amount, credit_percent, percent_of
from apps.sla.intervals import Interval, Seconds, moment_of, second_of
from apps.sla.measure import MINUTE, Evidence, Measured, Requests, measure, runs

Second = Annotated[str, Meta(description="UTC, to the second.", extra_json_schema={"format": "date-time"})]


class Span(msgspec.Struct, frozen=True):
    """From `start` up to, and without, `end`."""

    start: Second
    end: Second


class Run(msgspec.Struct, frozen=True):
    """Minutes one after the other with requests, none of which failed."""

    start: Second
    minutes: int


class FailedMinute(msgspec.Struct, frozen=True):
    """A minute in which requests failed with a 5xx."""

    start: Second
    answered: int
    failed: int


class IncidentSpan(msgspec.Struct, frozen=True):
    """An incident of a part whose incidents count."""

    id: str
    part: str
    start: Second
    end: Second


class Facts(msgspec.Struct, frozen=True):
    """What it is computed from."""

    promised: Annotated[list[Span], Meta(description="When the plan in force promised the availability.")]
    answered: Annotated[list[Run], Meta(description="Minutes with requests for decisions, none failed.")]
    failed: list[FailedMinute]
    probed: Annotated[list[Span], Meta(description="When the service was probed, every 30 seconds.")]
    incidents: list[IncidentSpan]
    maintenance: Annotated[list[Span], Meta(description="Announced windows, from their announcement on.")]


class Against(msgspec.Struct, frozen=True):
    """Seconds counted against us: more than 5 % of a minute's requests failed, or there were none in an incident."""

    start: Second
    end: Second
    seconds: int
    because: Literal["requests", "incident"]


class Result(msgspec.Struct, frozen=True):
    """What it comes to."""

    availability_percent: Annotated[
        str | None, Meta(description="Rounded down; compared exactly. null: nothing was counted.")
    ]
    up_seconds: int
    down_seconds: int
    excluded_seconds: Annotated[int, Meta(description="In maintenance windows.")]
    unknown_seconds: Annotated[int, Meta(description="Neither requests nor probes: neither up nor down.")]
    against: list[Against]
    credit_percent: int
    credit: Annotated[str, Meta(description="A decimal number: so many percent of `fee`.")]


class Statement(msgspec.Struct, frozen=True):
    """The month's statement."""

    object: Literal["sla_statement"]
    tenant: str
    month: Month
    target_percent: str
    currency: str
    fee: Annotated[str, Meta(description="The month's fee for the time the availability was promised in.")]
    facts: Facts
    result: Result


def statement(
    *, tenant: str, month: str, currency: str, fee: Decimal, evidence: Evidence, incidents: Iterable[IncidentSpan]
) -> Statement:
    """The statement of a month."""
    facts = Facts(
        promised=_spans(evidence.spans),
        answered=list(_runs(evidence.requests)),
        failed=list(_failed(evidence.requests)),
        probed=_spans(evidence.probed),
        incidents=list(incidents),
        maintenance=_spans(evidence.maintenance),
    )
    result = _result(measure(evidence), fee, currency)
    return Statement("sla_statement", tenant, month, str(percent_of(TARGET)), currency, str(fee), facts, result)


def recomputed(given: Statement) -> Result:
    """What the statement's own facts come to. Raises `ValueError` for facts that are none."""
    return _result(measure(evidence_of(given.facts)), Decimal(given.fee), given.currency)


def evidence_of(facts: Facts) -> Evidence:
    """The facts as `measure` takes them. Raises `ValueError`."""
    requests = {minute: (1, 0) for run in facts.answered for minute in _minutes(run)}
    requests |= {_second(one.start) // MINUTE: (one.answered, one.failed) for one in facts.failed}
    return Evidence(
        spans=_intervals(facts.promised),
        requests=Requests.of(requests),
        probed=_intervals(facts.probed),
        incidents=_intervals(facts.incidents),
        maintenance=_intervals(facts.maintenance),
    )


def _result(measured: Measured, fee: Decimal, currency: str) -> Result:
    percent = credit_percent(measured.availability)
    return Result(
        availability_percent=percent_of(measured.availability),
        up_seconds=measured.up_seconds,
        down_seconds=measured.down_seconds,
        excluded_seconds=measured.excluded_seconds,
        unknown_seconds=measured.unknown_seconds,
        against=sorted(
            [*_against(measured.down_by_requests, "requests"), *_against(measured.down_by_probes, "incident")],
            key=lambda one: one.start,
        ),
        credit_percent=percent,
        credit=str(credit_amount(fee, percent, currency)),
    )


def _against(seconds: Seconds, because: Literal["requests", "incident"]) -> Iterator[Against]:
    for start, end in seconds:
        yield Against(_text(start), _text(end), end - start, because)


def _runs(requests: Requests) -> Iterator[Run]:
    """Minutes without a failure, one after the other."""
    for start, end in runs(requests.minutes[requests.failed == 0]):
        yield Run(_text(start), (end - start) // MINUTE)


def _failed(requests: Requests) -> Iterator[FailedMinute]:
    for place in requests.failed.nonzero()[0]:
        start = _text(int(requests.minutes[place]) * MINUTE)
        yield FailedMinute(start, int(requests.answered[place]), int(requests.failed[place]))


def _minutes(run: Run) -> range:
    first = _second(run.start) // MINUTE
    return range(first, first + run.minutes)


def _spans(intervals: Iterable[Interval]) -> list[Span]:
    return [Span(_text(start), _text(end)) for start, end in intervals]


def _intervals(spans: Iterable[Span | IncidentSpan]) -> tuple[Interval, ...]:
    return tuple((_second(one.start), _second(one.end)) for one in spans)


def _text(second: int) -> str:
    return f"{moment_of(second):%Y-%m-%dT%H:%M:%SZ}"


def _second(text: str) -> int:
    return second_of(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC))


#: The steps of the table, for people: below this percent → percent of the fee.
SHOWN_STEPS = tuple((str(percent_of(below)), percent) for below, percent in STEPS)
