"""The end of a decision's story: from a row and its score to the answer, by rules, verdict and reasons."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.scoring.engine.asking import Scored
from apps.scoring.engine.decide import Decision, Policy, Verdict, decide
from apps.scoring.engine.explain import Reason, reasons, rule_reason
from apps.scoring.engine.rules import OTHER_FRAUD, BuiltIn, Rule, asks_only_for, evaluate, not_evaluated, typical
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import Parsed, TransactionSchema


def conclude(
    schema: TransactionSchema,
    parsed: Parsed,
    row: Sequence[float],
    policy: Policy,
    scored: Scored | None,
    degraded: tuple[str, ...],
) -> Decision:
    """From the row and its score to the answer: rules, verdict, reasons."""
    rules = policy.rules_for(schema, meant_for)
    values = schema.values(parsed.facts, row, policy.home_country)
    results = evaluate(rules, values)
    probability = scored.probability if scored else None
    verdict = decide(policy, rules, results, scored.used.name if scored else "", probability)
    return Decision(
        fraud_probability=None if probability is None else round(probability, 6),
        risk_score=scored.risk_score if scored else None,
        risk_level=verdict.risk_level,
        recommended_action=verdict.action,
        fraud_type=_fraud_type(schema, verdict, values),
        decisive=verdict.cause,
        reasons=why(schema, parsed, row, verdict, values, scored.contributions if scored else None),
        rules=results,
        model=scored.used if scored else None,
        degraded=degraded,
        warnings=parsed.warnings + not_evaluated(results) + (scored.by.not_sent(parsed.transaction) if scored else ()),
        features=scored.features if scored else b"",
        contributions=scored.contributions.tobytes() if scored else b"",
        ensemble=scored.ensemble if scored else None,
    )


def why(
    schema: TransactionSchema, parsed: Parsed, row: Sequence[float], verdict: Verdict, values: Mapping[str, Any],
    contributions: np.ndarray | None,
) -> tuple[Reason, ...]:  # fmt: skip
    """The deciding rule's reason, and what moved the score: float32[F] contributions, None when no model answered."""
    rule = rule_reason(schema, verdict.rule, parsed.shown, values) if verdict.rule else None
    if contributions is None:
        return (rule,) if rule else ()
    asked = verdict.rule.all[0].field if verdict.rule else ""
    return reasons(schema, parsed.shown, row, contributions, rule, asked)


def _fraud_type(schema: TransactionSchema, verdict: Verdict, values: Mapping[str, Any]) -> str | None:
    """What it looks like, unless it is approved at a low risk: the deciding rule's own word, or the schema's table."""
    if verdict.action == "approve" and verdict.risk_level == "low":
        return None
    named = verdict.rule.fraud_type if isinstance(verdict.rule, BuiltIn) else OTHER_FRAUD
    return typical(schema.typologies, values) or OTHER_FRAUD if named == OTHER_FRAUD else named


def meant_for(schema: str, rule: Rule) -> bool:
    """Whether a tenant's rule is asked of this kind of transaction: by its name, or by the fields it asks for.

    Fields that no kind has together are asked for everywhere: the rule errs, and is told so.
    """
    if rule.schema:
        return rule.schema == schema
    able = [name for name, one in SCHEMAS.items() if asks_only_for(rule, one.known_to_rules)]
    return schema in able or not able
