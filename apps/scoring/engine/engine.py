"""The story of a decision: features, rules, models, explanation, verdict."""

import logging
from collections.abc import Mapping, Sequence
from struct import Struct
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from apps import card_numbers
from apps.scoring.engine import ensemble as ensembles
from apps.scoring.engine.decide import Decision, Ensemble, ModelUsed, Policy, Verdict, decide
from apps.scoring.engine.explain import Reason, reasons, rule_reason
from apps.scoring.engine.history import PastColumns, told_home, unknown
from apps.scoring.engine.models import LoadedModel, ModelFailed, ModelRefused
from apps.scoring.engine.rules import OTHER_FRAUD, BuiltIn, Rule, asks_only_for, evaluate, not_evaluated, typical
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import Parsed, TransactionSchema
from apps.scoring.engine.windows import Activity

log = logging.getLogger(__name__)

ENSEMBLE = "ensemble"
ENSEMBLE_THRESHOLD = 0.5
NO_HISTORY: Mapping[str, Activity] = MappingProxyType({})
HISTORY_AWAY = ("history",)

#: A model that can be asked, or the refusal of one that can't.
Model = LoadedModel | ModelRefused


class UnknownModel(ValueError):
    """A model was asked for that does not exist; the message names those that do."""


class Chosen(NamedTuple):
    """Who is asked: one model, or all of a schema's under the name "ensemble"; the first that answers explains."""

    name: str
    models: tuple[tuple[str, Model], ...]


class Answer(NamedTuple):
    """What the models say of n rows: margins float[n] of each that answered, and one model's explanation of them."""

    margins: Mapping[str, Sequence[float]]
    explained_by: LoadedModel | None
    contributions: np.ndarray  # float32[n, F], [n, 0] when no model answered
    away: tuple[str, ...]


class Scored(NamedTuple):
    """What is said of one row, and by whom it is explained."""

    probability: float
    risk_score: int
    used: ModelUsed
    features: bytes
    contributions: np.ndarray
    by: LoadedModel
    ensemble: Ensemble | None = None


class Engine:
    """Decides transactions of every schema. Holds loaded models and nothing that changes: share it between threads."""

    def __init__(self, models: Mapping[str, Mapping[str, Model]]) -> None:
        self.models = models
        self._pack = {name: Struct(f"<{len(schema.features)}f").pack for name, schema in SCHEMAS.items()}
        self._unknown = {name: tuple(map(unknown, schema.roles)) for name, schema in SCHEMAS.items()}

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
        chosen = self._choose(schema.name, model)
        row = schema.row(parsed.transaction, parsed.at_ms, self._pasts(schema, parsed, activity, policy))
        packed = self._pack[schema.name](*row)
        answer = _asked(chosen, np.frombuffer(packed, "<f4").reshape(1, -1))
        return conclude(schema, parsed, row, policy, _scored(chosen, answer, 0, packed), _degraded(activity, answer))

    def decide_many(
        self,
        schema: str | TransactionSchema,
        parsed: Sequence[Parsed],
        activities: Sequence[Mapping[str, Activity] | None],
        policy: Policy,
        model: str | None = None,
    ) -> list[Decision]:
        """The same for many transactions, with models and explanation run over the whole block."""
        if not parsed:
            return []
        schema = _schema(schema)
        chosen = self._choose(schema.name, model)
        at_ms = np.array([one.at_ms for one in parsed], dtype=np.float64)
        pasts = [self._pasts(schema, *one, policy) for one in zip(parsed, activities, strict=True)]
        columns = schema.columns([one.transaction for one in parsed])
        rows = schema.block(columns, at_ms, [PastColumns(role) for role in zip(*pasts, strict=True)])
        features = rows.astype("<f4")
        answer = _asked(chosen, features)
        return [
            conclude(
                schema, one, row, policy, _scored(chosen, answer, index, features[index].tobytes()),
                _degraded(activities[index], answer),
            )
            for index, (one, row) in enumerate(zip(parsed, rows.tolist(), strict=True))
        ]  # fmt: skip

    def require(self, schema: str | TransactionSchema, model: str | None) -> None:
        """Raises `UnknownModel` when a call that asks for `model` could not be answered."""
        self._choose(_schema(schema).name, model)

    def _choose(self, schema: str, wanted: str | None) -> Chosen:
        """The model asked for, the champion when none is, or all of them."""
        available = self.models.get(schema, {})
        if wanted == ENSEMBLE and available:
            return Chosen(ENSEMBLE, tuple(available.items()))
        asked = next(iter(available), "default") if wanted is None else wanted
        name, versioned, version = asked.partition("@")
        found = available.get(name)
        if wanted is None and found is None:
            return Chosen(name, ((name, ModelRefused("there is none")),))
        if found is None or (versioned and not (isinstance(found, LoadedModel) and version == found.version)):
            raise UnknownModel(
                f"Model '{card_numbers.cut(asked, 80)}' is not available. Available models: {_names(available)}"
            )
        return Chosen(name, ((name, found),))

    def _pasts(
        self, schema: TransactionSchema, parsed: Parsed, activity: Mapping[str, Activity] | None, policy: Policy
    ) -> list[Activity]:
        """The pasts in the order of the schema's roles, unknown where there is none; home as the tenant says, where the
        past does not tell."""
        known = NO_HISTORY if activity is None else activity
        nobody = self._unknown[schema.name]
        pasts = [known.get(role.name, nothing) for role, nothing in zip(schema.roles, nobody, strict=True)]
        if not policy.home_country:
            return pasts
        place = schema.place(parsed.transaction)
        return [told_home(past, place, policy.home_country) for past in pasts] if place else pasts


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
        reasons=_why(schema, parsed, row, verdict, values, scored),
        rules=results,
        model=scored.used if scored else None,
        degraded=degraded,
        warnings=parsed.warnings + not_evaluated(results) + (scored.by.not_sent(parsed.transaction) if scored else ()),
        features=scored.features if scored else b"",
        contributions=scored.contributions.tobytes() if scored else b"",
        ensemble=scored.ensemble if scored else None,
    )


