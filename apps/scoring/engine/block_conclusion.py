"""The end of a block's story: from rows and scores to verdicts, and to reasons for the rows that are to be explained.

What `conclusion.py` is for one row; the precedence is that of `decide.py`.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from apps.scoring.engine.asking import Answer, Chosen
from apps.scoring.engine.block import (
    ACTIONS,
    LEVELS,
    BlockDecisions,
    BlockScores,
    BlockVerdicts,
    Explain,
    RuleHits,
)
from apps.scoring.engine.block_rules import BlockValues, evaluate_block, typical_block
from apps.scoring.engine.block_scores import rounded, scores_of
from apps.scoring.engine.conclusion import why
from apps.scoring.engine.decide import RULE_ACTION, SEVERITY, Cause, Policy, Verdict, default_level
from apps.scoring.engine.explain import Reason
from apps.scoring.engine.rule_programs import programs_of
from apps.scoring.engine.rules import OTHER_FRAUD, PRECEDENCE, BuiltIn, Rule

NO_RULE = -1
APPROVE, REVIEW, BLOCK = (ACTIONS.index(action) for action in ("approve", "review", "block"))
LOW, MEDIUM, HIGH, CRITICAL = range(len(LEVELS))


def conclude_block(
    values: BlockValues, policy: Policy, chosen: Chosen, answer: Answer, degraded: tuple[str, ...], explain: Explain
) -> BlockDecisions:
    """From what is known of n rows and the models' margins to what was decided."""
    block, features = values.block, values.features
    programs = programs_of(policy, block.schema)
    rules = programs.rules
    limits = (policy.medium, policy.high, policy.critical, policy.review_at, policy.block_at)
    scores = scores_of(chosen, answer, limits)
    hits = evaluate_block(programs, values)
    deciding = deciding_rules(hits, policy, scores)
    verdicts = verdicts_of(policy, rules, deciding, scores, len(block))
    verdicts.fraud_type[:] = _fraud_types(values, rules, deciding, verdicts)
    rows = _rows_to_explain(explain, verdicts)
    packed = features.astype("<f4")
    contributions = _contributions(answer, packed, rows)
    return BlockDecisions(
        block=block,
        probability=rounded(scores.probability) if scores else None,
        risk_score=scores.risk_score if scores else None,
        verdicts=verdicts,
        rules=hits,
        model=scores.used if scores else None,
        features=packed if scores else None,
        reasons=_reasons(values, features, verdicts, rules, deciding, contributions, answer, rows),
        contributions={row: added.tobytes() for row, added in contributions.items()},
        degraded=degraded,
        policy_version=policy.version,
        list_checks=policy.list_checks,
        aggregates=programs.aggregates,
        values=values,
        exact=scores.probability if scores else None,
        chosen=chosen,
        answer=answer,
    )


def deciding_rules(hits: RuleHits, policy: Policy, scores: BlockScores | None) -> np.ndarray:
    """int16[n]: the weightiest rule that was hit on each row, `NO_RULE` where none decides.

    A built-in one that asks for less than the model gives way to it.
    """
    count = hits.hit.shape[1]
    asked = _model_actions(policy, scores.probability) if scores else np.zeros(count, dtype=np.int8)
    found = np.full(count, NO_RULE, dtype=np.int16)
    for number in _by_precedence(hits.rules):
        rule = hits.rules[number]
        open_ = hits.hit[number] & (found == NO_RULE)
        if isinstance(rule, BuiltIn):
            open_ &= SEVERITY.index(RULE_ACTION[rule.outcome]) >= asked
        found[open_] = number
    return found


def verdicts_of(
    policy: Policy, rules: Sequence[Rule], deciding: np.ndarray, scores: BlockScores | None, count: int
) -> BlockVerdicts:
    """Level, action and cause of every row; no fraud types yet."""
    if scores:
        level, action = _model_levels(policy, scores.probability), _model_actions(policy, scores.probability)
        otherwise = Cause("model", scores.used.name)
    else:
        level = np.full(count, LEVELS.index(default_level(policy)), dtype=np.int8)
        action = np.full(count, ACTIONS.index(policy.default_action), dtype=np.int8)
        otherwise = Cause("default", policy.default_action)
    scored_level = level.copy() if scores else np.zeros(count, dtype=np.int8)
    for number in np.unique(deciding[deciding != NO_RULE]).tolist():
        here = deciding == number
        action[here] = ACTIONS.index(RULE_ACTION[rules[number].outcome])
        level[here] = _ruled_levels(rules[number], scored_level[here])
    causes = (*(Cause("rule", rule.id) for rule in rules), otherwise)
    cause = np.where(deciding == NO_RULE, len(rules), deciding).astype(np.int16)
    return BlockVerdicts(level, action, cause, causes, np.full(count, None, dtype=object))


