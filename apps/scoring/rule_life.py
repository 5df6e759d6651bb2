"""A rule's life, step by step: draft, shadow, live for a share, live, retired. Each step is a newly published policy.

    draft ─► shadow ─► live at N % ─► live ─► retired ─► draft
       └────────────────►┘  ▲   └─► shadow

The published versions are its history: who, when, why, and the rule as it was. Nothing else is kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from django.db import transaction
from django.db.models import JSONField, Value
from django.db.models.expressions import Func

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Gate
from apps.scoring import policies
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rule_check import built_in_ids
from apps.scoring.engine.rules import InvalidRules, Rule, State
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.snoozes import MOST_SNOOZES, Snooze
from apps.scoring.lists.reads import types_of
from apps.scoring.models import PublishedPolicy
from apps.scoring.policy_file import InvalidPolicy, changed
from apps.text import recognised

#: Where a rule may go from each state. Within a state anything else of it may change.
NEXT: Mapping[State, frozenset[State]] = {
    "draft": frozenset(("shadow", "live", "retired")),
    "shadow": frozenset(("draft", "live", "retired")),
    "live": frozenset(("shadow", "retired")),
    "retired": frozenset(("draft", "shadow")),
}
LONGEST_SNOOZE = timedelta(days=366)
MOST_STEPS = 200  # of a history, the newest


class NoSuchRule(LookupError):
    """The policy in force has no rule of that id."""


class RuleExists(ValueError):
    """The policy in force has a rule of that id."""


class WrongStep(ValueError):
    """A state that does not follow; the message says which do."""


class WrongSnooze(ValueError):
    """A snooze that can't be; `member` is what is wrong with it."""

    def __init__(self, member: str, said: str) -> None:
        super().__init__(said)
        self.member = member


class Step(NamedTuple):
    """A version in which a rule was changed; `rule` is None where it was taken out."""

    version: int
    at: datetime
    by: str
    reason: str
    rule: Mapping[str, Any] | None


def create(*, tenant: Tenant, rule: Mapping[str, Any], gate: Gate, now: datetime, actor: str, reason: str) -> Rule:
    """Publish a new rule. Raises `RuleExists`, `InvalidPolicy`."""

    def added(policy: Policy) -> list[Any]:
        if any(one.id == rule["id"] for one in policy.rules):
            raise RuleExists(rule["id"])
        return [*msgspec.to_builtins(policy.rules), dict(rule)]

    return _published(tenant, str(rule["id"]), added, gate, now, actor, reason)


def change(
    *, tenant: Tenant, rule_id: str, what: Mapping[str, Any], gate: Gate, now: datetime, actor: str, reason: str
) -> Rule:
    """Publish a rule with what is said of it in place of what it said; nothing where that changes nothing.

    Raises `NoSuchRule`, `WrongStep`, `InvalidPolicy`.
    """

    def with_change(policy: Policy) -> list[Any]:
        was = find(policy, rule_id)
        check_step(was.state, what.get("state", was.state))
        return [_changed(one, what) if one["id"] == rule_id else one for one in msgspec.to_builtins(policy.rules)]

    return _published(tenant, rule_id, with_change, gate, now, actor, reason)


def snooze(*, tenant: Tenant, what: Snooze, gate: Gate, now: datetime, actor: str, reason: str) -> None:
    """Have a rule, also a built-in one, leave an entity alone for a time; said again it takes the place of what was.

    Raises `NoSuchRule`, `WrongSnooze`.
    """
    check_snooze(what, now)

    def added(policy: Policy) -> Policy:
        check_there_is(policy, what.rule)
        kept = [one for one in awake(policy, now).snoozes if _entity(one) != _entity(what)]
        if len(kept) >= MOST_SNOOZES:
            raise WrongSnooze("rule", f"At most {MOST_SNOOZES} snoozes are kept at a time; end one first.")
        return msgspec.structs.replace(policy, snoozes=(*kept, what))

    republished(tenant, added, gate, now, actor, reason)


def wake(
    *, tenant: Tenant, rule_id: str, field: str, value: str, gate: Gate, now: datetime, actor: str, reason: str
) -> None:
    """End a snooze; nothing where there is none. Raises `NoSuchRule`."""

    def without(policy: Policy) -> Policy:
        check_there_is(policy, rule_id)
        kept = tuple(one for one in policy.snoozes if _entity(one) != (rule_id, field, recognised(value)))
        return msgspec.structs.replace(policy, snoozes=kept)

    republished(tenant, without, gate, now, actor, reason)


