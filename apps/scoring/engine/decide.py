"""The verdict: which cause decides, how high the risk is, what to do."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import msgspec

from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.explain import Reason
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.engine.rules import PRECEDENCE, BuiltIn, Outcome, Rule, RuleResult, Tuning, tuned
from apps.scoring.engine.snoozes import Snooze
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.wording import logarithms_of

if TYPE_CHECKING:
    from apps.scoring.engine.aggregate_plan import Plan
    from apps.scoring.engine.rule_programs import Programs

RiskLevel = Literal["low", "medium", "high", "critical"]
Action = Literal["approve", "review", "challenge", "block"]

RULE_ACTION: dict[Outcome, Action] = {
    "fatal_block": "block",
    "allow": "approve",
    "block": "block",
    "challenge": "challenge",
    "review": "review",
}


SEVERITY: tuple[Action, ...] = ("approve", "review", "challenge", "block")


class OwnModels(msgspec.Struct, frozen=True):
    """A tenant's own models of one kind of transaction and one mode, by their ids: which one decides in place of the
    shared champion ("": none does), and which are asked beside it and never told. While there is an entry, what such
    models know of the parties is kept up to date."""

    schema: str
    champion: str = ""
    shadows: tuple[str, ...] = ()
    livemode: bool = True


class Policy(msgspec.Struct, frozen=True, dict=True):
    """What a tenant wants: where levels and actions begin (calibrated probability), and its own rules."""

    version: int = 0
    medium: float = 0.3
    high: float = 0.7
    critical: float = 0.9
    review_at: float = 0.3
    block_at: float = 0.7
    rules: tuple[Rule, ...] = ()
    default_action: Action = "review"  # when neither a rule nor a model can say
    home_country: str = ""  # the tenant's, as its transactions name it; "" when not told
    built_in: tuple[Tuning, ...] = ()  # what is changed of the rules every tenant has
    snoozes: tuple[Snooze, ...] = ()
    own_models: tuple[OwnModels, ...] = ()  # the tenant's own, one entry a kind of transaction and mode
    aggregates: tuple[Aggregate, ...] = ()  # what is counted for its rules beside what always is

    def own_models_for(self, schema_name: str, livemode: bool) -> OwnModels | None:
        """The tenant's own models of one kind of transaction; None where nothing is kept for any."""
        for one in self.own_models:
            if one.schema == schema_name and one.livemode == livemode:
                return one
        return None

    @cached_property
    def programs(self) -> "dict[str, Programs]":
        """Its rules compiled, by kind of transaction; `rule_programs.programs_of` fills it."""
        return {}

    @cached_property
    def aggregate_plans(self) -> "dict[str, Plan]":
        """What it has counted, by kind of transaction; `aggregate_plan.plan_of` fills it."""
        return {}

    @cached_property
    def list_checks(self) -> tuple[ListCheck, ...]:
        """What its live and shadow rules ask of the tenant's lists."""
        asked = (rule for rule in self.rules if rule.is_in_force)
        return tuple(dict.fromkeys(check for rule in asked for check in rule.list_checks))


def tune(schema: TransactionSchema, tunings: Sequence[Tuning]) -> tuple[BuiltIn, ...]:
    """A schema's built-in rules as a tenant tuned them, without those that are off."""
    meant = {tuning.id: tuning for tuning in tunings if tuning.schema in ("", schema.name)}
    logarithms = logarithms_of(schema)
    return tuple(
        tuned(rule, meant[rule.id], logarithms) if rule.id in meant else rule
        for rule in schema.rules
        if rule.id not in meant or meant[rule.id].outcome != "off"
    )


class Cause(msgspec.Struct, frozen=True):
    """What decided: a rule, the model, or the policy's default."""

    kind: Literal["rule", "model", "default"]
    id: str


class ModelUsed(msgspec.Struct, frozen=True):
    """Which model; `ranks_among` is whom the risk score ranks the transaction among."""

    name: str
    version: str
    threshold: float
    ranks_among: str = ""


