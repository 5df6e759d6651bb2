"""The doors of `/v1/usage`."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

import msgspec
from django.http import HttpRequest, HttpResponse

from apps.api.endpoint import ApiView, json_answer
from apps.api.operation import REQUEST_ID, Answer, Operation, parameter
from apps.api.parameters import Query, day_in, query_of
from apps.errors import Problem, read_all
from apps.usage.statements import reports
from apps.usage.statements.reports import Day, Usage, UsageDay

LONGEST_DAYS = 366


class DailyUsage(msgspec.Struct, frozen=True):
    """Usage a day, oldest first; days without any are left out. `end` is not included."""

    object: Literal["list"]
    start: Day
    end: Day
    data: list[UsageDay]


class UsageView(ApiView):
    """GET: the month so far."""

    endpoint = "usage"

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        return json_answer(reports.month(admission.tenant_id, self.now))


class DailyUsageView(ApiView):
    """GET: usage a day, `?start=YYYY-MM-DD&end=YYYY-MM-DD` (end not included; default: the last 30 days)."""

    endpoint = "usage_daily"

    def get(self, request: HttpRequest) -> HttpResponse:
        start, end = self.understood(request, lambda request: self._span(query_of(request.META)))
        admission = self.admit_only(request)
        data = reports.daily(admission.tenant_id, start, end)
        return json_answer(DailyUsage("list", start.isoformat(), end.isoformat(), data))

    def _span(self, query: Query) -> tuple[date, date]:
        tomorrow = self.now.date() + timedelta(days=1)
        end, value = read_all(lambda: day_in(query, "end", tomorrow), lambda: day_in(query, "start", date.min))
        start = value if "start" in query else max(end, date.min + timedelta(days=30)) - timedelta(days=30)
        if not start < end or (end - start).days > LONGEST_DAYS:
            raise Problem("field_invalid", f"'start' must be before 'end', by at most {LONGEST_DAYS} days.", "start")
        return start, end


TAG = "Usage"
_DAY = {"type": "string", "format": "date"}
_SPAN = (
    parameter("start", "query", "First day (default: 30 days before `end`).", _DAY),
    parameter("end", "query", "The day after the last (default: tomorrow).", _DAY),
)

OPERATIONS: Sequence[Operation] = (
    Operation(
        "GET",
        "/v1/usage",
        "getUsage",
        TAG,
        "Usage of this month",
        "Units used against the plan's and what they cost, by endpoint and by key, as recorded (a decision counts here "
        "within a second); what the month will come to; and the plan that would have been cheapest for the last three. "
        "Amounts are before credits and tax. Scope: `read`.",
        Answer(Usage, "The month so far, UTC."),
        scope="read",
        parameters=(REQUEST_ID,),
    ),
    Operation(
        "GET",
        "/v1/usage/daily",
        "listDailyUsage",
        TAG,
        "Usage by day",
        "At most 366 days. Scope: `read`.",
        Answer(DailyUsage, "One row a day with anything on it, oldest first."),
        scope="read",
        parameters=(*_SPAN, REQUEST_ID),
        problems=("field_invalid",),
    ),
)
