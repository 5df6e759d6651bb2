"""Figures of Postgres, which take longer than /metrics may: a task takes them for all processes and leaves them in
Valkey, with the time they were taken at, so that figures that are not taken any more are seen to grow old.

Where a label's values come from a table of ours, each of them is told, also when it is 0.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec
from django.conf import settings
from django.db.models import Count, F, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from apps.accounts.models import RegularCheck, Tenant
from apps.accounts.services import BACKUP, PROVIDER_BOOKS, RECEIPTS, USAGE_BOOKS
from apps.alerts.kinds import KINDS
from apps.alerts.models import RESOLVED, Alert
from apps.batches.models import Batch
from apps.billing.models import Invoice, PlanSpan, Subscription
from apps.billing.rating.plans import DEFAULT_CURRENCY, PLANS
from apps.monitoring import quality
from apps.monitoring.sample import Family, Sample
from apps.notifications.models import Delivery
from apps.scoring.engine.models import active
from apps.scoring.engine.schemas import SCHEMAS
from apps.usage.models import UsageDay
from apps.valkey import Away, Valkey

#: How often figures are taken: every half minute, or by the hour where every tenant's schema is asked.
Pace = Literal["often", "hourly"]
PACES: tuple[Pace, ...] = ("often", "hourly")
#: The tenants told by name are those that used most today.
MOST_TENANTS = 10
#: Of a tenant without a plan of its own.
FREE = "free"
BOOKS = {"usage": USAGE_BOOKS, "provider": PROVIDER_BOOKS, "receipts": RECEIPTS}
UNDER_WAY = (Batch.State.QUEUED, Batch.State.RUNNING, Batch.State.PAUSED)
#: Figures are forgotten when they are this old: then there are none rather than wrong ones.
KEPT_SECONDS = 3 * 3600
AGE = "palisade_figures_age_seconds"

Values = Iterable[tuple[tuple[str, ...], float]]


class Figure(NamedTuple):
    """A metric, what it says, and how its values are read."""

    name: str
    family: Family
    pace: Pace
    read: Callable[[datetime], Values]


class Taken(msgspec.Struct, frozen=True):
    """Figures of one pace, and when they were taken (seconds since 1970)."""

    at: float
    samples: list[tuple[str, tuple[str, ...], float]]


def samples(valkey: Valkey, now: datetime) -> Iterator[Sample]:
    """The figures that were taken last, and how old they are. None while Valkey is away."""
    try:
        found = valkey.pipeline([("GET", _key(pace)) for pace in PACES])
    except Away:
        return
    for pace, packed in zip(PACES, found, strict=True):
        if packed is not None:
            taken = msgspec.msgpack.decode(packed, type=Taken)
            yield Sample(AGE, (pace,), max(now.timestamp() - taken.at, 0.0))
            yield from (Sample(*one) for one in taken.samples)


def take(valkey: Valkey, pace: Pace, now: datetime) -> int:
    """Take the figures of a pace and leave them for /metrics; how many there are. Raises `apps.valkey.Away`."""
    found = [
        (figure.name, labels, float(value))
        for figure in FIGURES
        if figure.pace == pace
        for labels, value in figure.read(now)
    ]
    valkey.command("SET", _key(pace), msgspec.msgpack.encode(Taken(now.timestamp(), found)), "EX", KEPT_SECONDS)
    return len(found)


def _key(pace: Pace) -> str:
    return f"metrics:figures:{pace}"


# --- what is told -----------------------------------------------------------------------------------------------------


def _due(now: datetime) -> Values:
    due = dict(_waiting(now).values_list("channel").annotate(Count("pk")))
    return [((channel,), due.get(channel, 0)) for channel in Delivery.Channel.values]


def _oldest(now: datetime) -> Values:
    oldest = dict(_waiting(now).values_list("channel").annotate(Min("next_try_at")))
    return [((channel,), _seconds(oldest.get(channel), now)) for channel in Delivery.Channel.values]


def _waiting(now: datetime) -> QuerySet[Delivery]:
    return Delivery.objects.filter(state=Delivery.State.WAITING, next_try_at__lte=now).order_by()


def _differences(now: datetime) -> Values:
    found = dict(RegularCheck.objects.values_list("name", "count"))
    return [((label,), found.get(name, 0)) for label, name in BOOKS.items()]


def _compared(now: datetime) -> Values:
    """Those that were compared at all."""
    found = dict(RegularCheck.objects.values_list("name", "checked_at"))
    return [((label,), _seconds(found[name], now)) for label, name in BOOKS.items() if name in found]


def _backup(now: datetime) -> Values:
    """Of everything, where a folder is named for them; where none was ever made, since the first tenant came."""
    if settings.BACKUP_DIR:
        made = RegularCheck.objects.filter(name=BACKUP).values_list("checked_at", flat=True).first()
        yield (), _seconds(made or Tenant.objects.aggregate(first=Min("created_at"))["first"], now)


def _batches(now: datetime) -> Values:
    found = dict(_batches_under_way().values_list("state").annotate(Count("pk")))
    return [((state,), found.get(state, 0)) for state in UNDER_WAY]


def _rows_waiting(now: datetime) -> Values:
    left = Sum(Coalesce("rows_total", 0) - F("rows_done"))
    return [((), max(_going_on().aggregate(left=left)["left"] or 0, 0))]


def _standing(now: datetime) -> Values:
    return [((), _seconds(_going_on().aggregate(first=Min("touched_at"))["first"], now))]


def _batches_under_way() -> QuerySet[Batch]:
    return Batch.objects.filter(state__in=UNDER_WAY, deleted_at=None).order_by()


def _going_on() -> QuerySet[Batch]:
    return _batches_under_way().exclude(state=Batch.State.PAUSED)


def _tenants(now: datetime) -> Values:
    """By plan and whether they may call."""
    plans, found = _plans(now), Counter[tuple[str, str]]()
    for tenant_id, suspended, closed in Tenant.objects.values_list("pk", "suspended_at", "closed_at"):
        state = "closed" if closed else "suspended" if suspended else "active"
        found[plans.get(tenant_id, FREE), state] += 1
    return [((tier, state), found[tier, state]) for tier in TIERS for state in TENANT_STATES]


def _subscriptions(now: datetime) -> Values:
    found = dict(Subscription.objects.order_by().values_list("status").annotate(Count("pk")))
    return [((status,), found.get(status, 0)) for status in Subscription.Status.values]


def _recurring(now: datetime) -> Values:
    """The monthly fees of plans in force, but for trials; in each currency."""
    currencies = dict(Subscription.objects.values_list("tenant_id", "currency"))
    fees: dict[str, Decimal] = {DEFAULT_CURRENCY: Decimal(0)}
    for tenant_id, code in _spans(now).filter(trial=False).values_list("tenant_id", "plan_code"):
        currency = currencies.get(tenant_id, DEFAULT_CURRENCY)
        fees[currency] = fees.get(currency, Decimal(0)) + PLANS[code].prices[currency].monthly
    return [((currency,), float(fee)) for currency, fee in fees.items()]


def _invoices(now: datetime) -> Values:
    found = dict(Invoice.objects.order_by().values_list("status").annotate(Count("pk")))
    return [((status,), found.get(status, 0)) for status in Invoice.Status.values]


def _units(now: datetime) -> Values:
    plans, sums = _plans(now), Counter[str]()
    for tenant_id, units in _units_today(now):
        sums[plans.get(tenant_id, FREE)] += units
    return [((tier,), sums[tier]) for tier in TIERS]


def _most(now: datetime) -> Values:
    most = sorted(_units_today(now), key=lambda row: (-row[1], row[0]))[:MOST_TENANTS]
    names = dict(Tenant.objects.filter(pk__in=[tenant_id for tenant_id, _ in most]).values_list("pk", "slug"))
    return [((names[tenant_id],), units) for tenant_id, units in most if tenant_id in names]


def _units_today(now: datetime) -> list[tuple[int, int]]:
    """(tenant, units) of all that used any."""
    days = UsageDay.objects.filter(day=now.date(), livemode=True, units__gt=0).order_by()
    return list(days.values_list("tenant_id").annotate(Sum("units")))


def _alerts(now: datetime) -> Values:
    found = dict(Alert.objects.exclude(state=RESOLVED).order_by().values_list("kind").annotate(Count("pk")))
    return [((kind,), found.get(kind, 0)) for kind in KINDS]


def _plans(now: datetime) -> dict[int, str]:
    """Tenant → the name of its plan in force."""
    return {tenant_id: PLANS[code].name for tenant_id, code in _spans(now).values_list("tenant_id", "plan_code")}


def _spans(now: datetime) -> QuerySet[PlanSpan]:
    return PlanSpan.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now).order_by()


def _by_card(now: datetime) -> Values:
    """Of the models that are active."""
    for schema in SCHEMAS:
        for entry in active(settings.ARTIFACTS_DIR, schema):
            yield (schema, entry.partition("/")[0], "card"), _card_accuracy(schema, entry)


def _by_labels(now: datetime) -> Values:
    return [((*model, "labels"), value) for model, value in quality.accuracies(now)]


@lru_cache(maxsize=64)
def _card_accuracy(schema: str, entry: str) -> float:
    return quality.accuracy_of_card((settings.ARTIFACTS_DIR / schema / entry / "card.json").read_bytes())


def _seconds(since: datetime | None, now: datetime) -> float:
    return max((now - since) / timedelta(seconds=1), 0.0) if since else 0.0


TIERS = tuple(sorted({plan.name for plan in PLANS.values()}))
TENANT_STATES = ("active", "suspended", "closed")
_ACCURACY = Family(
    "Share of right verdicts: `card`, when it was made; `labels`, the last 30 days", ("schema", "model", "basis")
)
FIGURES: Sequence[Figure] = (
    Figure("palisade_outbox_due", Family("Messages to customers that are due", ("channel",)), "often", _due),
    Figure(
        "palisade_outbox_oldest_due_seconds", Family("How late the oldest of them is", ("channel",)), "often", _oldest
    ),
    Figure(
        "palisade_reconciliation_differences",
        Family("Books that did not agree when last compared", ("books",)),
        "often",
        _differences,
    ),
    Figure(
        "palisade_reconciliation_age_seconds",
        Family("How long ago they were last compared", ("books",)),
        "often",
        _compared,
    ),
    Figure(
        "palisade_backup_age_seconds",
        Family("How long ago the last backup of everything was made, where PALISADE_BACKUP_DIR names a folder"),
        "often",
        _backup,
    ),
    Figure("palisade_batches", Family("Files that wait, are scored or are paused", ("state",)), "often", _batches),
    Figure("palisade_batch_rows_waiting", Family("Rows of files still to be scored"), "often", _rows_waiting),
    Figure(
        "palisade_batch_standing_seconds",
        Family("For how long no file came further, while any is to be scored"),
        "often",
        _standing,
    ),
    Figure("palisade_tenants", Family("Tenants", ("tier", "state")), "often", _tenants),
    Figure(
        "palisade_subscriptions", Family("Subscriptions, by how they are paid", ("status",)), "often", _subscriptions
    ),
    Figure(
        "palisade_recurring_revenue",
        Family("Monthly fees of the plans in force, without trials", ("currency",)),
        "often",
        _recurring,
    ),
    Figure("palisade_invoices", Family("Invoices", ("status",)), "often", _invoices),
    Figure("palisade_units_today", Family("Units of today (UTC)", ("tier",)), "often", _units),
    Figure(
        "palisade_tenant_units_today",
        Family(f"The same, of the {MOST_TENANTS} tenants that used most", ("tenant",)),
        "often",
        _most,
    ),
    Figure("palisade_open_alerts", Family("Tenants' alerts that are not resolved", ("kind",)), "often", _alerts),
    Figure("model_accuracy", _ACCURACY, "often", _by_card),
    Figure("model_accuracy", _ACCURACY, "hourly", _by_labels),
    Figure(
        "palisade_drift_index",
        Family("Population stability index of 7 days' scores, the largest of all tenants", ("schema", "model")),
        "hourly",
        quality.drift,
    ),
)
FAMILIES: Mapping[str, Family] = {
    AGE: Family("How long ago the figures were taken that take longer than this page may", ("pace",)),
    **{figure.name: figure.family for figure in FIGURES},
}
