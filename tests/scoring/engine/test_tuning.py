"""A tenant switches and tunes the rules every tenant has."""

import re
from math import log

import pytest

from apps.scoring.engine.decide import Policy, tune
from apps.scoring.engine.rule_check import check_tunings
from apps.scoring.engine.rule_programs import programs_of
from apps.scoring.engine.rules import BuiltIn, Condition, InvalidRules, Rule, Tuning, built_in, tuned
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.wording import logarithms_of

PAYSIM = SCHEMAS["paysim"]
BUILT_IN = [(schema, rule) for schema in SCHEMAS.values() for rule in schema.rules]
#: Of windows and scales, which no limit is about.
NOT_LIMITS = re.compile(r"24 hours|0 is none, 1 a password, 2 a PIN, 3 a code, 4 two")
IN_WORDS = re.compile(r"\b(two|three|four|five|six|ten|twenty|fifth|tenth|half|nobody|few ever)\b|\d")


def black_hole(*tunings: Tuning) -> Rule | None:
    return next((rule for rule in tune(PAYSIM, tunings) if rule.id == "black_hole"), None)


def test_a_rule_is_off_softer_or_as_it_was() -> None:
    assert black_hole(Tuning("black_hole", outcome="off")) is None
    assert black_hole(Tuning("black_hole", outcome="review")).outcome == "review"
    assert black_hole(Tuning("black_hole", schema="payments", outcome="off")).outcome == "block"


def test_a_limit_moves_and_the_other_conditions_stay() -> None:
    found = black_hole(Tuning("black_hole", limits={"amount": 500.0}))
    assert [one.value for one in found.all if one.field == "amount"] == [500.0]
    assert len(found.all) == len(black_hole().all)


def test_a_limit_on_a_logarithm_is_told_as_what_it_was_taken_of() -> None:
    rule = built_in("review", "far", "Far.", Condition("against_usual", "gt", log(20.0)))
    found = tuned(rule, Tuning("far", limits={"against_usual": 40.0}), {"against_usual": log})
    assert found.all[0].value == log(40.0)


def test_a_policys_rules_are_the_tuned_ones_and_its_own() -> None:
    own = Rule("mine", "review", (Condition("amount", "gt", 5.0),), schema="paysim")
    policy = Policy(rules=(own,), built_in=(Tuning("black_hole", outcome="challenge"),))
    found = programs_of(policy, PAYSIM).rules
    assert [(rule.id, rule.outcome) for rule in found if rule.id in ("black_hole", "mine")] == [
        ("black_hole", "challenge"),
        ("mine", "review"),
    ]


@pytest.mark.parametrize(
    ("tuning", "says"),
    [
        (Tuning("nothing", outcome="off"), "there is no such built-in rule"),
        (Tuning("black_hole", schema="payments"), "there is no such built-in rule"),
        (Tuning("black_hole", limits={"type": 5.0}), "no limit on 'type'; it has: amount"),
        (Tuning("black_hole", limits={"amount": float("nan")}), "must be a number from 0 on"),
        (Tuning("black_hole", limits={"amount": 1e300}), "never holds"),
    ],
)
def test_a_tuning_that_makes_no_sense_is_refused(tuning: Tuning, says: str) -> None:
    with pytest.raises(InvalidRules, match=says):
        check_tunings([tuning])


def test_a_rule_is_tuned_once() -> None:
    with pytest.raises(InvalidRules, match="tuned before"):
        check_tunings([Tuning("black_hole"), Tuning("black_hole", outcome="off")])


@pytest.mark.parametrize("schema", list(SCHEMAS.values()), ids=list(SCHEMAS))
def test_every_limit_on_a_logarithm_is_told_as_what_that_was_taken_of(schema: TransactionSchema) -> None:
    """Whoever sets 1,000 dollars must not set a logarithm of 1,000."""
    logarithms = {feature.name for feature in schema.features if feature.shown_as}
    limits = {one.field for rule in schema.rules for one in rule.all if isinstance(one.value, float)}
    assert {name for name in limits if name.startswith("log_")} <= logarithms


def limits_of(rule: BuiltIn) -> list[str]:
    """The fields on which a rule has a limit from which on, or up to which, it hits."""
    return [one.field for one in rule.all if isinstance(one.value, float) and one.op in ("lt", "le", "gt", "ge")]


@pytest.mark.parametrize(("schema", "rule"), BUILT_IN, ids=[f"{schema.name}-{rule.id}" for schema, rule in BUILT_IN])
def test_a_tuned_rules_texts_name_the_limits_in_force(schema: TransactionSchema, rule: BuiltIn) -> None:
    for place, field in enumerate(limits_of(rule)):
        limit = 0.37 if field in ("share_left", "excess_loss") else 437.0 + place
        found = tuned(rule, Tuning(rule.id, limits={field: limit}), logarithms_of(schema))
        figures = "37%" if limit < 1 else f"{limit:g}"
        assert figures in found.description
        assert figures in found.says or f"[{field}" not in rule.worded[1]
        assert len(found.description) <= 200


@pytest.mark.parametrize(("schema", "rule"), BUILT_IN, ids=[f"{schema.name}-{rule.id}" for schema, rule in BUILT_IN])
def test_no_text_of_a_rule_has_a_limit_of_its_own(schema: TransactionSchema, rule: BuiltIn) -> None:
    for text in rule.worded:
        assert not IN_WORDS.search(NOT_LIMITS.sub("", re.sub(r"[\[{][^]}]*[]}]", "", text)))
