"""Multi-model (schema `card_activity`): the caller names the model, or asks all of them together.

Errors in a body are told as its first server told them, all at once: a list of {"loc", "msg", "type"}.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

from apps import card_numbers
from apps.errors import Problem
from apps.scoring.dialects import outcomes
from apps.scoring.dialects.requests import Asked
from apps.scoring.engine.engine import ENSEMBLE
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.schemas.card_activity import THRESHOLD, alerts, final_risk
from apps.scoring.engine.transaction import InvalidTransaction, TransactionSchema
from apps.scoring.serving.decision_formats import Decision

SCHEMA = "card_activity"
#: The order the models were published in.
PUBLISHED = ("random_forest", "logistic_regression", "xgboost", "lightgbm")
#: Hexadecimal digits at an id's end that make up its number: 52 bits, which every JSON reader keeps.
NUMBER_DIGITS = 13
#: What is said of a value of the wrong kind.
WRONG_KIND: Mapping[type, tuple[str, str]] = {
    int: ("value is not a valid integer", "type_error.integer"),
    float: ("value is not a valid float", "type_error.float"),
    str: ("str type expected", "type_error.str"),
    datetime: ("invalid datetime format", "value_error.datetime"),
}

Flag = Literal[0, 1]


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """What Multi-model clients read, and behind it what they never had."""

    Transaction_ID: Annotated[int, Meta(description="A number that follows from `id`: the same whenever it is told.")]
    User_ID: Annotated[int | str, Meta(description="As sent; the masked text of one that is a card number.")]
    Fraud_Probability: float
    Final_Risk_Score: Annotated[float, Meta(description="The probability, raised by signals; 1 when a rule blocks.")]
    isFraud_pred: Annotated[Flag, Meta(description="1 from a probability of 0.5 on, or when a rule blocks.")]
    alert_triggered: bool
    alert_reasons: Annotated[tuple[str, ...], Meta(description="The signals: Foreign, New Device, …")]
    timestamp: str
    model_used: str
    id: Annotated[str, Meta(description="Read it again at /v1/decisions/{id}.")]
    transaction_id: str
    fraud_type: str | None
    degraded: tuple[str, ...]
    warnings: tuple[str, ...]
    billed_units: int


class ModelPrediction(msgspec.Struct, frozen=True):
    """One model's vote; null and "Error" when it could not."""

    probability: float | None
    prediction: Flag | None
    label: Literal["Fraud", "Not Fraud", "Error"]


class EnsembleDetection(Detection, frozen=True, kw_only=True):
    """All models together: the majority decides."""

    ensemble_prediction: Flag
    ensemble_confidence: Annotated[float, Meta(description="Share of the voting models that agree with the majority.")]
    model_predictions: dict[str, ModelPrediction]
    models_used: Annotated[tuple[str, ...], Meta(description="Those that could vote.")]


class AvailableModel(msgspec.Struct, frozen=True):
    name: str
    file: str
    type: str
    status: Literal["available", "unavailable"]


class Endpoints(msgspec.Struct, frozen=True):
    single_model: str = "/detect?model={model_name}"
    ensemble: str = "/detect/ensemble"


class EnsembleInfo(msgspec.Struct, frozen=True):
    description: str = (
        "All models are asked; the majority decides. On a tie, fraud when the mean probability is at least 0.5."
    )
    benefits: tuple[str, ...] = (
        "One model's mistake is outvoted by the others.",
        "The share of models that agree says how sure the answer is.",
        "A model that fails is left out and the rest decide.",
    )


class AvailableModels(msgspec.Struct, frozen=True):
    """The models that can be asked for by name."""

    available_models: dict[str, AvailableModel]
    total_models: int
    default_model: str | None
    endpoints: Endpoints = Endpoints()
    ensemble_info: EnsembleInfo = EnsembleInfo()


def parse(content: Any, received_ms: int) -> Asked:
    """Raises `Problem` (422) with every wrong field in `extra["errors"]`."""
    schema = SCHEMAS[SCHEMA]
    if not isinstance(content, dict):
        raise _refusal([{"loc": ["body"], "msg": "value is not a valid dict", "type": "type_error.dict"}])
    try:
        return Asked(schema, schema.parse(content, received_ms))
    except InvalidTransaction as wrong:
        content = schema.read(content)
        raise _refusal([_error(schema, content, problem) for problem in schema.problems(content)]) from wrong


