"""Evaluation: the rules of all tenants that did anything, a few hundred together; then what is to be sent is sent.

Repeating a look changes nothing: conditions are counted once a moment, decisions once a minute of theirs. A kind that
fails for some tenants is logged and counted, and the others go on.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from django.db import DatabaseError, transaction
from prometheus_client import Counter, Gauge

from apps.accounts.models import Tenant
from apps.alerts import sending
from apps.alerts.kinds import KINDS, Pace
from apps.alerts.models import RESOLVED, Alert
from apps.alerts.readings import READINGS, WEEK, WEEKS_BEFORE
from apps.alerts.rules import Rule, rules_of
from apps.alerts.services import Found, record_conditions, resolve_over, resolve_passed
from apps.usage.models import UsageDay

log = logging.getLogger(__name__)

#: Tenants looked at together.
TOGETHER = 200
#: Seconds a look may take; the rest is the next one's.
BUDGET_SECONDS = 45.0

FAILED = Counter("palisade_alert_evaluations_failed_total", "Looks of a kind of alert that failed", ["kind"])
for _kind in READINGS:
    FAILED.labels(_kind)  # told from the beginning, so that the first one is seen as a rise
SECONDS = Gauge(
    "palisade_alert_evaluation_seconds", "What the last look took", ["pace"], multiprocess_mode="mostrecent"
)


def evaluate(pace: Pace, now: datetime) -> int:
    """Look at all that is looked at so often and send what is due; how many alerts were opened."""
    began = time.monotonic()
    kinds = [name for name in READINGS if KINDS[name].pace == pace]
    opened = sum(_look(kind, rules, now) for rules in _chunks(pace, kinds, now) for kind in kinds)
    resolve_passed(now)
    sending.send_due(now, began + BUDGET_SECONDS)
    SECONDS.labels(pace).set(time.monotonic() - began)
    return opened


def active_tenants(pace: Pace, kinds: Iterable[str], now: datetime) -> Iterator[int]:
    """Who decided anything today or yesterday (by the hour also on the same days of the weeks before), or has an alert
    of these kinds that is not resolved; closed and suspended tenants rest."""
    today = now.date()
    weeks = range(1, WEEKS_BEFORE + 1) if pace == "hour" else ()
    days = [today, today - timedelta(days=1), *(today - week * WEEK for week in weeks)]
    active = UsageDay.objects.filter(day__in=days).values("tenant_id")
    alerted = Alert.objects.exclude(state=RESOLVED).filter(kind__in=list(kinds)).values("tenant_id")
    rows = Tenant.objects.filter(closed_at=None, suspended_at=None).filter(pk__in=active.union(alerted))
    return rows.order_by("pk").values_list("pk", flat=True).iterator()


def _chunks(pace: Pace, kinds: Sequence[str], now: datetime) -> Iterator[list[Rule]]:
    ids = active_tenants(pace, kinds, now)
    while chunk := list(islice(ids, TOGETHER)):
        yield rules_of(Tenant.objects.filter(pk__in=chunk), kinds)


def _look(kind: str, rules: Sequence[Rule], now: datetime) -> int:
    """One kind of some tenants, in a transaction of its own."""
    own = [rule for rule in rules if rule.kind == kind and rule.enabled]
    if not own:
        return 0
    try:
        with transaction.atomic():
            looked = list(READINGS[kind](own, now))
            found: list[Found] = [(rule, condition) for rule, conditions in looked for condition in conditions]
            opened = record_conditions(found, now) if found else 0
            resolve_over([rule for rule, _ in looked], found, now)
    except DatabaseError:
        log.exception("alerts of the kind %s could not be looked at for %d tenants", kind, len(own))
        FAILED.labels(kind).inc()
        return 0
    return opened
