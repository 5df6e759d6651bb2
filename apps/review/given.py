"""Labels as they are given: what one may say, and which of several holds. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Protocol, get_args

import msgspec
from msgspec import Meta

from apps import card_numbers, text, times
from apps.errors import FieldError, Problem, fields_invalid
from apps.field_errors import field_errors

Kind = Literal["fraud", "legitimate"]
Source = Literal["chargeback", "analyst", "customer", "issuer"]
KINDS: tuple[str, ...] = get_args(Kind)
SOURCES: tuple[str, ...] = get_args(Source)
#: Labels of one request.
MOST_LABELS = 1_000
#: Clocks differ: a moment may be so far ahead.
TOLERATED = timedelta(minutes=15)
MOST_LOST = 1e12

_Id = Annotated[str, Meta(min_length=1, max_length=128)]
_Time = Annotated[str, Meta(max_length=40, description="RFC 3339.", extra_json_schema={"format": "date-time"})]


class GivenLabel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a transaction. Of `decision_id` and `transaction_id` one is needed; a transaction's label is that
    of the last decision made on it."""

    label: Kind
    source: Annotated[Source, Meta(description="Who says so.")]
    decision_id: Annotated[_Id, Meta(description="The decision.")] | None = None
    transaction_id: Annotated[_Id, Meta(description="Or your transaction.")] | None = None
    occurred_at: Annotated[_Time, Meta(description="When it happened.")] | None = None
    known_at: Annotated[_Time, Meta(description="When you learned of it; now, when left out.")] | None = None
    amount_lost: (
        Annotated[float, Meta(ge=0, le=MOST_LOST, description="What it cost you, in the transaction's currency.")]
        | None
    ) = None


FIELDS = GivenLabel.__struct_fields__


class Learned(Protocol):
    """A label with the moments by which one of several holds."""

    known_at: datetime
    recorded_at: datetime


class Meant(msgspec.Struct, frozen=True):
    """A label that can be kept: its times read, its ids as they are stored. `known_at` None: now."""

    label: str
    source: str
    decision_id: str | None
    transaction_id: str | None
    occurred_at: datetime | None
    known_at: datetime | None
    amount_lost: float | None


def meant(content: Any, now: datetime, at: str = "") -> Meant:
    """A label that stands `at` this place of a request. Raises `Problem` naming all its wrong fields."""
    try:
        given = msgspec.convert(content, GivenLabel)
    except (msgspec.ValidationError, OverflowError) as wrong:
        errors = list(field_errors(content, GivenLabel)) or [FieldError("", "A label is a JSON object.")]
        raise _refusal(errors, at) from wrong
    errors = [*_texts(given), *_named(given)]
    moments: dict[str, datetime | None] = {}
    for name in ("occurred_at", "known_at"):
        try:
            moments[name] = _moment(getattr(given, name), now)
        except ValueError as wrong:
            errors.append(FieldError(name, f"'{name}' must be {wrong}."))
    if errors:
        raise _refusal(errors, at)
    stored = card_numbers.mask_id(given.transaction_id) if given.transaction_id else None
    return Meant(given.label, given.source, given.decision_id, stored, amount_lost=given.amount_lost, **moments)


def latest(labels: Iterable[Learned]) -> Any:
    """Of a decision's labels, in the order of recording, the one that holds: the one learned last."""
    return max(labels, key=lambda label: (label.known_at, label.recorded_at), default=None)


def _texts(given: GivenLabel) -> list[FieldError]:
    said = {name: getattr(given, name) for name in ("decision_id", "transaction_id")}
    return [
        FieldError(name, f"'{name}' {why}.") for name, value in said.items() if value and (why := text.refusal(value))
    ]


def _named(given: GivenLabel) -> list[FieldError]:
    if bool(given.decision_id) == bool(given.transaction_id):
        return [FieldError("decision_id", "Send either 'decision_id' or 'transaction_id'.")]
    return []


def _moment(said: str | None, now: datetime) -> datetime | None:
    """A moment of the past, UTC. Raises `ValueError` in words."""
    if said is None:
        return None
    try:
        found = times.read(said)
        moment = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as wrong:
        raise ValueError("a time such as 2026-01-05T10:00:00Z") from wrong
    if moment > now + TOLERATED:
        raise ValueError("in the past: it can't be known yet")
    return moment


def _refusal(errors: list[FieldError], at: str) -> Problem:
    return fields_invalid([FieldError(".".join(filter(None, (at, one.param))), one.detail) for one in errors])