def render(asked: Asked, decision: Decision) -> Detection:
    """Raises `Problem` (500) when no model gave the probability."""
    return Detection(**_shared_fields(asked, decision))


def render_ensemble(asked: Asked, decision: Decision) -> EnsembleDetection:
    """Raises `Problem` (500) when no model gave the probability."""
    shared = _shared_fields(asked, decision)
    votes = _votes(decision)
    return EnsembleDetection(
        **shared,
        ensemble_prediction=int(shared["Fraud_Probability"] >= THRESHOLD),  # type: ignore[arg-type]
        ensemble_confidence=1.0 if decision.ensemble is UNSET else decision.ensemble.agreement,
        model_predictions=votes,
        models_used=tuple(name for name, vote in votes.items() if vote.probability is not None),
    )


def published(names: Iterable[str]) -> list[str]:
    """Models' names in the order they were published in, others behind."""
    order = {name: place for place, name in enumerate(PUBLISHED)}
    return sorted(names, key=lambda name: order.get(name, len(order)))


def require(model: str, available: Sequence[str]) -> None:
    """Raises `Problem` (400) naming the models there are."""
    if model not in available:
        there_are = ", ".join(available) or "none"
        raise Problem(
            "model_not_available",
            f"Model '{card_numbers.cut(model, 80)}' not available. Available models: {there_are}",
            "model",
        )


def _shared_fields(asked: Asked, decision: Decision) -> dict[str, Any]:
    if decision.fraud_probability is None or decision.model is None:
        raise Problem("inference_failed")
    signals = alerts(decision.rules)
    fraud = outcomes.is_fraud(decision)
    blocked = decision.decisive.kind == "rule" and fraud
    return {
        "Transaction_ID": int(decision.id[-NUMBER_DIGITS:], 16),
        "User_ID": asked.parsed.shown.User_ID,
        "Fraud_Probability": decision.fraud_probability,
        "Final_Risk_Score": 1.0 if blocked else final_risk(decision.fraud_probability, signals),
        "isFraud_pred": int(fraud),
        "alert_triggered": fraud or bool(signals),
        "alert_reasons": (*signals, f"Rule {decision.decisive.id}") if decision.decisive.kind == "rule" else signals,
        "timestamp": decision.created_at,
        "model_used": decision.model.name,
        "id": decision.id,
        "transaction_id": decision.transaction_id,
        "fraud_type": decision.fraud_type,
        "degraded": decision.degraded,
        "warnings": decision.warnings,
        "billed_units": decision.billed_units,
    }


def _votes(decision: Decision) -> dict[str, ModelPrediction]:
    """The votes by model; the one model's own when the same transaction was decided before by it alone."""
    if decision.ensemble is not UNSET:
        votes = decision.ensemble.models
        return {vote.name: ModelPrediction(vote.probability, vote.prediction, vote.label) for vote in votes}
    probability, name = decision.fraud_probability or 0.0, decision.model.name if decision.model else ENSEMBLE
    fraud = probability >= THRESHOLD
    return {name: ModelPrediction(probability, 1 if fraud else 0, "Fraud" if fraud else "Not Fraud")}


def _refusal(errors: list[dict[str, object]]) -> Problem:
    return Problem("field_invalid", "; ".join(str(error["msg"]) for error in errors), extra={"errors": errors})


def _error(schema: TransactionSchema, content: dict[str, Any], wrong: InvalidTransaction) -> dict[str, object]:
    message, kind = _message(schema, content, wrong)
    return {"loc": ["body", wrong.param], "msg": message, "type": kind}


def _message(schema: TransactionSchema, content: dict[str, Any], wrong: InvalidTransaction) -> tuple[str, str]:
    if wrong.missing:
        return "field required", "value_error.missing"
    value = content[wrong.param]
    if value is None:
        return "none is not an allowed value", "type_error.none.not_allowed"
    for kind, message in WRONG_KIND.items():
        if is_kind(kind, schema.types[wrong.param]) and not _converts(value, kind):
            return message
    return wrong.detail, "value_error"


def _converts(value: Any, kind: type) -> bool:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, OverflowError, UnicodeError):
        return False
    return True
