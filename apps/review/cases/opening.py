"""Opening cases: in the transaction that stores the decisions, from those that were new, so each exactly once.

A decision that asks for a review opens a case of its transaction, or joins the one that is not resolved; so does a
superseding one, whatever it recommends, where there is such a case. Costs a batch without reviews nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.notifications.models import WebhookEndpoint
from apps.notifications.services import News, notify_all
from apps.review.cases import events, priority, queues
from apps.review.cases.queues import Sorter
from apps.review.models import Case
from apps.scoring.models import Decision
from apps.scoring.serving import ids
from apps.scoring.serving.journal_entries import TRANSACTION_HASH
from apps.scoring.serving.store import NewDecisions
from apps.usage.metering.events import moment

Key = tuple[str, str, bool]
#: Columns of a case that are those of its last decision.
_LAST = ("decision_id", "decided_at", "fraud_probability", "risk_score", "amount", "rules_hit", "expected_loss")


class Asking(NamedTuple):
    """A decision as a case knows it."""

    decision_id: str
    decided_at: datetime
    livemode: bool
    schema: str
    transaction_id: str
    transaction_hash: str
    fraud_probability: float | None
    risk_score: int | None
    amount: float
    rules_hit: Sequence[str]
    review: bool

    @property
    def key(self) -> Key:
        return self.transaction_hash, self.schema, self.livemode

    @property
    def expected_loss(self) -> float:
        return priority.expected_loss(self.fraud_probability, self.amount)


def open_cases(tenant_schema: str, decisions: NewDecisions) -> None:
    """Open or join cases for a tenant's new decisions. Inside the caller's transaction."""
    asking = list(_asking(decisions))
    if asking:
        with in_tenant(tenant_schema):
            made = open_or_join(asking, timezone.now())
            if made:
                _notify(tenant_schema, made)


def open_or_join(asking: Sequence[Asking], now: datetime) -> list[Case]:
    """The cases that were opened; within their tenant, in a transaction."""
    groups: dict[Key, list[Asking]] = {}
    for one in sorted(asking, key=lambda one: one.decided_at):
        groups.setdefault(one.key, []).append(one)
    queues.hold_still(shared=True)
    hashes = [key[0] for key in groups]
    known = Case.objects.filter(transaction_hash__in=hashes).exclude(state=Case.RESOLVED).order_by("pk")
    there = {(case.transaction_hash, case.schema, case.livemode): case for case in known.select_for_update()}
    sorters: dict[bool, Sorter] = {}
    joined, made = [], []
    for key, decided in groups.items():
        case = there.get(key)
        if case is None and not any(one.review for one in decided):
            continue
        sorting = sorters.get(key[2]) or sorters.setdefault(key[2], queues.sorter(key[2]))
        if case is None:
            made.append(_opened(decided, sorting, now))
        else:
            joined.append(_joined(case, decided, sorting, now))
    Case.objects.bulk_update(joined, [*_LAST, "decisions", "state", "queue", "rank", "due_at"])
    made.sort(key=lambda case: case.transaction_hash)  # lest two that open some at once wait for one another
    Case.objects.bulk_create(made, ignore_conflicts=True)  # opened by another process in this moment
    return made


def _asking(decisions: NewDecisions) -> Iterator[Asking]:
    """Those that ask for a review, and those that may join a case."""
    columns = decisions.columns
    actions, statuses = columns["recommended_action"], columns["status"]
    for row in decisions.rows:
        review = actions[row] == "review"
        if review or statuses[row] == "superseding":
            yield Asking(
                columns["id"][row],
                moment(columns["created_us"][row]),
                columns["livemode"][row],
                columns["schema"][row],
                columns["transaction_id"][row],
                hash_of(columns["transaction_id"][row], columns["hidden"][row]),
                columns["fraud_probability"][row],
                columns["risk_score"][row],
                columns["amount"][row],
                columns["rules_hit"][row],
                review,
            )


def hash_of(transaction_id: str, hidden: Mapping[str, str] | None) -> str:
    """The keyed hash of a transaction's id: of masked ids it alone tells one from another."""
    return (hidden or {}).get(TRANSACTION_HASH) or ids.text_hash(transaction_id)


def _opened(decided: Sequence[Asking], sorting: Sorter, now: datetime) -> Case:
    """A case by the first of the decisions that asks for it, as the last one is."""
    first = next(place for place, one in enumerate(decided) if one.review)
    opening, last = decided[first], decided[-1]
    case = Case(
        id=f"cas_{opening.decision_id.removeprefix('dec_')}",
        livemode=last.livemode,
        schema=last.schema,
        transaction_id=last.transaction_id,
        transaction_hash=last.transaction_hash,
        created_at=opening.decided_at,
        decisions=len(decided) - first,
        **_facts(last),
    )
    case.queue, case.rank, case.due_at = sorting.place(case, now)
    return case


def _joined(case: Case, decided: Sequence[Asking], sorting: Sorter, now: datetime) -> Case:
    """The case with further decisions. What was said of other facts is no verdict on these."""
    case.decisions += len(decided)
    last = decided[-1]
    if last.decided_at >= case.decided_at:
        for name, value in _facts(last).items():
            setattr(case, name, value)
        case.state = Case.OPEN
        case.queue, case.rank, case.due_at = sorting.place(case, now)
    return case


def _facts(one: Asking) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _LAST}


def _notify(tenant_schema: str, made: Sequence[Case]) -> None:
    """Tell the webhooks that want to know, and nobody where there are none: an event is a row, too."""
    hooks = WebhookEndpoint.objects.filter(tenant__schema_name=tenant_schema, disabled_at=None)
    wanted = {
        one.livemode for one in hooks.only("livemode", "events") if not one.events or events.CREATED in one.events
    }
    told = [case for case in made if case.livemode in wanted]
    if told:
        tenant = Tenant.objects.get(schema_name=tenant_schema)
        decisions = {row.pk: row for row in Decision.objects.filter(pk__in=[case.decision_id for case in told])}
        notify_all([_created(tenant, case, decisions.get(case.decision_id)) for case in told], timezone.now())


def _created(tenant: Tenant, case: Case, decision: Decision | None) -> News:
    data = events.data_of(case, decision)
    return News(tenant, events.CREATED, data, f"{events.CREATED}:{case.pk}", livemode=case.livemode)
