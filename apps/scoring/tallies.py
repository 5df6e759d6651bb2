"""Decisions added up by hour and outcome, and by day and score: what charts are drawn from, however many there are.

Written in the recorder's transaction, from the rows that were really new: repeating a batch changes nothing.
"""

from datetime import UTC, date, datetime
from typing import Literal, NamedTuple

from django.db.models import Sum
from django.db.models.functions import TruncDay, TruncHour

from apps.accounts.tenancy import in_tenant
from apps.scoring.models import OutcomeHour, ScoreDay

TRUNCATED = {"hour": TruncHour, "day": TruncDay}
#: Behind an INSERT of decisions named `inserted`; `{schema}` is the tenant's.
ADD_UP = """
outcomes AS (
    INSERT INTO {schema}.scoring_outcomehour AS known (livemode, hour, schema, recommended_action, decisions, fraud)
    SELECT livemode, date_trunc('hour', created_at, 'UTC'), schema, recommended_action, count(*),
           count(*) FILTER (WHERE risk_level IN ('high', 'critical'))
    FROM inserted GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (livemode, hour, schema, recommended_action) DO UPDATE
    SET decisions = known.decisions + EXCLUDED.decisions, fraud = known.fraud + EXCLUDED.fraud
), scores AS (
    INSERT INTO {schema}.scoring_scoreday AS known (livemode, day, schema, percent, decisions)
    SELECT livemode, (created_at AT TIME ZONE 'UTC')::date, schema,
           least(floor(100 * fraud_probability), 99), count(*)
    FROM inserted WHERE fraud_probability IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (livemode, day, schema, percent) DO UPDATE SET decisions = known.decisions + EXCLUDED.decisions
)
"""
#: Returned by that INSERT.
ADDED_UP = "livemode, created_at, schema, recommended_action, risk_level, fraud_probability"


class Outcomes(NamedTuple):
    """Decisions of one hour or day with one recommendation."""

    moment: datetime
    action: str
    decisions: int
    fraud: int


def outcomes(
    tenant_schema: str, livemode: bool, start: datetime, end: datetime, by: Literal["hour", "day"] = "hour"
) -> list[Outcomes]:
    """The hours or days (UTC) in [start, end) on which anything was decided, the oldest first."""
    with in_tenant(tenant_schema):
        hours = OutcomeHour.objects.filter(livemode=livemode, hour__gte=start, hour__lt=end)
        moments = hours.annotate(moment=TRUNCATED[by]("hour", tzinfo=UTC)).values_list("moment", "recommended_action")
        rows = moments.annotate(Sum("decisions"), Sum("fraud")).order_by("moment", "recommended_action")
        return list(map(Outcomes._make, rows))


def scores(tenant_schema: str, livemode: bool, start: date, schema: str | None = None) -> list[int]:
    """Decisions since `start` by whole percent of fraud probability: 100 numbers."""
    with in_tenant(tenant_schema):
        days = ScoreDay.objects.filter(livemode=livemode, day__gte=start, **({"schema": schema} if schema else {}))
        counted = dict(days.values_list("percent").annotate(Sum("decisions")))
    return [counted.get(percent, 0) for percent in range(100)]
