"""Rules: a tenant's own, and the default ones everybody has until they are changed.

With test keys the default rules are off and mail nobody, but for what a client itself tells of.

A default rule's id is its kind. Changing one writes a row under that id; deleting the row brings the default back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.alerts.kinds import KINDS, SEVERITIES, Severity, Value, defaults, refusals
from apps.alerts.models import AlertRule
from apps.alerts.timing import QuietHours, Step, clock, zone
from apps.notifications.models import ChatChannel, new_id

#: Rules of one tenant and mode that it made itself.
MOST_RULES = 100
#: Minutes between two messages of a rule: the least, the usual, the most.
LEAST_PERIOD, USUAL_PERIOD, LONGEST_PERIOD = 5, 60, 7 * 24 * 60
MOST_PEOPLE, MOST_STEPS = 20, 3
LONGEST_NAME = 100
#: What of a rule may be changed.
CHANGEABLE = ("name", "enabled", "severity", "thresholds", "period_minutes", "mail_to", "channels", "quiet_hours",
              "escalation")  # fmt: skip


class TooMany(ValueError):
    """The tenant has as many rules as it may have."""


class InvalidRule(ValueError):
    """Fields of a rule that are wrong: a sentence by the field's place (`thresholds.factor`)."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {told}" for field, told in wrong.items()))
        self.wrong = wrong


@dataclass(frozen=True)
class Rule:
    """A rule in force or switched off, whether it has a row or not."""

    tenant: Tenant
    livemode: bool
    id: str
    kind: str
    name: str
    severity: Severity
    thresholds: Mapping[str, Value]
    enabled: bool = True
    period_minutes: int = USUAL_PERIOD
    mail_to: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    quiet_hours: QuietHours | None = None
    escalation: tuple[Step, ...] = ()
    changed_at: datetime | None = None

    @property
    def period(self) -> timedelta:
        return timedelta(minutes=self.period_minutes)

    @property
    def place(self) -> tuple[int, bool, str]:
        """What it is unique by."""
        return self.tenant.pk, self.livemode, self.id

    @property
    def is_default(self) -> bool:
        """Whether everybody has it."""
        return self.id in KINDS


def default_rule(tenant: Tenant, kind: str, livemode: bool = True) -> Rule:
    """The rule of a kind that every tenant has."""
    row = KINDS[kind]
    mail_to = None if row.mailed and livemode else ()
    on = livemode or row.pace == "told"
    return Rule(tenant, livemode, kind, kind, row.title, row.severity, defaults(kind), enabled=on, mail_to=mail_to)


def rules_of(tenants: Iterable[Tenant], kinds: Iterable[str] = KINDS) -> list[Rule]:
    """The rules that may be evaluated: every row, and the default ones of live keys. One query."""
    by_id, wanted = {tenant.pk: tenant for tenant in tenants}, list(kinds)
    rows = AlertRule.objects.filter(tenant_id__in=by_id, kind__in=wanted)
    own = [_rule(row, by_id[row.tenant_id]) for row in rows]
    changed = {rule.place for rule in own}
    plain = [default_rule(tenant, kind) for tenant in by_id.values() for kind in wanted]
    return [*[rule for rule in plain if rule.place not in changed], *own]


def find(tenant: Tenant, livemode: bool, rule_id: str) -> Rule | None:
    """One rule of a mode; None when there is none."""
    row = AlertRule.objects.filter(tenant=tenant, livemode=livemode, rule_id=rule_id).first()
    if row is not None:
        return _rule(row, tenant)
    return default_rule(tenant, rule_id, livemode) if rule_id in KINDS else None


def listed(tenant: Tenant, livemode: bool) -> list[Rule]:
    """The rules of a mode, in the order of the table of kinds, one's own behind."""
    rows = AlertRule.objects.filter(tenant=tenant, livemode=livemode)
    own = {row.rule_id: _rule(row, tenant) for row in rows}
    return [own.get(kind) or default_rule(tenant, kind, livemode) for kind in KINDS] + [
        rule for name, rule in own.items() if name not in KINDS
    ]


@transaction.atomic
def create_rule(
    *, tenant: Tenant, livemode: bool, kind: str, facts: Mapping[str, Any], now: datetime, actor: str
) -> Rule:
    """A rule of one's own; what is not said of it is as the kind's default. Raises `InvalidRule`, `TooMany`."""
    Tenant.objects.select_for_update().get(pk=tenant.pk)
    if AlertRule.objects.filter(tenant=tenant, livemode=livemode).count() >= MOST_RULES:
        raise TooMany
    plain = replace(default_rule(tenant, kind, livemode), id=new_id("alr", now), mail_to=None, enabled=True)
    made = _changed(plain, facts)
    _store(made, now)
    after = {"kind": kind, **_told(made, CHANGEABLE)}
    record_audit(tenant=tenant, actor=actor, action="alert_rule.created", target=made.id, after=after, now=now)
    return replace(made, changed_at=now)


@transaction.atomic
def change_rule(*, rule: Rule, facts: Mapping[str, Any], now: datetime, actor: str) -> Rule:
    """Change a rule; thresholds that are left out stay. Raises `InvalidRule`."""
    Tenant.objects.select_for_update().get(pk=rule.tenant.pk)
    made = _changed(rule, facts)
    _store(made, now)
    names = [name for name in CHANGEABLE if name in facts]
    record_audit(
        tenant=rule.tenant, actor=actor, action="alert_rule.changed", target=rule.id, before=_told(rule, names),
        after=_told(made, names), now=now,
    )  # fmt: skip
    return replace(made, changed_at=now)


