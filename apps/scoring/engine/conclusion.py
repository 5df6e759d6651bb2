"""The end of a decision's story: from a row and its score to the answer, by rules, verdict and reasons."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from apps.scoring.engine import made_on
from apps.scoring.engine.asking import Scored
from apps.scoring.engine.decide import Decision, Policy, Verdict, decide
from apps.scoring.engine.explain import Reason, reasons, rule_reason
from apps.scoring.engine.known_aggregates import KnownAggregates
from apps.scoring.engine.list_checks import KnownLists
from apps.scoring.engine.rule_fields import counted_of
from apps.scoring.engine.rule_programs import programs_of
from apps.scoring.engine.rules import OTHER_FRAUD, BuiltIn, not_evaluated, typical
from apps.scoring.engine.transaction import Parsed, TransactionSchema
from apps.scoring.engine.windows import Activity


def conclude(
    schema: TransactionSchema,
    parsed: Parsed,
    row: Sequence[float],
    policy: Policy,
    scored: Scored | None,
    degraded: tuple[str, ...],
    pasts: Sequence[Activity],
    known_lists: KnownLists | None = None,
    known_aggregates: KnownAggregates | None = None,
) -> Decision:
    """From the row and its score to the answer: rules, verdict, reasons. `pasts` follow the schema's roles."""
    programs = programs_of(policy, schema)
    rules = programs.rules
    values = schema.values(parsed.facts, row, policy.home_country)
    values.look_back(counted_of(schema), pasts)
    if known_aggregates:
        values.tell(known_aggregates)
    results, untold = programs.found(parsed, values, known_lists)
    probability, features = (scored.probability, scored.features) if scored else (None, b"")
    said = made_on.answered(policy.list_checks, known_lists)
    said += made_on.aggregated(programs.aggregates, known_aggregates)
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
        features=features,
        contributions=scored.contributions.tobytes() if scored else b"",
        policy_version=policy.version,
        made_on=made_on.packed(row, features, probability, made_on.counted(pasts), said),
        ensemble=scored.ensemble if scored else None,
        untold=untold,
    )


def why(
    schema: TransactionSchema, parsed: Parsed, row: Sequence[float], verdict: Verdict, values: Mapping[str, Any],
    contributions: np.ndarray | None,
) -> tuple[Reason, ...]:  # fmt: skip
    """The deciding rule's reason, and what moved the score: float32[F] contributions, None when no model answered."""
    rule = rule_reason(schema, verdict.rule, parsed.shown, values) if verdict.rule else None
    if contributions is None:
        return (rule,) if rule else ()
    asked = verdict.rule.first_name if verdict.rule else ""
    return reasons(schema, parsed.shown, row, contributions, rule, asked)


def _fraud_type(schema: TransactionSchema, verdict: Verdict, values: Mapping[str, Any]) -> str | None:
    """What it looks like, unless it is approved at a low risk: the deciding rule's own word, or the schema's table."""
    if verdict.action == "approve" and verdict.risk_level == "low":
        return None
    named = verdict.rule.fraud_type if isinstance(verdict.rule, BuiltIn) else OTHER_FRAUD
    return typical(schema.typologies, values) or OTHER_FRAUD if named == OTHER_FRAUD else named
