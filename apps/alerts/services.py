"""Alerts: opened and counted, acknowledged, resolved; told by a client.

open ──► acknowledged ──► resolved        by somebody, or by itself when the condition is over
  └──────────────────────────▲
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.alerts import rules
from apps.alerts.conditions import Condition
from apps.alerts.kinds import KINDS, Severity
from apps.alerts.models import ACKNOWLEDGED, OPEN, RESOLVED, Alert
from apps.alerts.rules import Rule
from apps.notifications.models import new_id

Found = tuple[Rule, Condition]
#: Rows written by one statement.
TOGETHER = 1_000


def unresolved(found_rules: Iterable[Rule]) -> dict[tuple[int, bool, str, str], Alert]:
    """The alerts of some rules that are not resolved, by rule and key."""
    places = {rule.place for rule in found_rules}
    rows = Alert.objects.exclude(state=RESOLVED).filter(
        tenant_id__in={place[0] for place in places}, rule_id__in={place[2] for place in places}
    )
    found = {(row.tenant_id, row.livemode, row.rule_id, row.dedup_key): row for row in rows}
    return {key: row for key, row in found.items() if key[:3] in places}


@transaction.atomic
def record_conditions(found: Sequence[Found], now: datetime) -> int:
    """Open an alert for each condition, or count it where one is open. Repeating it counts nothing twice; how many
    were opened."""
    known = unresolved(rule for rule, _ in found)
    new, again = [], []
    for rule, condition in found:
        row = known.get((*rule.place, condition.key))
        if row is None:
            new.append(_opened(rule, condition, now))
        elif condition.moment > row.moment:
            _count(row, condition, now)
            again.append(row)
    Alert.objects.bulk_create(new, ignore_conflicts=True, batch_size=TOGETHER)
    Alert.objects.bulk_update(
        again, ["occurrences", "last_seen_at", "moment", "title", "text", "values", "until"], batch_size=TOGETHER
    )
    return len(new)


def resolve_over(found_rules: Sequence[Rule], found: Sequence[Found], now: datetime) -> int:
    """Resolve the alerts of rules that were looked at and did not find them any more; how many."""
    lasting = [rule for rule in found_rules if KINDS[rule.kind].over_after is None]
    there = {(*rule.place, condition.key) for rule, condition in found}
    over = [row.pk for key, row in unresolved(lasting).items() if key not in there]
    return _resolve_by_itself(Q(pk__in=over), now) if over else 0


def resolve_passed(now: datetime) -> int:
    """Resolve alerts of what happens at a moment, when nothing more happened for as long as their kind says."""
    return sum(
        _resolve_by_itself(Q(kind=name, last_seen_at__lt=now - kind.over_after), now)
        for name, kind in KINDS.items()
        if kind.over_after is not None
    )


@transaction.atomic
def acknowledge(*, alert: Alert, now: datetime, actor: str) -> Alert:
    """Note that somebody looks after it: it is neither sent nor escalated any more. Harmless when repeated."""
    changed = Alert.objects.filter(pk=alert.pk, state=OPEN).update(
        state=ACKNOWLEDGED, acknowledged_at=now, acknowledged_by=actor
    )
    record_audit(tenant=alert.tenant, actor=actor, action="alert.acknowledged", target=alert, now=now,
                 after={"changed": bool(changed)})  # fmt: skip
    alert.refresh_from_db()
    return alert


@transaction.atomic
def resolve(*, alert: Alert, now: datetime, actor: str) -> Alert:
    """Note that it is over. Harmless when repeated."""
    changed = Alert.objects.filter(pk=alert.pk).exclude(state=RESOLVED).update(
        state=RESOLVED, resolved_at=now, resolved_by=actor
    )  # fmt: skip
    record_audit(tenant=alert.tenant, actor=actor, action="alert.resolved", target=alert, now=now,
                 after={"changed": bool(changed)})  # fmt: skip
    alert.refresh_from_db()
    return alert


@transaction.atomic
def tell(
    *,
    tenant: Tenant,
    livemode: bool,
    kind: str,
    key: str,
    title: str,
    text: str,
    values: Mapping[str, float | str | None],
    severity: Severity | None,
    now: datetime,
    actor: str,
) -> Alert:
    """Keep an alert that a client tells of; what has the same key is counted while it is not resolved."""
    rule = rules.find(tenant, livemode, kind) or rules.default_rule(tenant, kind, livemode)
    condition = Condition(key, now, title, text, dict(values))
    of = Alert.objects.filter(tenant=tenant, livemode=livemode, rule_id=rule.id, dedup_key=key)
    row = of.exclude(state=RESOLVED).select_for_update().first()
    if row is None:
        row = _opened(rule, condition, now)
        row.severity = severity or row.severity
        Alert.objects.bulk_create([row], ignore_conflicts=True)
        row = of.exclude(state=RESOLVED).get()
    else:
        _count(row, condition, now)
        row.save()
    record_audit(tenant=tenant, actor=actor, action="alert.told", target=row, after={"kind": kind}, now=now)
    return row


def find(tenant_id: int, livemode: bool, alert_id: str) -> Alert | None:
    """An alert of a tenant and mode."""
    return Alert.objects.select_related("tenant").filter(pk=alert_id, tenant_id=tenant_id, livemode=livemode).first()


def _opened(rule: Rule, condition: Condition, now: datetime) -> Alert:
    return Alert(
        id=new_id("alt", now),
        tenant=rule.tenant,
        livemode=rule.livemode,
        rule_id=rule.id,
        kind=rule.kind,
        severity=rule.severity,
        dedup_key=condition.key,
        title=condition.title[:200],
        text=condition.text[:2_000],
        values=condition.values,
        occurrences=condition.occurrences,
        opened_at=now,
        last_seen_at=now,
        moment=condition.moment,
        since=condition.since,
        until=condition.until,
    )


def _count(row: Alert, condition: Condition, now: datetime) -> None:
    row.occurrences += condition.occurrences
    row.last_seen_at, row.moment = now, condition.moment
    row.title, row.text, row.values = condition.title[:200], condition.text[:2_000], condition.values
    row.until = condition.until


def _resolve_by_itself(which: Q, now: datetime) -> int:
    return Alert.objects.exclude(state=RESOLVED).filter(which).update(state=RESOLVED, resolved_at=now)
