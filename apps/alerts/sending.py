"""Sending alerts: one message a rule and period with all that was opened since, then step by step to the next people.

Whoever sends for a rule holds its state's row, so that however many look at the same moment one message goes out. What
is acknowledged or over before its message is due is not sent. Quiet hours hold back all but what is critical.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from apps import times
from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.alerts import rules
from apps.alerts.kinds import SEVERITIES
from apps.alerts.models import OPEN, RESOLVED, Alert, AlertRule, RuleState
from apps.alerts.rules import Rule
from apps.alerts.timing import due_step, is_quiet, may_send
from apps.notifications.models import new_id
from apps.notifications.services import notify

#: Alerts named in one message; the rest are counted.
NAMED = 10
#: Resolved alerts are told within this time, or not any more.
RECENTLY = timedelta(hours=1)
Place = tuple[int, bool, str]


def send_due(now: datetime, deadline: float) -> int:
    """Send what may be sent by now, until `deadline` (monotonic s): the rest is the next look's. Messages sent."""
    waiting = Alert.objects.filter(state=OPEN, told_at=None).values_list("tenant_id", "livemode", "rule_id").distinct()
    sent = _each(waiting.order_by("tenant_id", "livemode", "rule_id"), send_opened, now, deadline)
    return sent + _each(_escalating(), _escalate, now, deadline) + _each(_over(now), _send_resolved, now, deadline)


@transaction.atomic
def send_opened(place: Place, now: datetime) -> bool:
    """Send a rule's open alerts that were not sent yet, when its period and quiet hours let it."""
    rule, state = _locked(place)
    alerts = _of(place, state=OPEN, told_at=None)
    if rule is None or not rule.enabled or not alerts or _held_back(rule, alerts, now):
        return False
    if not may_send(state.sent_at, rule.period, now):
        return False
    _notify(rule, "alert.opened", alerts, now, to=rule.mail_to, chats=rule.channels)
    RuleState.objects.filter(pk=state.pk).update(sent_at=now)
    Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(told_at=now)
    return True


@transaction.atomic
def send_test(rule: Rule, now: datetime, actor: str) -> None:
    """A message such as the rule would send, to those it would send it to."""
    data = {"rule": _rule_data(rule), "message": f"The alert rule “{rule.name}” would be sent like this."}
    notify(
        tenant=rule.tenant, kind="alert.test", data=data, key=new_id("alert.test", now), now=now, to=rule.mail_to,
        livemode=rule.livemode, chats=rule.channels,
    )  # fmt: skip
    record_audit(tenant=rule.tenant, actor=actor, action="alert_rule.tested", target=rule.id, now=now)


def rule_at(place: Place) -> Rule | None:
    """The rule of an alert, None when it was deleted."""
    tenant_id, livemode, rule_id = place
    return rules.find(Tenant.objects.get(pk=tenant_id), livemode, rule_id)


@transaction.atomic
def _escalate(place: Place, now: datetime) -> bool:
    """Send a rule's alerts that nobody acknowledged in time to whom its next step names."""
    rule, _ = _locked(place)
    if rule is None or not rule.enabled or not rule.escalation:
        return False
    alerts = _of(place, state=OPEN, told_at__isnull=False)
    due = {
        alert: step
        for alert in alerts
        if alert.told_at and (step := due_step(rule.escalation, alert.escalated, alert.told_at, now))
    }
    if not due or _held_back(rule, list(due), now):
        return False
    for step in dict.fromkeys(due.values()):
        late = [alert for alert, its in due.items() if its == step]
        more = {"after_minutes": step.after_minutes}
        _notify(rule, "alert.escalated", late, now, to=step.mail_to, chats=(), **more)
    Alert.objects.filter(pk__in=[alert.pk for alert in due]).update(escalated=F("escalated") + 1)
    return True


@transaction.atomic
def _send_resolved(place: Place, now: datetime) -> bool:
    """Tell webhooks which of the alerts they were told are over."""
    rule, _ = _locked(place)
    alerts = _of(place, **_RESOLVED, resolved_at__gt=now - RECENTLY)
    if rule is None or not alerts:
        return False
    _notify(rule, "alert.resolved", alerts, now, to=(), chats=())
    Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(resolution_told=True)
    return True


_RESOLVED: dict[str, Any] = {"state": RESOLVED, "told_at__isnull": False, "resolution_told": False}


def _over(now: datetime) -> Any:
    rows = Alert.objects.filter(**_RESOLVED, resolved_at__gt=now - RECENTLY)
    return rows.order_by("tenant_id").values_list("tenant_id", "livemode", "rule_id").distinct()


def _escalating() -> Any:
    """Rules with steps, whose alerts may have to be escalated."""
    open_ones = Alert.objects.filter(state=OPEN, told_at__isnull=False)
    rows = AlertRule.objects.exclude(escalation=[]).filter(tenant_id__in=open_ones.values("tenant_id"))
    return rows.order_by("tenant_id").values_list("tenant_id", "livemode", "rule_id")


def _each(places: Iterable[Place], do: Callable[[Place, datetime], bool], now: datetime, deadline: float) -> int:
    sent = 0
    for place in places:
        if time.monotonic() > deadline:
            break
        sent += do(place, now)
    return sent


def _locked(place: Place) -> tuple[Rule | None, RuleState]:
    """The rule, and its state's row, ours until the transaction ends."""
    tenant_id, livemode, rule_id = place
    named = {"tenant_id": tenant_id, "livemode": livemode, "rule_id": rule_id}
    RuleState.objects.bulk_create([RuleState(**named)], ignore_conflicts=True)
    state = RuleState.objects.select_for_update().get(**named)
    return rule_at(place), state


def _of(place: Place, **which: Any) -> list[Alert]:
    """A rule's alerts that are so, the gravest first, then the newest."""
    tenant_id, livemode, rule_id = place
    rows = Alert.objects.filter(tenant_id=tenant_id, livemode=livemode, rule_id=rule_id, **which)
    return sorted(rows.order_by("-opened_at", "-id"), key=lambda row: -SEVERITIES.index(row.severity))


def _held_back(rule: Rule, alerts: Sequence[Alert], now: datetime) -> bool:
    return alerts[0].severity != "critical" and is_quiet(rule.quiet_hours, now)


def _notify(
    rule: Rule,
    kind: str,
    alerts: Sequence[Alert],
    now: datetime,
    *,
    to: Sequence[str] | None,
    chats: Sequence[str] | None,
    **more: Any,
) -> None:
    worst = alerts[0]
    data = {
        "rule": _rule_data(rule),
        "severity": worst.severity,
        "title": worst.title,
        "text": worst.text,
        "count": len(alerts),
        "alerts": [_alert_data(alert) for alert in alerts[:NAMED]],
        **more,
    }
    key = f"{kind}:{worst.pk}:{worst.escalated}"
    notify(tenant=rule.tenant, kind=kind, data=data, key=key, now=now, to=to, livemode=rule.livemode, chats=chats)


def _rule_data(rule: Rule) -> dict[str, str]:
    return {"id": rule.id, "kind": rule.kind, "name": rule.name}


def _alert_data(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.pk,
        "title": alert.title,
        "severity": alert.severity,
        "occurrences": alert.occurrences,
        "opened_at": times.rfc3339(alert.opened_at),
    }
