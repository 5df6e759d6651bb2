"""How long a tenant keeps what: days by kind of thing. Removed by night, in chunks; never the money's books."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Model, QuerySet

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.ingest.models import FieldDay, Prediction, QualityDay
from apps.offboarding import removed_days
from apps.offboarding.models import Retention
from apps.review import label_months
from apps.review.cases import evidence
from apps.review.models import Case, Label
from apps.scoring import receipts
from apps.scoring.models import Decision, ListItem, PartyDay

#: Rows that are removed in one transaction.
AT_ONCE = 2_000
MOST_DAYS = 3_650


class Kind(NamedTuple):
    """What can be kept for a time: in words, at least how many days, and its tables with the columns of their time."""

    words: str
    least_days: int
    tables: tuple[tuple[type[Model], str], ...]


#: Decisions are kept for 30 days at least: what is usual for a party, and what is disputed, is found in them.
KINDS: Mapping[str, Kind] = {
    "decisions": Kind("Transactions and the decisions on them", 30, ((Decision, "created_at"), (PartyDay, "day"))),
    "labels": Kind("Labels", 30, ((Label, "recorded_at"),)),
    "cases": Kind("Review cases with notes and evidence", 30, ((Case, "created_at"),)),
    "predictions": Kind("Predictions made elsewhere", 1, ((Prediction, "created_at"),)),
    # who looks back at a decision finds what was in a list then
    "lists": Kind("Items that were removed from lists", 30, ((ListItem, "removed_at"),)),
    # a day's shares are held against the seven before
    "data_quality": Kind("Data quality by day", 8, ((QualityDay, "day"), (FieldDay, "day"))),
}


class NotPossible(ValueError):
    """So many days can't be: `kind` says of what, the message why."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def of(tenant: Tenant) -> dict[str, int | None]:
    """Days by kind; None where it is kept as long as the account is open."""
    known = dict(Retention.objects.filter(tenant=tenant).values_list("kind", "days"))
    return {kind: known.get(kind) for kind in KINDS}


def change(*, tenant: Tenant, days: Mapping[str, int | None], now: datetime, actor: str) -> dict[str, int | None]:
    """Set how long these kinds are kept; None: for good. Raises `NotPossible`."""
    for kind, count in days.items():
        if count is not None and not KINDS[kind].least_days <= count <= MOST_DAYS:
            raise NotPossible(kind, f"takes {KINDS[kind].least_days} to {MOST_DAYS:,} days, or null for no end")
    with transaction.atomic():
        before = of(tenant)
        for kind, count in days.items():
            if count is None:
                Retention.objects.filter(tenant=tenant, kind=kind).delete()
            else:
                said = {"days": count, "changed_at": now}
                Retention.objects.update_or_create(tenant=tenant, kind=kind, defaults=said)
        after = of(tenant)
        if after != before:
            record_audit(
                tenant=tenant, actor=actor, action="retention.changed", target=tenant.handle, before=before,
                after=after, now=now,
            )  # fmt: skip
    return after


def remove_old(now: datetime) -> int:
    """Remove what tenants keep no longer; how many rows. Harmless when repeated."""
    rows = Retention.objects.filter(kind__in=list(KINDS)).select_related("tenant").order_by("tenant_id", "kind")
    return sum(_remove(row.tenant, row.kind, row.days, now) for row in rows)


def _remove(tenant: Tenant, kind: str, days: int, now: datetime) -> int:
    removed, moment = 0, now - timedelta(days=days)
    with in_tenant(tenant):
        for model, column in KINDS[kind].tables:
            until = moment.date() if column == "day" else moment
            for livemode in (True, False):  # as the tables' indexes begin
                old = model._default_manager.filter(livemode=livemode, **{f"{column}__lt": until})
                while taken := _remove_some(tenant, old.order_by(column, "pk"), now):
                    removed += taken
    return removed


@transaction.atomic
def _remove_some(tenant: Tenant, rows: QuerySet[Any], now: datetime) -> int:
    """A chunk of rows, so that nobody waits for a lock; decisions are noted for the books and on their chain, cases
    lose their files, months of labels are counted anew."""
    chosen = rows.model._default_manager.filter(pk__in=list(rows.values_list("pk", flat=True)[:AT_ONCE]))
    names: list[str] = []
    if rows.model is Decision:
        names = list(chosen.values_list("pk", flat=True))
        removed_days.note(tenant, chosen.values_list("created_at", flat=True))
    if rows.model is Case:
        evidence.forget_files(tenant.schema_name, chosen.values_list("pk", flat=True))
    decided = list(chosen.values_list("decided_at", flat=True)) if rows.model is Label else []
    removed = int(chosen.delete()[0])
    with connection.cursor() as cursor:
        label_months.changed(cursor, tenant.schema_name, decided)
    receipts.append(tenant.schema_name, receipts.REMOVED, names, (), now)
    return removed
