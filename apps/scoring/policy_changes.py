"""What is between two policies, member by member and rule by rule: whole, and as the audit trail keeps it. Pure."""

import json
from collections.abc import Iterable
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from apps import times
from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import Rule, Tuning

#: Characters the audit trail keeps of a rule: a list of accounts may have ten thousand.
LONGEST = 1_000
#: What is not said of a rule: that it is as rules usually are.
USUAL = {"state": "live", "share": 100, "archived": False}
#: Members by which it is called, said before.
NAMES = ("id", "name")


class PolicyChange(msgspec.Struct, frozen=True):
    """One member that is not the same in two policies; null where there is none."""

    member: Annotated[
        str,
        Meta(
            description="By its name; a rule is `rules.<id>`, a tuning `built_in.<id>` with its schema, if it has one, "
            "an aggregate `aggregates.<name>`, and `order of rules` are the ids of the same rules in another order."
        ),
    ]
    before: Any
    after: Any


class Changes(NamedTuple):
    """The members that changed as they were and as they are; a rule that was not there, or is gone, is null."""

    before: dict[str, Any]
    after: dict[str, Any]


def differences(was: Policy, new: Policy) -> tuple[PolicyChange, ...]:
    """What changed, rule by rule; not the versions' own numbers."""
    before, after = _members(was), _members(new)
    orders = [[rule.id for rule in policy.rules] for policy in (was, new)]
    if sorted(orders[0]) == sorted(orders[1]):  # else it is told of what came or went
        before["order of rules"], after["order of rules"] = orders
    names = dict.fromkeys((*before, *after))
    changed = [name for name in names if before.get(name) != after.get(name) and name != "version"]
    return tuple(PolicyChange(name, before.get(name), after.get(name)) for name in changed)


def changes(was: Policy, new: Policy) -> Changes:
    """The same for the audit trail: rules as texts that are not too long, and the version."""
    versions = (PolicyChange("version", was.version, new.version),) if was.version != new.version else ()
    told = (*versions, *differences(was, new))
    return Changes({one.member: _short(one.before) for one in told}, {one.member: _short(one.after) for one in told})


def _members(policy: Policy) -> dict[str, Any]:
    """A policy's members, its rules one by one."""
    told = msgspec.to_builtins(policy)
    plain = {name: value for name, value in told.items() if name not in ("rules", "built_in", "snoozes", "aggregates")}
    snoozes = {f"snoozes.{one.rule} {one.field} {one.value}": times.rfc3339(one.until) for one in policy.snoozes}
    named = (("rules", policy.rules), ("built_in", policy.built_in), ("aggregates", policy.aggregates))
    return plain | {name: said for member, listed in named for name, said in _by_id(member, listed).items()} | snoozes


def _by_id(member: str, listed: Iterable[Rule | Tuning | Aggregate]) -> dict[str, dict[str, Any]]:
    """Each of them by its name, without what is not said."""
    return {f"{member}.{_name(one)}": _said(msgspec.to_builtins(one)) for one in listed}


def _name(one: Rule | Tuning | Aggregate) -> str:
    """A rule's id; of a tuning with the schema it is for, since several may have one id; an aggregate's name."""
    if isinstance(one, Aggregate):
        return one.name
    return f"{one.id} ({one.schema})" if isinstance(one, Tuning) and one.schema else one.id


def _said(rule: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in rule.items() if name not in NAMES and value not in (None, "", {}, [], ())}
    return {name: value for name, value in said.items() if USUAL.get(name) != value}


def _short(value: Any) -> Any:
    """A rule as a text that is not too long; anything else as it is."""
    if not isinstance(value, dict):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
