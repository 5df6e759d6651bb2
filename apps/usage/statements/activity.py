"""How fast a tenant was answered, over time, and what its keys were used for: read from the roll-ups.

That of answer times has quarters of an octave, so that a percentile is right to within a tenth.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from django.db.models import Sum
from django.db.models.functions import TruncDay, TruncHour

from apps.periods import Period
from apps.usage.models import LatencyHour, UsageHour

#: Step of the roll-up → decisions.
Steps = Counter[int]
TRUNCATED = {"hour": TruncHour, "day": TruncDay}


def answer_times(
    tenant_id: int, livemode: bool, start: datetime, end: datetime, by: Literal["hour", "day"]
) -> dict[datetime, Steps]:
    """The answer times of each hour or day (UTC) in [start, end) with any."""
    hours = LatencyHour.objects.filter(tenant_id=tenant_id, livemode=livemode, hour__gte=start, hour__lt=end)
    rows = hours.values_list(TRUNCATED[by]("hour", tzinfo=UTC), "step").annotate(Sum("decisions"))
    found: dict[datetime, Steps] = {}
    for moment, step, decisions in rows.order_by():
        found.setdefault(moment, Counter())[step] += decisions
    return found


def decisions_by_key(tenant_id: int, period: Period, *, livemode: bool) -> dict[int, int]:
    """Decisions of a month that each key asked for; keys that asked for none are not there."""
    hours = UsageHour.objects.filter(
        tenant_id=tenant_id, livemode=livemode, hour__gte=period.start, hour__lt=period.end
    )
    return dict(hours.values_list("key_id").annotate(Sum("decisions")).order_by())


def percentile_ms(steps: Mapping[int, int], share: float) -> float | None:
    """The time within which that share was answered, in ms: the middle of its step; None of nothing."""
    rest = share * sum(steps.values())
    for step in sorted(steps):
        rest -= steps[step]
        if rest <= 0:
            return float(2 ** ((step + 0.5) / 4) / 1_000)
    return None
