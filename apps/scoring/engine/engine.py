"""The story of a decision: features, rules, model, explanation, verdict."""

from collections.abc import Mapping, Sequence
from struct import Struct
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np

from apps.scoring.engine.decide import Decision, ModelUsed, Policy, decide
from apps.scoring.engine.explain import Reason, reasons, rule_reason
from apps.scoring.engine.history import UNKNOWN, Activity
from apps.scoring.engine.models import LoadedModel, ModelRefused
from apps.scoring.engine.rules import evaluate
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import Parsed, TransactionSchema

NO_HISTORY: Mapping[str, Activity] = MappingProxyType({})
HISTORY_AWAY = ("history",)


class UnknownModel(ValueError):
    """A model was asked for that does not exist; the message names those that do."""


class Scored(NamedTuple):
    """What a model says of one row: the margin, the vectors as stored, and the contributions as floats."""

    model: LoadedModel
    margin: float
    features: bytes
    contributions: np.ndarray


class Engine:
    """Decides transactions of every schema. Holds loaded models and nothing that changes: share it between threads."""

    def __init__(self, models: Mapping[str, Mapping[str, LoadedModel | ModelRefused]]) -> None:
        self._models = models
        self._pack = {name: Struct(f"<{len(schema.features)}f").pack for name, schema in SCHEMAS.items()}

    def decide(
        self,
        schema: str | TransactionSchema,
        parsed: Parsed,
        activity: Mapping[str, Activity] | None,
        policy: Policy,
        model: str | None = None,
    ) -> Decision:
        """One transaction with its history (None: unavailable) under a policy. Raises `UnknownModel`."""
        schema = _schema(schema)
        chosen, away = self._choose(schema.name, model)
        row = schema.row(parsed.transaction, activity or NO_HISTORY, UNKNOWN)
        scored = self._score(schema, row, chosen) if chosen else None
        return conclude(schema, parsed, row, policy, scored, _degraded(activity, away))

    def decide_many(
        self,
        schema: str | TransactionSchema,
        parsed: Sequence[Parsed],
        activities: Sequence[Mapping[str, Activity] | None],
        policy: Policy,
        model: str | None = None,
    ) -> list[Decision]:
        """The same for many transactions, with model and explanation run over the whole block."""
        if not parsed:
            return []
        schema = _schema(schema)
        chosen, away = self._choose(schema.name, model)
        transactions = [one.transaction for one in parsed]
        rows = schema.block(schema.columns(transactions), _activity_columns(schema, activities))
        scored = _score_block(rows, chosen) if chosen else [None] * len(parsed)
        return [
            conclude(schema, one, row, policy, score, _degraded(activity, away))
            for one, row, score, activity in zip(parsed, rows.tolist(), scored, activities, strict=True)
        ]

    def require(self, schema: str | TransactionSchema, model: str | None) -> None:
        """Raises `UnknownModel` when a call that asks for `model` could not be answered."""
        self._choose(_schema(schema).name, model)

    def _choose(self, schema: str, wanted: str | None) -> tuple[LoadedModel | None, tuple[str, ...]]:
        """The model asked for, or the champion; and which model is missing, if it is."""
        available = self._models.get(schema, {})
        asked = next(iter(available), "default") if wanted is None else wanted
        name, versioned, version = asked.partition("@")
        found = available.get(name)
        if isinstance(found, LoadedModel) and (not versioned or version == found.version):
            return found, ()
        if wanted is not None and not (isinstance(found, ModelRefused) and not versioned):
            raise UnknownModel(f"Model '{wanted[:80]}' is not available. Available models: {_names(available)}")
        return None, (f"model:{name}",)

    def _score(self, schema: TransactionSchema, row: tuple[float, ...], model: LoadedModel) -> Scored:
        packed = self._pack[schema.name](*row)
        features = np.frombuffer(packed, "<f4").reshape(1, -1)
        return Scored(model, model.score(features), packed, model.contributions(features)[0])


def conclude(
    schema: TransactionSchema,
    parsed: Parsed,
    row: Sequence[float],
    policy: Policy,
    scored: Scored | None,
    degraded: tuple[str, ...],
) -> Decision:
    """From the row and its score to the answer: rules, verdict, reasons."""
    rules = schema.rules + policy.rules
    results = evaluate(rules, schema.values(parsed.facts, row))
    probability = scored.model.probability(scored.margin) if scored else None
    verdict = decide(policy, rules, results, scored.model.name if scored else "", probability)
    why: tuple[Reason, ...] = (rule_reason(verdict.rule, parsed.transaction),) if verdict.rule else ()
    if scored:
        why += reasons(schema, parsed.transaction, row, scored.contributions.tolist())
    return Decision(
        fraud_probability=None if probability is None else round(probability, 6),
        risk_score=scored.model.risk_score(scored.margin) if scored else None,
        risk_level=verdict.risk_level,
        recommended_action=verdict.action,
        fraud_type=None,
        decisive=verdict.cause,
        reasons=why,
        rules=results,
        model=ModelUsed(scored.model.name, scored.model.version, scored.model.threshold) if scored else None,
        degraded=degraded,
        warnings=parsed.warnings,
        features=scored.features if scored else b"",
        contributions=scored.contributions.tobytes() if scored else b"",
    )


def _schema(schema: str | TransactionSchema) -> TransactionSchema:
    return SCHEMAS[schema] if isinstance(schema, str) else schema


def _degraded(activity: Mapping[str, Activity] | None, away: tuple[str, ...]) -> tuple[str, ...]:
    return HISTORY_AWAY + away if activity is None else away


def _names(models: Mapping[str, LoadedModel | ModelRefused]) -> str:
    names = [f"{name}, {name}@{model.version}" for name, model in models.items() if isinstance(model, LoadedModel)]
    return ", ".join(names) or "none"


def _score_block(rows: np.ndarray, model: LoadedModel) -> list[Scored]:
    features = rows.astype("<f4")
    margins, contributions = model.score_block(features), model.contributions(features)
    return [
        Scored(model, float(margin), row.tobytes(), added)
        for margin, row, added in zip(margins, features, contributions, strict=True)
    ]


def _activity_columns(
    schema: TransactionSchema, activities: Sequence[Mapping[str, Activity] | None]
) -> list["ActivityColumns"]:
    return [
        ActivityColumns([(activity or NO_HISTORY).get(role, UNKNOWN) for activity in activities])
        for role in schema.roles
    ]


class ActivityColumns:
    """Activities of n transactions as one float64[n] array a field, under `Activity`'s own names."""

    def __init__(self, activities: Sequence[Activity]) -> None:
        table = np.array([msgspec.structs.astuple(one) for one in activities], dtype=np.float64).reshape(-1, 10)
        for index, name in enumerate(Activity.__struct_fields__):
            setattr(self, name, table[:, index])
