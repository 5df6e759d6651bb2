"""What decisions tell at /metrics: how many, which, how quickly; and those that something was away for.

Labels take few values, whatever is asked: kinds of transaction, names of models, actions, plans.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np
from prometheus_client import Counter, Histogram

from apps.scoring.engine.block import ACTIONS, LEVELS, BlockDecisions
from apps.scoring.engine.decide import RiskLevel
from apps.scoring.serving.journal_entries import Made
from apps.scoring.serving.requests import Attempt

PREDICTIONS = Counter(
    "fraud_predictions_total",
    "Decisions kept, each once; no dry runs, no duplicates",
    ["schema", "model", "action", "tier"],
)
DETECTED = Counter(
    "fraud_detected_total", "Of these the ones at risk level high or critical", ["schema", "model", "tier"]
)
SECONDS = Histogram(
    "prediction_duration_seconds",
    "From a request's arrival until its decision was made",
    ["schema"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
DEGRADED = Counter("palisade_degraded_answers_total", "Answers that something was away for", ["part"])

#: What may be away, as answers call it; of a model its name is left out.
PARTS = ("storage", "history", "limits", "model")
for _part in PARTS:
    DEGRADED.labels(_part)  # told from the beginning, so that the first one is seen as a rise

#: Of `model` where none answered, and of `tier` for test keys and where the plan is not known.
NO_MODEL, TEST, UNKNOWN = "none", "test", "unknown"
FRAUD_LEVELS: tuple[RiskLevel, ...] = ("high", "critical")


def count(attempt: Attempt, made: Iterable[Made]) -> None:
    """Count decisions that were acknowledged: a request's."""
    tier = tier_of(attempt.request.key.livemode, attempt.admission.plan)
    for one in made:
        decision = one.decision
        model = decision.model.name if decision.model else NO_MODEL
        _predictions(decision.schema, model, decision.recommended_action, tier).inc()
        if decision.risk_level in FRAUD_LEVELS:
            _detected(decision.schema, model, tier).inc()
        _seconds(decision.schema).observe(decision.timing_ms.total / 1000)
        for part in decision.degraded:
            DEGRADED.labels(part.partition(":")[0]).inc()


def count_block(decided: BlockDecisions, rows: np.ndarray, tier: str) -> None:
    """Count those rows of a block that were kept."""
    schema, model = decided.block.schema.name, decided.model.name if decided.model else NO_MODEL
    actions = np.bincount(decided.verdicts.action[rows], minlength=len(ACTIONS))
    for action, number in zip(ACTIONS, actions.tolist(), strict=True):
        if number:
            _predictions(schema, model, action, tier).inc(number)
    fraud = np.isin(decided.verdicts.level[rows], [LEVELS.index(level) for level in FRAUD_LEVELS]).sum()
    if fraud:
        _detected(schema, model, tier).inc(int(fraud))


def tier_of(livemode: bool, plan: str) -> str:
    """The plan's name, or that it is a test."""
    return (plan or UNKNOWN) if livemode else TEST


@cache
def _predictions(schema: str, model: str, action: str, tier: str) -> Counter:
    """The counter of these labels, looked up once: looking costs more than counting."""
    return PREDICTIONS.labels(schema, model, action, tier)


@cache
def _detected(schema: str, model: str, tier: str) -> Counter:
    return DETECTED.labels(schema, model, tier)


@cache
def _seconds(schema: str) -> Histogram:
    return SECONDS.labels(schema)
