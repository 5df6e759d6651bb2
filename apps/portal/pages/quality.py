"""The quality of the data that is sent to be stored: by day, against the seven days before."""

from datetime import date, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.urls import reverse

from apps.ingest import quality_days
from apps.ingest.quality import CHECKS
from apps.ingest.quality_days import CheckDay, Day
from apps.portal.page import Page
from apps.scoring.engine.schemas import SCHEMAS

#: Spans that can be chosen, in days.
SPANS = (7, 30, 90)
#: A share that is so many times the one before is pointed out, from so many transactions on.
WORSE, FEWEST = 2.0, 10
CHECK_WORDS = {name: name.replace("_", " ").capitalize() for name in CHECKS}


class Row(NamedTuple):
    """A check's row as it is drawn."""

    check: str
    about: str
    field: str
    transactions: int
    share: float
    before: float | None
    worse: bool


class ShownDay(NamedTuple):
    """A day as it is drawn, with where its decisions are."""

    day: date
    schema: str
    transactions: int
    refused: int
    rows: list[Row]
    worse: int
    decisions: str


class QualityPage(Page):
    """Days, what the checks found on each, and what became worse."""

    title, template = "Data quality", "portal/pages/quality.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        span = next((days for days in SPANS if str(days) == self.request.GET.get("days")), SPANS[0])
        schema = self.request.GET.get("schema", "")
        end = self.now.date() + timedelta(days=1)
        start, kind = end - timedelta(days=span), schema if schema in SCHEMAS else None
        found = quality_days.days(self.tenant.schema_name, self.livemode, start, end, kind)
        return {
            "days": [_shown(day) for day in found],
            "spans": SPANS,
            "span": span,
            "schemas": tuple(SCHEMAS),
            "schema": schema,
            "checks": [(CHECK_WORDS[name], about) for name, about in CHECKS.items()],
        }


def _shown(day: Day) -> ShownDay:
    rows = [_row(check) for check in day.checks]
    query = urlencode({"schema": day.schema, "from": day.day, "to": day.day})
    return ShownDay(
        day.day, day.schema, day.transactions, day.refused, rows, sum(row.worse for row in rows),
        f"{reverse('decisions')}?{query}",
    )  # fmt: skip


def _row(check: CheckDay) -> Row:
    return Row(
        CHECK_WORDS[check.check],
        CHECKS[check.check],
        check.field,
        check.transactions,
        100 * check.share,
        None if check.share_before is None else 100 * check.share_before,
        is_worse(check),
    )


def is_worse(check: CheckDay) -> bool:
    """Whether a share is well above that of the days before."""
    before = check.share_before
    return before is not None and check.transactions >= FEWEST and check.share >= WORSE * before
