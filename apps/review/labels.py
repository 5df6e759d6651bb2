"""Adding labels and reading them. Repeating one is harmless; a correction is a further row, and the history stays.

    read the decisions ─► which labels are new, which of a decision's holds ─► one transaction ─► tell the history

The last step marks frauds in their parties' recent activity, so that a theft makes no habit (`history_marks.py`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from django.db import connection, transaction
from django.db.models import QuerySet

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import names_of
from apps.notifications.models import new_id
from apps.paging import Page, page_of
from apps.review import decided, history_marks, label_months
from apps.review.decided import Decided
from apps.review.given import Meant, latest
from apps.review.models import Label
from apps.usage.metering.journal import Journal

#: By what labels are listed, newest first.
KEY = ("recorded_at", "id")
#: One after the other per tenant: of two labels of one decision at once, one must see the other.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext('labels'))"

#: new: it holds now. earlier: it is kept, and a label that was learned later holds. unchanged: it was known.
Status = Literal["new", "earlier", "unchanged"]


class Added(NamedTuple):
    """What became of one label: its row, or None when it is about no decision of the tenant's."""

    row: Label | None
    status: Status = "new"


def add_labels(
    *,
    tenant: Tenant,
    livemode: bool,
    labels: Sequence[Meant],
    journal: Journal,
    now: datetime,
    actor: str,
    audited: bool = True,
) -> list[Added]:
    """Keep labels; what became of each, in their order. Harmless when repeated.

    Not `audited`: the caller's own line of the audit trail names the label.
    """
    names = names_of(tenant.handle, livemode)
    with in_tenant(tenant):
        found = decided.find(labels, livemode, journal, names)
        with transaction.atomic():
            keeper = _Keeper(livemode, found.by_id, found.by_transaction, now, actor)
            added = [keeper.add(label, found.of(label), number) for number, label in enumerate(labels)]
            keeper.write()
            keeper.unfold(tenant.schema_name)
            if keeper.made and audited:
                _audit(tenant, added, now, actor)
    history_marks.mark(tenant, journal.valkey, keeper.to_mark(), now)
    return added


class _Keeper:
    """The labels of one request on their way into the table: what the decisions had, what is new, what holds."""

    def __init__(
        self,
        livemode: bool,
        by_id: Mapping[str, Decided],
        by_transaction: Mapping[str, Decided],
        now: datetime,
        actor: str,
    ) -> None:
        self.livemode, self.now, self.actor = livemode, now, actor
        self.decisions = {one.id: one for one in (*by_id.values(), *by_transaction.values())}
        with connection.cursor() as cursor:
            cursor.execute(_LOCK)
        self.known: dict[str, list[Label]] = {name: [] for name in self.decisions}
        for row in Label.objects.filter(decision_id__in=list(self.decisions)).order_by(*KEY):
            self.known[row.decision_id].append(row)
        self.held = {name: next((row.pk for row in rows if row.holds), None) for name, rows in self.known.items()}
        self.made: list[Label] = []

    def add(self, label: Meant, decision: Decided | None, number: int) -> Added:
        """Put one label beside those of its decision."""
        if decision is None:
            return Added(None)
        rows = self.known[decision.id]
        if same := next((row for row in reversed(rows) if _is_same(row, label)), None):
            return Added(same, "unchanged")
        made = _row(label, decision, self.livemode, self.now + timedelta(microseconds=number), self.actor)
        rows.append(made)
        self.made.append(made)
        holder = latest(rows)
        for row in rows:
            row.holds = row is holder
        return Added(made, "new" if made.holds else "earlier")

    def write(self) -> None:
        """Store what is new; what held before and does no more, gives way first."""
        changed = [name for name, rows in self.known.items() if self.held[name] != _holder(rows)]
        Label.objects.filter(pk__in=[self.held[name] for name in changed if self.held[name]]).update(holds=False)
        Label.objects.bulk_create(self.made)

    def unfold(self, tenant_schema: str) -> None:
        """Have the months of their decisions counted anew."""
        with connection.cursor() as cursor:
            label_months.changed(cursor, tenant_schema, [row.decided_at for row in self.made])

    def to_mark(self) -> list[tuple[Label, Decided]]:
        """The labels that hold since now, with their decisions."""
        return [(row, self.decisions[row.decision_id]) for row in self.made if row.holds]


def find(tenant_schema: str, livemode: bool, label_id: str) -> list[Label]:
    """A label and the others of its decision, in the order of recording; none when there is no such label."""
    with in_tenant(tenant_schema):
        row = Label.objects.filter(pk=label_id, livemode=livemode).first()
        return list(Label.objects.filter(decision_id=row.decision_id).order_by(*KEY)) if row else []


def of_decision(tenant_schema: str, decision_id: str) -> list[Label]:
    """All labels of a decision, in the order of recording."""
    with in_tenant(tenant_schema):
        return list(Label.objects.filter(decision_id=decision_id).order_by(*KEY))


def listed(livemode: bool) -> QuerySet[Label]:
    """The labels of a mode; to be asked within their tenant."""
    return Label.objects.filter(livemode=livemode)


def page(tenant_schema: str, livemode: bool, filters: Mapping[str, Any], cursor: str | None, limit: int) -> Page[Label]:
    """One page, newest first. Raises `Problem` for a cursor that is not ours."""
    with in_tenant(tenant_schema):
        return page_of(listed(livemode).filter(**filters), KEY, cursor, limit)


def _is_same(row: Label, label: Meant) -> bool:
    """Whether a label that is known says what this one says; one without `known_at` repeats the one that holds."""
    learned = row.holds if label.known_at is None else row.known_at == label.known_at
    lost = None if label.amount_lost is None else _money(label.amount_lost)
    return learned and (row.label, row.source, row.occurred_at, row.amount_lost) == (
        label.label, label.source, label.occurred_at, lost,
    )  # fmt: skip


def _row(label: Meant, decision: Decided, livemode: bool, recorded_at: datetime, actor: str) -> Label:
    return Label(
        id=new_id("lbl", recorded_at),
        livemode=livemode,
        decision_id=decision.id,
        transaction_id=decision.transaction_id,
        schema=decision.schema,
        label=label.label,
        source=label.source,
        occurred_at=label.occurred_at,
        known_at=label.known_at or recorded_at,
        recorded_at=recorded_at,
        recorded_by=actor,
        amount_lost=None if label.amount_lost is None else _money(label.amount_lost),
        holds=True,
        decided_at=decision.created_at,
        fraud_probability=decision.fraud_probability,
        recommended_action=decision.recommended_action,
        model_name=decision.model_name,
        model_version=decision.model_version,
        amount=decision.amount,
        rules_hit=decision.rules_hit,
    )


def _money(amount: float) -> Decimal:
    """An amount as it is kept: four places are enough for any currency."""
    return round(Decimal(str(amount)), 4)


def _holder(rows: Sequence[Label]) -> str | None:
    return next((row.pk for row in rows if row.holds), None)


def _audit(tenant: Tenant, added: Sequence[Added], now: datetime, actor: str) -> None:
    """One line a request, however many labels it brought."""
    new = [one.row.pk for one in added if one.row and one.status != "unchanged"]
    after = {"labels": len(new), "first": new[0]}
    record_audit(tenant=tenant, actor=actor, action="labels.added", target=tenant.handle, after=after, now=now)
