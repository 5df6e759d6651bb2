"""The doors of `/v1/usage`."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api.endpoint import ApiView, json_answer
from apps.api.parameters import Query, day_in, query_of
from apps.errors import Problem
from apps.usage.metering.events import moment
from apps.usage.statements import reports

LONGEST_DAYS = 366


class UsageView(ApiView):
    """GET: the month so far."""

    endpoint = "usage"

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        return json_answer(_read(lambda: reports.month(admission.tenant_id, moment(self.received_us))))


class DailyUsageView(ApiView):
    """GET: usage a day, `?start=YYYY-MM-DD&end=YYYY-MM-DD` (end not included; default: the last 30 days)."""

    endpoint = "usage_daily"

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            start, end = self._span(query_of(request.META))
        except Problem as wrong:
            self.refuse(request, wrong)
        admission = self.admit_only(request)
        data = _read(lambda: reports.daily(admission.tenant_id, start, end))
        return json_answer({"object": "list", "start": start.isoformat(), "end": end.isoformat(), "data": data})

    def _span(self, query: Query) -> tuple[date, date]:
        tomorrow = moment(self.received_us).date() + timedelta(days=1)
        end = day_in(query, "end", tomorrow)
        start = day_in(query, "start", end - timedelta(days=30) if end.toordinal() > 30 else date.min)
        if not start < end or (end - start).days > LONGEST_DAYS:
            raise Problem("field_invalid", f"It must be before `end`, by at most {LONGEST_DAYS} days.", "start")
        return start, end


def _read(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except POSTGRES_AWAY as failure:
        raise Problem("stores_away", "Usage is read from Postgres, which is away.", retry_after=2.0) from failure
