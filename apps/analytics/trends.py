"""Fraud and actions by hour or day."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from apps.analytics.added_up import added_up
from apps.analytics.asked import Asked
from apps.analytics.replica import reading_in
from apps.scoring.folds import OUTCOME_DAYS
from apps.times import rfc3339

ACTIONS = ("approve", "review", "challenge", "block")
STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
Interval = Literal["hour", "day"]
#: Seconds since 1970: a moment takes the driver twenty times as long.
_HOURS = """
SELECT extract(epoch FROM hour)::bigint, recommended_action, sum(decisions)::bigint, sum(fraud)::bigint
FROM scoring_outcomehour WHERE livemode = %s AND hour >= %s AND hour < %s AND (%s = '' OR schema = %s)
GROUP BY hour, recommended_action
"""
Rate = Annotated[float | None, Meta(description="Of the decisions; null where there were none.")]


class Actions(msgspec.Struct):
    """Decisions by what was recommended."""

    approve: int = 0
    review: int = 0
    challenge: int = 0
    block: int = 0


class TrendPoint(msgspec.Struct):
    """An hour or a day. `fraud`: decisions at level high or critical."""

    start: Annotated[str, Meta(description="RFC 3339, UTC.")]
    decisions: int
    fraud: int
    fraud_rate: Rate
    actions: Actions


class Trends(msgspec.Struct, frozen=True, kw_only=True):
    """Points without a gap, the oldest first; the last one is under way."""

    object: Literal["trends"] = "trends"
    livemode: bool
    schema: str | None
    start: str
    end: str
    interval: Interval
    decisions: int
    fraud: int
    fraud_rate: Rate
    actions: Actions
    data: list[TrendPoint]


def trends(asked: Asked, interval: Interval, now: datetime) -> Trends:
    """Decisions of each hour or day that has begun."""
    points: dict[datetime, TrendPoint] = {}
    moment, step = asked.begin, STEPS[interval]
    while moment < min(asked.until, now):
        points[moment] = _point(moment)
        moment += step
    whole = Actions()
    for at, action, decisions, fraud in _rows(asked, interval):
        point = points.get(at) or points.setdefault(at, _point(at))
        point.decisions += decisions
        point.fraud += fraud
        for actions in (point.actions, whole):
            setattr(actions, action, getattr(actions, action) + decisions)
    data = [points[at] for at in sorted(points)]
    for point in data:
        point.fraud_rate = rate(point.fraud, point.decisions)
    decisions, fraud = sum(point.decisions for point in data), sum(point.fraud for point in data)
    return Trends(
        livemode=asked.livemode, schema=asked.schema or None, start=str(asked.start), end=str(asked.end),
        interval=interval, decisions=decisions, fraud=fraud, fraud_rate=rate(fraud, decisions), actions=whole,
        data=data,
    )  # fmt: skip


def _point(start: datetime) -> TrendPoint:
    return TrendPoint(rfc3339(start), 0, 0, None, Actions())


def by_day(asked: Asked) -> list[tuple[date, str, int, int]]:
    """(day, action, decisions, of them risky) of the span's days on which anything was decided."""
    return added_up(asked, OUTCOME_DAYS, ("day", "recommended_action"))


def _rows(asked: Asked, interval: Interval) -> list[tuple[datetime, str, int, int]]:
    if interval == "day":
        return [
            (datetime.combine(day, time.min, UTC), action, decisions, fraud)
            for day, action, decisions, fraud in by_day(asked)
        ]
    with reading_in(asked.tenant_schema) as connection, connection.cursor() as cursor:
        cursor.execute(_HOURS, [asked.livemode, asked.begin, asked.until, asked.schema, asked.schema])
        return [(datetime.fromtimestamp(seconds, UTC), *counted) for seconds, *counted in cursor.fetchall()]


def rate(part: float, whole: float) -> float | None:
    """A share, rounded to what anybody reads; None of nothing."""
    return round(part / whole, 6) if whole else None
