"""The audit trail says of a new policy what it changed: every member and every rule, from what to what."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.decide import OwnModels, Policy
from apps.scoring.engine.rules import Condition, Rule, Tuning
from apps.scoring.engine.snoozes import Snooze
from apps.scoring.policy_changes import LONGEST, changes

MINE = Rule("mine", "review", (Condition("amount", "gt", 5.0),))
#: Another value of every member.
OTHER: dict[str, Any] = {
    "version": 2, "medium": 0.2, "high": 0.8, "critical": 0.95, "review_at": 0.25, "block_at": 0.75, "rules": (MINE,),
    "default_action": "block", "home_country": "Kenya", "built_in": (Tuning("black_hole", "paysim", "off"),),
    "snoozes": (Snooze("mine", "user_id", "Ann", datetime(2027, 1, 1, tzinfo=UTC)),),
    "own_models": (OwnModels("paysim", "mdl_1"),),
    "aggregates": (Aggregate("mine", "payments", ("card_bin",), "count", "1h"),),
}  # fmt: skip


@pytest.mark.parametrize("member", Policy.__struct_fields__)
def test_every_member_that_changed_is_told_and_no_other(member: str) -> None:
    before, after = changes(Policy(), msgspec.structs.replace(Policy(), **{member: OTHER[member]}))
    assert {name.partition(".")[0] for name in after} == {member}
    assert before.keys() == after.keys()
    if member not in ("rules", "built_in", "snoozes", "own_models", "aggregates"):
        assert (before, after) == ({member: getattr(Policy(), member)}, {member: OTHER[member]})


def test_a_rule_is_told_alone_with_what_it_said_and_says() -> None:
    was = Policy(rules=(MINE, Rule("other", "block", MINE.all)))
    new = msgspec.structs.replace(was, rules=(Rule("mine", "block", MINE.all), was.rules[1]))
    before, after = changes(was, new)
    assert list(before) == ["rules.mine"]
    assert '"outcome": "review"' in before["rules.mine"]
    assert '"outcome": "block"' in after["rules.mine"]


def test_a_rule_that_is_gone_is_none_and_a_tuning_is_named_with_its_schema() -> None:
    was, new = Policy(rules=(MINE,), built_in=OTHER["built_in"]), Policy()
    before, after = changes(was, new)
    assert after == {"rules.mine": None, "built_in.black_hole (paysim)": None}
    assert before.keys() == after.keys()


def test_rules_that_change_places_are_told_as_such() -> None:
    other = Rule("other", "review", MINE.all)
    assert changes(Policy(rules=(MINE, other)), Policy(rules=(other, MINE))) == (
        {"order of rules": ["mine", "other"]},
        {"order of rules": ["other", "mine"]},
    )


def test_a_long_list_is_cut() -> None:
    many = Rule("many", "block", (Condition("user_id", "in", tuple(f"user-{number}" for number in range(10_000))),))
    assert len(changes(Policy(), Policy(rules=(many,))).after["rules.many"]) == LONGEST