def _by_precedence(rules: Sequence[Rule]) -> list[int]:
    """The places of the rules that decide, the weightiest first, those of one weight in their order."""
    deciding = [number for number, rule in enumerate(rules) if rule.outcome != "note"]
    return sorted(deciding, key=lambda number: PRECEDENCE.index(rules[number].outcome))


def _model_levels(policy: Policy, probability: np.ndarray) -> np.ndarray:
    """`decide.risk_level` of every row."""
    higher = np.where(probability < policy.critical, HIGH, CRITICAL)
    found = np.where(probability < policy.high, MEDIUM, higher)
    return np.where(probability < policy.medium, LOW, found).astype(np.int8)


def _model_actions(policy: Policy, probability: np.ndarray) -> np.ndarray:
    """`decide.action` of every row."""
    found = np.where(probability < policy.block_at, REVIEW, BLOCK)
    return np.where(probability < policy.review_at, APPROVE, found).astype(np.int8)


def _ruled_levels(rule: Rule, level: np.ndarray) -> np.ndarray:
    """A block is critical, an allow is low, challenge and review are at least medium."""
    if rule.outcome in ("block", "fatal_block"):
        return np.full(len(level), CRITICAL, dtype=np.int8)
    if rule.outcome == "allow":
        return np.full(len(level), LOW, dtype=np.int8)
    return np.maximum(level, MEDIUM)


def _fraud_types(
    values: BlockValues, rules: Sequence[Rule], deciding: np.ndarray, verdicts: BlockVerdicts
) -> np.ndarray:
    """What each row looks like, None where it is approved at a low risk: its rule's own word, or the schema's table."""
    found = np.full(len(deciding), None, dtype=object)
    flagged = verdicts.flagged.nonzero()[0]
    if not len(flagged):
        return found
    named = np.array([rule.fraud_type if isinstance(rule, BuiltIn) else OTHER_FRAUD for rule in rules] + [OTHER_FRAUD])
    found[flagged] = named.astype(object)[deciding[flagged]]
    open_ = flagged[found[flagged] == OTHER_FRAUD]
    typical = typical_block(values.schema.typologies, values, open_)
    found[open_] = [OTHER_FRAUD if one is None else one for one in typical.tolist()]
    return found


def _rows_to_explain(explain: Explain, verdicts: BlockVerdicts) -> list[int]:
    if explain == "none":
        return []
    return list(range(len(verdicts.level))) if explain == "all" else verdicts.flagged.nonzero()[0].tolist()


def _contributions(answer: Answer, features: np.ndarray, rows: Sequence[int]) -> Mapping[int, np.ndarray]:
    """float32[F] contributions of each of these rows; none when no model answered."""
    if answer.explained_by is None or not rows:
        return {}
    return dict(zip(rows, answer.explained_by.contributions(features[rows]), strict=True))


def _reasons(
    values: BlockValues, features: np.ndarray, verdicts: BlockVerdicts, rules: Sequence[Rule], deciding: np.ndarray,
    contributions: Mapping[int, np.ndarray], answer: Answer, rows: Sequence[int],
) -> dict[int, tuple[Reason, ...]]:  # fmt: skip
    """Why, of the rows that are to be explained: each is read as a single call reads it."""
    found = {}
    for row in rows:
        parsed = values.block.parse(row)
        seen = values.told(row, parsed)
        number = int(deciding[row])
        rule = None if number == NO_RULE else rules[number]
        level, action = LEVELS[verdicts.level[row]], ACTIONS[verdicts.action[row]]
        verdict = Verdict(verdicts.causes[verdicts.cause[row]], level, action, rule)
        added = contributions.get(row)
        found[row] = why(values.schema, parsed, features[row].tolist(), verdict, seen, added)
    return found
