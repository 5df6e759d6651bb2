"""A rule that breaks is told as an error and decides nothing; the others go on, alone and in blocks."""

from dataclasses import replace

import pytest

from apps.scoring.engine.block import block_of
from apps.scoring.engine.block_pasts import past_columns
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.expressions.meaning import Compare, Constant, Variable
from apps.scoring.engine.expressions.one_row import function_of
from apps.scoring.engine.rule_programs import Compiled, percentile, programs_of
from apps.scoring.engine.rules import Rule
from apps.scoring.engine.schemas import SCHEMAS

PAYMENTS = SCHEMAS["payments"]
NEVER_TYPED = Compare("<", Variable("merchant_id"), Constant(5.0), "number")


@pytest.fixture
def policy() -> Policy:
    """One whose first live rule and whose shadow break, which no check would let through."""
    rules = (
        Rule("broken", "block", when="merchant_id == 'M1'"), Rule("sound", "review", when="amount > 5"),
        Rule("quiet", "block", when="merchant_id == 'M1'", state="shadow"),
    )  # fmt: skip
    made = Policy(rules=rules)
    found = programs_of(made, PAYMENTS)
    live = (Compiled(rules[0], NEVER_TYPED, ()), found.live[1])
    shadows = (Compiled(rules[2], NEVER_TYPED, ()),)
    conditions = [one.condition for one in (*live, *shadows)]
    function = function_of(conditions, tuple(found.names), ())  # type: ignore[arg-type]
    made.programs["payments"] = replace(found, live=live, shadows=shadows, function=function)
    return made


def test_a_rule_that_breaks_errs_alone(policy: Policy) -> None:
    parsed = PAYMENTS.parse({"amount": 10, "user_id": "Ann", "merchant_id": "M1"})
    decided = Engine({}).decide(PAYMENTS, parsed, {}, policy)
    outcomes = {one.id: one.outcome for one in decided.rules}
    assert (outcomes["broken"], outcomes["sound"]) == ("error", "hit")
    assert decided.decisive.id == "sound" and decided.untold == ()
    block = Engine({}).decide_block(block_of(PAYMENTS, [parsed]), past_columns(PAYMENTS, [{}]), policy, explain="all")
    assert block.decision(0) == decided


def test_shares_are_chosen_independently_and_evenly() -> None:
    users = [f"user-{number}" for number in range(10_000)]
    one, two = ({user for user in users if percentile(rule, user) < 30} for rule in ("one", "two"))
    assert 2_800 < len(one) < 3_200 and 700 < len(one & two) < 1_100
    assert one < {user for user in users if percentile("one", user) < 31}
