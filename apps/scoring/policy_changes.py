"""What a new policy changes, member by member and rule by rule, as the audit trail keeps it. Pure."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from apps import times
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import Rule, Tuning

#: Characters kept of a rule: a list of accounts may have ten thousand.
LONGEST = 1_000
#: What is not said of a rule: that it is as rules usually are.
USUAL = {"state": "live", "share": 100}


class Changes(NamedTuple):
    """The members that changed as they were and as they are; a rule that was not there, or is gone, is null."""

    before: dict[str, Any]
    after: dict[str, Any]


def changes(was: Policy, new: Policy) -> Changes:
    """What changed, by name; a rule is named `rules.<id>`, a tuning `built_in.<id>` and its schema, if it has one."""
    before, after = _members(was), _members(new)
    orders = [[rule.id for rule in policy.rules] for policy in (was, new)]
    if sorted(orders[0]) == sorted(orders[1]):  # else it is told of what came or went
        before["order of rules"], after["order of rules"] = orders
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return Changes({name: before.get(name) for name in names}, {name: after.get(name) for name in names})


def _members(policy: Policy) -> dict[str, Any]:
    """A policy's members, its rules one by one."""
    told = msgspec.to_builtins(policy)
    plain = {name: value for name, value in told.items() if name not in ("rules", "built_in", "snoozes")}
    snoozes = {f"snoozes.{one.rule} {one.field} {one.value}": times.rfc3339(one.until) for one in policy.snoozes}
    return plain | _by_id("rules", policy.rules) | _by_id("built_in", policy.built_in) | snoozes


def _by_id(member: str, listed: Iterable[Rule | Tuning]) -> dict[str, str]:
    """Each of them by its name, as JSON without what is not said."""
    return {f"{member}.{_name(one)}": _json(msgspec.to_builtins(one)) for one in listed}


def _name(one: Rule | Tuning) -> str:
    """A rule's id; of a tuning with the schema it is for, since several may have one id."""
    return f"{one.id} ({one.schema})" if isinstance(one, Tuning) and one.schema else one.id


def _json(rule: Mapping[str, Any]) -> str:
    said = {name: value for name, value in rule.items() if name != "id" and value not in (None, "", {}, [], ())}
    said = {name: value for name, value in said.items() if USUAL.get(name) != value}
    text = json.dumps(said, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
