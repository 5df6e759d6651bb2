"""Telling the parties' recent activity what labels taught: a known fraud makes no habit, from the minute it was known.

A decision dated before a label was known never sees it: the mark carries the moment (`engine/past_events.py`). What
was blocked is marked already, for good. A correction to legitimate takes the mark away.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import names_of
from apps.review import decided
from apps.review.decided import Decided
from apps.review.models import Label
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import InvalidTransaction, Parsed
from apps.scoring.feature_drift import HistoryMark
from apps.scoring.policies import get_policies
from apps.scoring.serving import activity, ids, own_pasts
from apps.scoring.serving.journal_entries import TRANSACTION_HASH
from apps.times import instant_us
from apps.valkey import Away, Valkey

#: Labels that are marked at once by the task that looks after those left.
AT_ONCE = 500
#: What was recorded a moment ago is being marked by its own request.
SETTLED = timedelta(seconds=30)


def mark(tenant: Tenant, valkey: Valkey, labels: Sequence[tuple[Label, Decided]], now: datetime) -> None:
    """Mark what labels say in the activity of their parties. While Valkey is away they wait for `mark_waiting`."""
    if not labels:
        return
    names = names_of(tenant.handle, labels[0][0].livemode)
    rows = [(seen, _known_ms(label)) for label, decision in labels if (seen := _seen(decision))]
    own = _for_own_models(tenant, labels)
    try:
        activity.mark(valkey, names, rows)
        own_pasts.mark(valkey, names, own)
    except Away:
        return
    with in_tenant(tenant):
        Label.objects.filter(pk__in=[label.pk for label, _ in labels]).update(marked_at=now)


def mark_waiting(tenant: Tenant, valkey: Valkey, now: datetime) -> int:
    """Mark what could not be marked when it was recorded; how many labels waited. Harmless when repeated."""
    with in_tenant(tenant):
        waiting = list(Label.objects.filter(marked_at=None, recorded_at__lt=now - SETTLED).order_by("id")[:AT_ONCE])
        decisions = decided.by_ids([row.decision_id for row in waiting if row.holds])
        passed = [row.pk for row in waiting if row.decision_id not in decisions]  # corrected since, or deleted
        Label.objects.filter(pk__in=passed).update(marked_at=now)
    for livemode in (True, False):
        mine = [row for row in waiting if row.livemode == livemode and row.holds and row.decision_id in decisions]
        mark(tenant, valkey, [(row, decisions[row.decision_id]) for row in mine], now)
    return len(waiting)


def marks_between(start: datetime, end: datetime) -> list[HistoryMark]:
    """What the history was told of decisions made in [start, end), in that order; to be asked within a tenant.

    For `feature_drift`, which replays that past.
    """
    rows = Label.objects.filter(decided_at__gte=start, decided_at__lt=end).exclude(marked_at=None)
    told = rows.exclude(recommended_action="block").order_by("marked_at", "recorded_at")
    return [HistoryMark(row.marked_at, row.decision_id, _known_ms(row)) for row in told if row.marked_at]


def _known_ms(label: Label) -> int | None:
    return instant_us(label.known_at) // 1000 if label.label == "fraud" else None


def _for_own_models(
    tenant: Tenant, labels: Sequence[tuple[Label, Decided]]
) -> list[tuple[own_pasts.Doing, int | None]]:
    """What labels tell the tenant's own models, where it has some."""
    policy = get_policies().get(tenant.schema_name, tenant.policy_version)
    found: list[tuple[own_pasts.Doing, int | None]] = []
    for label, decision in labels:
        if policy.own_models_for(label.schema, label.livemode) is None:
            continue
        parsed = _parsed(decision)
        if parsed is not None:
            doing = own_pasts.doing(SCHEMAS[decision.schema], parsed, _transaction(decision))
            since_us = instant_us(label.known_at)
            found.append((_named(doing, decision), -(-since_us // 1000) if label.label == "fraud" else None))
    return found


def _named(doing: own_pasts.Doing, decision: Decided) -> own_pasts.Doing:
    """With the parties whose name is masked by the hash beside the decision."""
    hidden = decision.hidden or {}
    parties = zip(own_pasts.parties_of(decision.schema), doing.parties, strict=True)
    return doing._replace(parties=tuple(own_pasts.key_of(hidden.get(field, party)) for field, party in parties))


def _parsed(decision: Decided) -> Parsed | None:
    """The transaction as it was decided on; None of one in an older form of its schema."""
    try:
        return SCHEMAS[decision.schema].parse(dict(decision.facts), instant_us(decision.created_at) // 1000)
    except InvalidTransaction:
        return None


def _transaction(decision: Decided) -> int:
    known_by = (decision.hidden or {}).get(TRANSACTION_HASH) or ids.text_hash(decision.transaction_id)
    return int(known_by[:16], 16)


def _seen(decision: Decided) -> activity.Seen | None:
    """A decision's transaction as history saw it; None where nothing has to be marked or can be.

    Parties whose name was masked are not found: history knows them by a name that is not kept.
    """
    schema = SCHEMAS[decision.schema]
    if decision.recommended_action == "block" or not any(role.habits for role in schema.roles):
        return None
    parsed = _parsed(decision)
    return activity.seen(schema, parsed, _transaction(decision)) if parsed else None
