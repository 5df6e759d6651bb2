"""The door of `/v1/data-quality`: what the checks of transactions' data found, by day."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api.endpoint import ApiView, json_answer
from apps.api.operation import Answer, Operation, operation, parameter
from apps.api.parameters import Query, day_in, one_of, query_of
from apps.errors import Problem, read_all
from apps.ingest import quality_days
from apps.ingest.quality import CHECKS
from apps.ingest.quality_days import MOST_DAYS
from apps.scoring.engine.schemas import SCHEMAS

Day = Annotated[str, Meta(extra_json_schema={"format": "date"})]


class CheckResult(msgspec.Struct, frozen=True):
    """What a check found at a field on a day."""

    check: Annotated[str, Meta(description=f"One of {', '.join(CHECKS)}.")]
    field: Annotated[str, Meta(description='The field; "" for the whole transaction.')]
    transactions: int
    share: Annotated[float, Meta(description="Of the day's transactions.")]
    share_before: Annotated[
        float | None, Meta(description="The same of the 7 days before; null when nothing came then.")
    ]


class QualityDay(msgspec.Struct, frozen=True):
    """A day's transactions of one schema."""

    day: Day
    schema: str
    transactions: Annotated[int, Meta(description="Sent to be stored, refused ones included.")]
    refused: int
    checks: Annotated[list[CheckResult], Meta(description="Of the day and of the 7 before, the largest share first.")]


class DataQualityDays(msgspec.Struct, frozen=True):
    """Days on which transactions were sent to be stored, the newest first. `end` is not included."""

    object: Literal["list"]
    start: Day
    end: Day
    data: list[QualityDay]


class DataQualityView(ApiView):
    """GET: by day, `?start=YYYY-MM-DD&end=YYYY-MM-DD&schema=…` (end not included; default: the last 7 days)."""

    endpoint = "data_quality"

    def get(self, request: HttpRequest) -> HttpResponse:
        (start, end), schema = self.understood(request, lambda request: self._asked(query_of(request.META)))
        admission = self.admit_only(request)
        found = quality_days.days(admission.tenant_schema, self.key.livemode, start, end, schema)
        return json_answer(DataQualityDays("list", start.isoformat(), end.isoformat(), [_day(one) for one in found]))

    def _asked(self, query: Query) -> tuple[tuple[date, date], str | None]:
        span, schema = read_all(lambda: self._span(query), lambda: one_of(query, "schema", tuple(SCHEMAS)))
        return span, schema

    def _span(self, query: Query) -> tuple[date, date]:
        end = day_in(query, "end", self.now.date() + timedelta(days=1))
        start = day_in(query, "start", max(end, date.min + timedelta(days=7)) - timedelta(days=7))
        if not start < end or (end - start).days > MOST_DAYS or start < date(1970, 1, 1):
            raise Problem("field_invalid", f"'start' must be before 'end', by at most {MOST_DAYS} days.", "start")
        return start, end


def _day(one: quality_days.Day) -> QualityDay:
    checks = [
        CheckResult(found.check, found.field, found.transactions, round(found.share, 6), _rounded(found.share_before))
        for found in one.checks
    ]
    return QualityDay(one.day.isoformat(), one.schema, one.transactions, one.refused, checks)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


TAG = "Transactions"
_DAY = {"type": "string", "format": "date"}
_WORDS = "\n".join(f"* `{name}`: {words}" for name, words in CHECKS.items())
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "GET",
        "/v1/data-quality",
        "listDataQuality",
        "Data quality by day",
        "Of transactions sent to be stored: what each check found, and its share against the 7 days before.\n\n"
        f"{_WORDS}\n\nAt most {MOST_DAYS} days.",
        Answer(DataQualityDays, "A row a day and schema, the newest first."),
        parameters=(
            parameter("start", "query", "First day (default: 7 days before `end`).", _DAY),
            parameter("end", "query", "The day after the last (default: tomorrow).", _DAY),
            parameter("schema", "query", "Only this kind of transaction.", {"enum": list(SCHEMAS)}),
        ),
        problems=("field_invalid",),
    ),
)
