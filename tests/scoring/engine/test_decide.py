import pytest

from apps.scoring.engine.decide import Policy, decide
from apps.scoring.engine.rules import PRECEDENCE, Condition, Rule, RuleResult, built_in

RULES = tuple(Rule(outcome, outcome, (Condition("amount", "gt", 0.0),)) for outcome in reversed(PRECEDENCE))


def verdict(*hits, probability=0.05, policy=None):
    results = tuple(RuleResult(rule.id, "hit" if rule.id in hits else "no_hit") for rule in RULES)
    return decide(policy or Policy(), RULES, results, "xgboost", probability)


@pytest.mark.parametrize("index", range(len(PRECEDENCE)))
def test_the_weightiest_hit_decides(index):
    assert verdict(*PRECEDENCE[index:]).cause.id == PRECEDENCE[index]


@pytest.mark.parametrize(
    ("hit", "level", "action"),
    [
        ("fatal_block", "critical", "block"), ("allow", "low", "approve"), ("block", "critical", "block"),
        ("challenge", "medium", "challenge"), ("review", "medium", "review"),
    ],
)  # fmt: skip
def test_a_rule_sets_level_and_action(hit, level, action):
    found = verdict(hit)
    assert (found.risk_level, found.action, found.cause.kind) == (level, action, "rule")


def test_a_review_does_not_lower_a_high_risk():
    assert verdict("review", probability=0.95).risk_level == "critical"


@pytest.mark.parametrize(
    ("probability", "level", "action"),
    [
        (0.0, "low", "approve"), (0.2999, "low", "approve"), (0.3, "medium", "review"), (0.6999, "medium", "review"),
        (0.7, "high", "block"), (0.8999, "high", "block"), (0.9, "critical", "block"), (1.0, "critical", "block"),
    ],
)  # fmt: skip
def test_the_model_decides_at_the_documented_bounds(probability, level, action):
    found = verdict(probability=probability)
    assert (found.risk_level, found.action, found.cause.kind, found.cause.id) == (level, action, "model", "xgboost")


def test_bounds_are_the_tenants():
    strict = Policy(medium=0.01, review_at=0.01, high=0.04, block_at=0.04)
    found = verdict(probability=0.05, policy=strict)
    assert (found.risk_level, found.action) == ("high", "block")


def test_without_rule_and_model_the_default_decides():
    found = verdict(probability=None)
    assert (found.cause.kind, found.risk_level, found.action) == ("default", "medium", "review")


@pytest.mark.parametrize(
    ("outcome", "probability", "action", "cause"),
    [
        ("review", 0.05, "review", "rule"), ("review", 0.5, "review", "rule"), ("review", 0.8, "block", "model"),
        ("challenge", 0.5, "challenge", "rule"), ("challenge", 0.8, "block", "model"), ("block", 0.8, "block", "rule"),
        ("note", 0.05, "approve", "model"), ("review", None, "review", "rule"),
    ],
)  # fmt: skip
def test_a_built_in_rule_never_softens_the_model(outcome, probability, action, cause):
    rule = built_in(outcome, "ours", "Ours.", Condition("amount", "gt", 0.0))
    found = decide(Policy(), (rule,), (RuleResult("ours", "hit"),), "xgboost", probability)
    assert (found.action, found.cause.kind) == (action, cause)


def test_a_tenants_own_rule_goes_before_the_model():
    assert verdict("review", probability=0.95).action == "review"
