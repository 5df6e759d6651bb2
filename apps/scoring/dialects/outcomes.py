"""Outcomes: a decision in the words the published interfaces share."""

from collections.abc import Iterable

from apps.scoring.engine.decide import ModelUsed
from apps.scoring.serving.decision_formats import Decision


def is_fraud(decision: Decision) -> bool:
    """A rule that blocks says yes, one that allows says no; else the model says it, from its threshold on."""
    if decision.decisive.kind != "model" and decision.recommended_action in ("block", "approve"):
        return decision.recommended_action == "block"
    probability, model = decision.fraud_probability, decision.model
    return probability is not None and model is not None and probability >= model.threshold


def model_name(model: ModelUsed | None) -> str | None:
    """A model exactly, as `model` of the native API takes it: xgboost@2026.11.1."""
    return None if model is None else f"{model.name}@{model.version}"


def first_model(decisions: Iterable[Decision]) -> str | None:
    """The model of the first decision that has one."""
    return next((model_name(decision.model) for decision in decisions if decision.model), None)


def units(decisions: Iterable[Decision]) -> int:
    return sum(decision.billed_units for decision in decisions)
