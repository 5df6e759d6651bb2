"""The overview: how much was decided, what it costs, what is open."""

from datetime import date, timedelta
from typing import Any

import msgspec
from django.db.models import Sum

from apps.portal.page import Page
from apps.scoring.serving import decisions
from apps.usage.models import UsageDay
from apps.usage.statements import reports

SPANS = {7: "7 days", 30: "30 days", 90: "90 days"}


class DashboardPage(Page):
    """The chosen span beside the one before it."""

    title, template = "Overview", "portal/pages/dashboard.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        value = self.request.GET.get("days", "")
        days = int(value) if value in map(str, SPANS) else 30
        series = self._series(2 * days)
        now, before = sum(series[days:]), sum(series[:days])
        flagged = {"recommended_action__in": ("block", "review", "challenge")}
        worst = decisions.page(self.tenant.schema_name, self.livemode, flagged, None, 6)
        first = self.now.date() - timedelta(days=days - 1)
        return {
            "days": days,
            "spans": SPANS,
            "total": now,
            "change": None if not before else round(100 * (now - before) / before),
            "usage": reports.month(self.tenant.pk, self.now),
            "flagged": [msgspec.json.decode(row.answer) for row in worst.rows],
            "chart": {"first": first.isoformat(), "values": series[days:], "before": series[:days]},
        }

    def _series(self, days: int) -> list[int]:
        """Decisions a day of this mode, the oldest first, today last."""
        first = self.now.date() - timedelta(days=days - 1)
        rows = UsageDay.objects.filter(tenant_id=self.tenant.pk, livemode=self.livemode, day__gte=first)
        counted: dict[date, int] = dict(rows.values_list("day").annotate(Sum("decisions")))
        return [counted.get(first + timedelta(days=n), 0) for n in range(days)]