@transaction.atomic
def delete_rule(*, rule: Rule, now: datetime, actor: str) -> None:
    """Delete a rule, or what was changed of a default one. Its alerts stay."""
    AlertRule.objects.filter(tenant=rule.tenant, livemode=rule.livemode, rule_id=rule.id).delete()
    before = {"kind": rule.kind, **_told(rule, CHANGEABLE)}
    record_audit(tenant=rule.tenant, actor=actor, action="alert_rule.deleted", target=rule.id, before=before, now=now)


def _changed(rule: Rule, facts: Mapping[str, Any]) -> Rule:
    """The rule with other facts. Raises `InvalidRule` with all that is wrong."""
    wrong = {f"thresholds.{name}": told for name, told in refusals(rule.kind, facts.get("thresholds") or {}).items()}
    wrong |= {field: told for field, told in _wrong_facts(rule, facts) if told}
    if wrong:
        raise InvalidRule(wrong)
    said = {name: facts[name] for name in CHANGEABLE if name in facts}
    said["thresholds"] = {**rule.thresholds, **(facts.get("thresholds") or {})}
    for name in ("mail_to", "channels", "escalation"):
        if said.get(name) is not None:
            said[name] = tuple(said[name])
    return replace(rule, **said)


def _wrong_facts(rule: Rule, facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """(field, what is wrong with it) of what is no threshold; texts are empty where nothing is."""
    if "name" in facts:
        yield "name", "" if 0 < len(facts["name"].strip()) <= LONGEST_NAME else f"Takes 1 to {LONGEST_NAME} characters."
    if "severity" in facts:
        yield "severity", "" if facts["severity"] in SEVERITIES else f"Takes one of {', '.join(SEVERITIES)}."
    if "period_minutes" in facts:
        fits = LEAST_PERIOD <= facts["period_minutes"] <= LONGEST_PERIOD
        yield "period_minutes", "" if fits else f"Takes whole minutes from {LEAST_PERIOD} to {LONGEST_PERIOD}."
    if facts.get("mail_to"):
        yield "mail_to", _wrong_addresses(facts["mail_to"])
    if facts.get("channels"):
        there = ChatChannel.objects.filter(tenant=rule.tenant, livemode=rule.livemode, pk__in=facts["channels"])
        lacking = set(facts["channels"]) - set(there.values_list("pk", flat=True))
        yield "channels", f"There is no channel {', '.join(sorted(lacking))}." if lacking else ""
    if facts.get("quiet_hours") is not None:
        yield "quiet_hours", _wrong_hours(facts["quiet_hours"])
    if facts.get("escalation"):
        yield "escalation", _wrong_steps(facts["escalation"])


def _wrong_addresses(addresses: Sequence[str]) -> str:
    if len(addresses) > MOST_PEOPLE:
        return f"Takes at most {MOST_PEOPLE} addresses."
    for address in addresses:
        try:
            validate_email(address)
        except ValidationError:
            return "Takes e-mail addresses such as anna@example.com."
    return ""


def _wrong_hours(hours: QuietHours) -> str:
    try:
        if clock(hours.start) == clock(hours.end):
            return "They begin and end at the same time."
        zone(hours.zone)
    except ValueError as wrong:
        return str(wrong)
    return ""


def _wrong_steps(steps: Sequence[Step]) -> str:
    if len(steps) > MOST_STEPS:
        return f"Takes at most {MOST_STEPS} steps."
    minutes = [step.after_minutes for step in steps]
    if minutes != sorted(set(minutes)) or not all(1 <= one <= LONGEST_PERIOD for one in minutes):
        return f"Each step comes later than the one before, after 1 to {LONGEST_PERIOD} minutes."
    if not all(step.mail_to for step in steps):
        return "Each step names somebody."
    return next((told for step in steps if (told := _wrong_addresses(step.mail_to))), "")


def _store(rule: Rule, now: datetime) -> None:
    facts = {name: msgspec.to_builtins(getattr(rule, name)) for name in CHANGEABLE}
    AlertRule.objects.update_or_create(
        tenant=rule.tenant, livemode=rule.livemode, rule_id=rule.id,
        defaults={**facts, "kind": rule.kind, "changed_at": now},
        create_defaults={**facts, "kind": rule.kind, "changed_at": now, "created_at": now},
    )  # fmt: skip


def _told(rule: Rule, names: Iterable[str]) -> dict[str, Any]:
    return {name: msgspec.to_builtins(getattr(rule, name)) for name in names}


def _rule(row: AlertRule, tenant: Tenant) -> Rule:
    return Rule(
        tenant=tenant,
        livemode=row.livemode,
        id=row.rule_id,
        kind=row.kind,
        name=row.name,
        severity=row.severity,  # type: ignore[arg-type]  # Django's choices are the literal's
        thresholds={**defaults(row.kind), **row.thresholds},
        enabled=row.enabled,
        period_minutes=row.period_minutes,
        mail_to=None if row.mail_to is None else tuple(row.mail_to),
        channels=None if row.channels is None else tuple(row.channels),
        quiet_hours=None if row.quiet_hours is None else msgspec.convert(row.quiet_hours, QuietHours),
        escalation=msgspec.convert(row.escalation, tuple[Step, ...]),
        changed_at=row.changed_at,
    )