class Vote(msgspec.Struct, frozen=True):
    """What one model of an ensemble says; probability and prediction are None when it could not."""

    name: str
    version: str
    probability: float | None
    prediction: Literal[0, 1] | None
    label: Literal["Fraud", "Not Fraud", "Error"]


class Ensemble(msgspec.Struct, frozen=True):
    """The votes, and the share of the voting models that agree with the majority."""

    agreement: float
    models: tuple[Vote, ...]


class ShadowScore(msgspec.Struct, frozen=True):
    """What a tenant's own model in shadow would have said: kept, never told."""

    model: str
    fraud_probability: float
    risk_score: int


class Decision(msgspec.Struct, frozen=True):
    """The answer.

    `features` and `contributions` are float32 little-endian vectors in the schema's feature order; the contributions
    are in calibrated log-odds and sum with the model's base to the score's. Both are empty without a model. `made_on`
    is what it takes beside them to decide again (`made_on.py`). `untold` are the rules that hit and are counted only:
    shadows, and live ones outside their share.
    """

    fraud_probability: float | None
    risk_score: int | None
    risk_level: RiskLevel
    recommended_action: Action
    fraud_type: str | None
    decisive: Cause
    reasons: tuple[Reason, ...]
    rules: tuple[RuleResult, ...]
    model: ModelUsed | None
    degraded: tuple[str, ...]
    warnings: tuple[str, ...]
    features: bytes
    contributions: bytes
    policy_version: int
    made_on: bytes
    ensemble: Ensemble | None = None
    untold: tuple[str, ...] = ()
    shadows: tuple[ShadowScore, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """Cause, level and action; `rule` is the rule that decided, if one did."""

    cause: Cause
    risk_level: RiskLevel
    action: Action
    rule: Rule | None = None


def decide(
    policy: Policy, rules: tuple[Rule, ...], results: tuple[RuleResult, ...], model: str, probability: float | None
) -> Verdict:
    """Fatal block list > allow list > block rules > challenge rules > review rules > model > default.

    A built-in rule never softens what the model asks for: one that asks for less gives way to it.
    """
    rule = deciding_rule(rules, results, 0 if probability is None else SEVERITY.index(action(policy, probability)))
    level = risk_level(policy, probability)
    if rule is not None:
        return Verdict(Cause("rule", rule.id), _ruled_level(rule, level), RULE_ACTION[rule.outcome], rule)
    if probability is not None:
        return Verdict(Cause("model", model), level, action(policy, probability))
    return Verdict(Cause("default", policy.default_action), default_level(policy), policy.default_action)


def deciding_rule(rules: tuple[Rule, ...], results: tuple[RuleResult, ...], least: int) -> Rule | None:
    """The weightiest rule that was hit; of the built-in ones only those as severe as `least` or more."""
    hits = [
        rule
        for rule, result in zip(rules, results, strict=True)
        if result.outcome == "hit" and rule.outcome != "note" and _has_a_say(rule, least)
    ]
    return min(hits, key=lambda rule: PRECEDENCE.index(rule.outcome)) if hits else None


def _has_a_say(rule: Rule, least: int) -> bool:
    return not isinstance(rule, BuiltIn) or SEVERITY.index(RULE_ACTION[rule.outcome]) >= least


def risk_level(policy: Policy, probability: float | None) -> RiskLevel:
    if probability is None or probability < policy.medium:
        return "low"
    if probability < policy.high:
        return "medium"
    return "high" if probability < policy.critical else "critical"


def action(policy: Policy, probability: float) -> Action:
    if probability < policy.review_at:
        return "approve"
    return "review" if probability < policy.block_at else "block"


def _ruled_level(rule: Rule, level: RiskLevel) -> RiskLevel:
    """A block is critical, an allow is low, challenge and review are at least medium."""
    if rule.outcome in ("block", "fatal_block"):
        return "critical"
    if rule.outcome == "allow":
        return "low"
    return "medium" if level == "low" else level


def default_level(policy: Policy) -> RiskLevel:
    return {"approve": "low", "block": "critical"}.get(policy.default_action, "medium")  # type: ignore[return-value]
