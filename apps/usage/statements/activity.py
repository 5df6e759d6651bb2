"""How fast a tenant was answered, over time, and what its keys were used for: read from the roll-ups.

That of answer times has quarters of an octave, so that a percentile is right to within a tenth.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import Case, Sum, When

from apps.periods import Period
from apps.steps import step_of, whole_sum
from apps.usage.models import LatencyHour, UsageHour

#: Step of the roll-up → decisions.
Steps = Counter[int]


def answer_times(
    tenant_id: int, livemode: bool, start: datetime, since: datetime, end: datetime, step: timedelta
) -> dict[datetime, Steps]:
    """The answer times of each step in [since, end) with any; those of [start, since) together, as of `start`."""
    hours = LatencyHour.objects.filter(tenant_id=tenant_id, livemode=livemode, hour__gte=start, hour__lt=end)
    place = Case(When(hour__lt=since, then=None), default=step_of("hour", step, since))
    rows = hours.values_list(place, "step").annotate(told=whole_sum("decisions"))
    found: dict[datetime, Steps] = defaultdict(Counter)
    for at, quarter, decisions in rows.order_by():
        found[start if at is None else since + at * step][quarter] += decisions
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