def _why(
    schema: TransactionSchema, parsed: Parsed, row: Sequence[float], verdict: Verdict, values: Mapping[str, Any],
    scored: Scored | None,
) -> tuple[Reason, ...]:  # fmt: skip
    """The deciding rule's reason, and what moved the score."""
    rule = rule_reason(schema, verdict.rule, parsed.shown, values) if verdict.rule else None
    if scored is None:
        return (rule,) if rule else ()
    asked = verdict.rule.all[0].field if verdict.rule else ""
    return reasons(schema, parsed.shown, row, scored.contributions, rule, asked)


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


def _asked(chosen: Chosen, features: np.ndarray) -> Answer:
    """Every chosen model's margins of float32[n, F]; the first that answers explains them. A failing one is named."""
    margins: dict[str, Sequence[float]] = {}
    explained_by, contributions = None, np.empty((len(features), 0), dtype="<f4")
    away = []
    for name, model in chosen.models:
        try:
            margins[name] = _margins(model, features)
            if explained_by is None and isinstance(model, LoadedModel):
                explained_by, contributions = model, model.contributions(features)
        except (ModelRefused, ModelFailed) as failure:
            log.error("model %s can't score: %s", name, failure)
            away.append(f"model:{name}")
    return Answer(margins, explained_by, contributions, tuple(away))


def _margins(model: Model, features: np.ndarray) -> Sequence[float]:
    """Raises `ModelRefused` for a model that was never loaded, `ModelFailed` for one that breaks."""
    if isinstance(model, ModelRefused):
        raise model
    return model.margins(features)


def _scored(chosen: Chosen, answer: Answer, index: int, features: bytes) -> Scored | None:
    """One row of what the models said; None when none could."""
    by = answer.explained_by
    if by is None:
        return None
    if chosen.name == ENSEMBLE:
        return _together(chosen, answer, index, features)
    margin = answer.margins[by.name][index]
    used = ModelUsed(by.name, by.version, by.threshold, by.card.reference_population)
    return Scored(by.probability(margin), by.risk_score(margin), used, features, answer.contributions[index], by)


def _together(chosen: Chosen, answer: Answer, index: int, features: bytes) -> Scored | None:
    """The ensemble's verdict on one row; its risk score is the mean of its models' ranks."""
    heard = {
        name: (model, answer.margins[name][index])
        for name, model in chosen.models
        if name in answer.margins and isinstance(model, LoadedModel)
    }
    votes = [_vote(name, model, heard) for name, model in chosen.models]
    found = ensembles.verdict(votes)
    by = answer.explained_by
    if found is None or by is None:
        return None
    rank = round(sum(model.risk_score(margin) for model, margin in heard.values()) / len(heard))
    used = ModelUsed(ENSEMBLE, f"{by.name}@{by.version}", ENSEMBLE_THRESHOLD, by.card.reference_population)
    return Scored(found.probability, rank, used, features, answer.contributions[index], by, found.ensemble)


def _vote(name: str, model: Model, heard: Mapping[str, tuple[LoadedModel, float]]) -> Any:
    if name not in heard:
        return ensembles.vote(name, model.version if isinstance(model, LoadedModel) else "", None, 0.0)
    loaded, margin = heard[name]
    return ensembles.vote(name, loaded.version, loaded.probability(margin), loaded.threshold)


def _schema(schema: str | TransactionSchema) -> TransactionSchema:
    return SCHEMAS[schema] if isinstance(schema, str) else schema


def _degraded(activity: Mapping[str, Activity] | None, answer: Answer) -> tuple[str, ...]:
    return HISTORY_AWAY + answer.away if activity is None else answer.away


def _names(models: Mapping[str, Model]) -> str:
    names = [f"{name}, {name}@{model.version}" for name, model in models.items() if isinstance(model, LoadedModel)]
    return ", ".join([*names, ENSEMBLE]) if names else "none"