def check_there_is(policy: Policy, rule_id: str) -> None:
    """Raises `NoSuchRule` for what is neither a rule of the tenant nor a built-in one."""
    if rule_id not in {rule.id for rule in policy.rules} | built_in_ids():
        raise NoSuchRule(rule_id)


def awake(policy: Policy, now: datetime) -> Policy:
    """The policy without the snoozes that are over."""
    return msgspec.structs.replace(policy, snoozes=tuple(one for one in policy.snoozes if one.until > now))


def check_snooze(what: Snooze, now: datetime) -> None:
    """Raises `WrongSnooze`."""
    if not any(what.field in schema.fields for schema in SCHEMAS.values()):
        raise WrongSnooze("field", f"'{what.field}' is no field that transactions have.")
    if what.until.tzinfo is None or not now < what.until <= now + LONGEST_SNOOZE:
        raise WrongSnooze("until", f"'until' is a time from now on, with its zone, at most {LONGEST_SNOOZE.days} days.")


def _entity(one: Snooze) -> tuple[str, str, str]:
    return one.rule, one.field, recognised(one.value)


def find(policy: Policy, rule_id: str) -> Rule:
    """Raises `NoSuchRule`."""
    for rule in policy.rules:
        if rule.id == rule_id:
            return rule
    raise NoSuchRule(rule_id)


def check_step(was: State, to: State) -> None:
    """Raises `WrongStep`."""
    if to != was and to not in NEXT[was]:
        raise WrongStep(f"'state': a rule that is {was} becomes {' or '.join(sorted(NEXT[was]))}, not {to}.")


def history(tenant: Tenant, rule_id: str) -> list[Step]:
    """Every version in which a rule became another, the newest first. Of the documents only the rule is read."""
    rule = Func(
        "document",
        Value("$.rules[*] ? (@.id == $id)"),
        Value({"id": rule_id}, JSONField()),
        function="jsonb_path_query_first",
        output_field=JSONField(),
    )
    with in_tenant(tenant):
        rows = PublishedPolicy.objects.annotate(rule=rule).order_by("version")
        told = list(rows.values_list("version", "published_at", "published_by", "note", "rule"))
    return list(_steps(told))[::-1][:MOST_STEPS]


def _steps(told: Sequence[tuple[int, datetime, str, str, Any]]) -> Iterator[Step]:
    was: Rule | None = None
    for version, at, by, note, document in told:
        rule = None if document is None else msgspec.convert(document, Rule)
        if rule != was:
            yield Step(version, at, by, note, document)
        was = rule


def _changed(rule: Mapping[str, Any], what: Mapping[str, Any]) -> dict[str, Any]:
    """A rule with changes; a condition as text takes the place of a list of them, and the other way round."""
    other: dict[str, dict[str, Any]] = {"when": {"all": []}, "all": {"when": ""}}
    emptied = {name: value for said in what for name, value in other.get(said, {}).items()}
    return {**rule, **emptied, **what}


def _published(
    tenant: Tenant, rule_id: str, rules: Callable[[Policy], list[Any]], gate: Gate, now: datetime, actor: str,
    reason: str,
) -> Rule:  # fmt: skip
    """Raises `InvalidPolicy`, also when a list was deleted meanwhile."""
    lists = types_of(tenant.schema_name)
    try:
        policy = republished(tenant, lambda was: changed(was, {"rules": rules(was)}, lists), gate, now, actor, reason)
    except InvalidRules as wrong:
        raise InvalidPolicy(str(wrong)) from wrong
    return find(policy, rule_id)


def republished(
    tenant: Tenant, change: Callable[[Policy], Policy], gate: Gate, now: datetime, actor: str, reason: str
) -> Policy:
    """Change the policy in force, whoever else changes it meanwhile; nothing is published where nothing is changed."""
    with transaction.atomic():
        locked = Tenant.objects.select_for_update().get(pk=tenant.pk)
        was = policies.in_force(locked)
        policy = change(was)
        if policy != was:
            policies.publish(tenant=locked, policy=policy, gate=gate, now=now, actor=actor, note=reason)
    return policy
