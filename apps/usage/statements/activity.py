"""How fast a tenant was answered, over time, and what its keys were used for: read from the roll-ups.

That of answer times has quarters of an octave, so that a percentile is right to within a tenth.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import Case, DateTimeField, F, Func, Sum, Value, When

from apps.periods import Period
from apps.usage.models import LatencyHour, UsageHour

#: Step of the roll-up → decisions.
Steps = Counter[int]


def answer_times(
    tenant_id: int, livemode: bool, start: datetime, since: datetime, end: datetime, step: timedelta
) -> dict[datetime, Steps]:
    """The answer times of each step in [since, end) with any; those of [start, since) together, as of `start`."""
    hours = LatencyHour.objects.filter(tenant_id=tenant_id, livemode=livemode, hour__gte=start, hour__lt=end)
    stepped = Func(Value(step), F("hour"), Value(since), function="date_bin", output_field=DateTimeField())
    moment = Case(When(hour__lt=since, then=Value(start, DateTimeField())), default=stepped)
    rows = hours.values_list(moment, "step").annotate(Sum("decisions"))
    found: dict[datetime, Steps] = {}
    for at, quarter, decisions in rows.order_by():
        found.setdefault(at, Counter())[quarter] += decisions
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
