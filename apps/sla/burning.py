"""Burn-rate alerts of the whole service: counted with each round of probes, opened and ended by `burn.RULES`."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.db.models import F, Q, Sum
from prometheus_client import Gauge

from apps.sla.burn import DAY, RULES, WINDOWS, BurnRule, Counts, burn_rate, calls
from apps.sla.intervals import moment_of
from apps.sla.measure import MINUTE
from apps.sla.models import BurnAlert, FailedMinute, RoundCount
from apps.sla.oncall import Page
from apps.sla.watching import Look
from apps.usage.metering.events import BATCHES
from apps.usage.models import UsageDay

BURN = Gauge(
    "palisade_burn_rate", "How fast failures use up the SLA's budget", ["window"], multiprocess_mode="livemostrecent"
)
#: Rounds are kept for as long as the longest window, and a day to look back.
KEPT = timedelta(seconds=WINDOWS[-1] + DAY)


def count(looks: Mapping[int, list[Look]]) -> None:
    """Count rounds of probes, by their second, and what was recorded since the one before. Harmless when repeated."""
    for second, found in sorted(looks.items()):
        now = moment_of(second)
        before = RoundCount.objects.filter(at__lt=now).order_by("-at").first()
        totals = _totals(now)
        well = sum(look.up is True for look in found) + _since(before, totals, now)
        failed = sum(look.up is False for look in found)
        row = {"day_total": totals.get(now.date(), 0), "well": well, "failed": failed}
        RoundCount.objects.get_or_create(at=now, defaults=row)


def look(now: datetime) -> Iterator[Page]:
    """Open and end alerts; what those on call are to be told of those that opened."""
    RoundCount.objects.filter(at__lt=now - KEPT).delete()
    counts = counted(now)
    for window, one in counts.items():
        BURN.labels(str(window)).set(float(burn_rate(one)))
    for rule in RULES:
        if not calls(rule, counts.__getitem__):
            BurnAlert.objects.filter(rule=rule.name, ended_at=None).update(ended_at=now)
        elif not BurnAlert.objects.filter(rule=rule.name, ended_at=None).exists():
            yield _opened(rule, counts[rule.windows[0]], now)


def counted(now: datetime) -> dict[int, Counts]:
    """What went well and what failed in each window up to now."""
    starts = {window: now - timedelta(seconds=window) for window in WINDOWS}
    rounds = RoundCount.objects.filter(at__gt=starts[WINDOWS[-1]], at__lte=now).aggregate(
        **{f"well_{window}": Sum("well", filter=Q(at__gt=start), default=0) for window, start in starts.items()},
        **{f"failed_{window}": Sum("failed", filter=Q(at__gt=start), default=0) for window, start in starts.items()},
    )
    minutes = FailedMinute.objects.filter(minute__gt=starts[WINDOWS[-1]] - timedelta(seconds=MINUTE))
    failed = minutes.aggregate(
        **{
            f"of_{window}": Sum(
                F("counted") + F("direct"), filter=Q(minute__gt=start - timedelta(seconds=MINUTE)), default=0
            )
            for window, start in starts.items()
        }
    )
    return {
        window: Counts(rounds[f"well_{window}"], rounds[f"failed_{window}"] + failed[f"of_{window}"])
        for window in WINDOWS
    }


def _opened(rule: BurnRule, counts: Counts, now: datetime) -> Page:
    rate, window = float(burn_rate(counts)), rule.windows[0] // 3_600
    text = (
        f"{counts.failed:,} of {sum(counts):,} requests and probes failed in the last {window} h: that uses up what"
        f" 99.9 % leaves {rate:.1f} times as fast as a month allows."
    )
    BurnAlert.objects.create(rule=rule.name, opened_at=now, text=text)
    word = "page" if rule.pages else "ticket"
    return Page(f"burn:{rule.name}", f"[{word}] Palisade fails too often ({rule.name} burn)", text)


def _totals(now: datetime) -> dict[object, int]:
    """Live decisions recorded of today and yesterday."""
    days = UsageDay.objects.filter(day__in=[now.date(), now.date() - timedelta(days=1)], livemode=True)
    return dict(days.exclude(endpoint=BATCHES).values_list("day").annotate(Sum("decisions")).order_by())


def _since(before: RoundCount | None, totals: Mapping[object, int], now: datetime) -> int:
    """What was recorded since the round before; nothing for the first, or after a day without any."""
    if before is None or before.at.date() < now.date() - timedelta(days=1):
        return 0
    grown = totals.get(before.at.date(), 0) - before.day_total
    return max(grown, 0) + (totals.get(now.date(), 0) if before.at.date() != now.date() else 0)
