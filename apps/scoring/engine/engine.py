"""The story of a decision: features, models, conclusion."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from struct import Struct
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np

from apps import card_numbers
from apps.scoring.engine.asking import ENSEMBLE, Answer, Chosen, Model, asked, scored_of
from apps.scoring.engine.block import Block, BlockDecisions, Explain
from apps.scoring.engine.block_conclusion import conclude_block
from apps.scoring.engine.block_pasts import Unknown, with_home
from apps.scoring.engine.block_rules import BlockValues
from apps.scoring.engine.conclusion import conclude
from apps.scoring.engine.decide import Decision, Policy
from apps.scoring.engine.history import PastColumns, told_home, unknown
from apps.scoring.engine.known_aggregates import KnownAggregates
from apps.scoring.engine.list_checks import KnownLists, ListCheck
from apps.scoring.engine.models import LoadedModel, ModelRefused
from apps.scoring.engine.own import OwnAsked, OwnBlock, packed, shadowed
from apps.scoring.engine.own_features import widened
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import Parsed, TransactionSchema
from apps.scoring.engine.windows import Activity

NO_HISTORY: Mapping[str, Activity] = MappingProxyType({})
HISTORY_AWAY = ("history",)


class UnknownModel(ValueError):
    """A model was asked for that does not exist; the message names those that do."""


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
        known_lists: KnownLists | None = None,
        own: OwnAsked | None = None,
        known_aggregates: KnownAggregates | None = None,
    ) -> Decision:
        """One transaction with its history (None: unavailable) under a policy, with what is known of the lists its
        rules ask (`policy.list_checks`) and of its aggregates; the tenant's own models are asked where no model is
        named. Raises `UnknownModel`."""
        schema = _schema(schema)
        chosen = self._choose(schema.name, model)
        pasts = self._pasts(schema, parsed, activity, policy)
        row = schema.row(parsed.transaction, parsed.at_ms, pasts)
        if own is not None and model is None:
            asides = _Asides([parsed], [activity], [pasts], [known_lists], [known_aggregates], policy)
            return _with_own(own, chosen, schema, [row], asides)[0]
        features = self._pack[schema.name](*row)
        answer = asked(chosen, np.frombuffer(features, "<f4").reshape(1, -1))
        scored = scored_of(chosen, answer, 0, features)
        away = _degraded(activity, answer)
        return conclude(schema, parsed, row, policy, scored, away, pasts, known_lists, known_aggregates)

    def decide_many(
        self,
        schema: str | TransactionSchema,
        parsed: Sequence[Parsed],
        activities: Sequence[Mapping[str, Activity] | None],
        policy: Policy,
        model: str | None = None,
        known_lists: Sequence[KnownLists | None] | None = None,
        own: OwnAsked | None = None,
        known_aggregates: Sequence[KnownAggregates | None] | None = None,
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
        nothing = [None] * len(parsed)
        asides = _Asides(parsed, activities, pasts, known_lists or nothing, known_aggregates or nothing, policy)
        if own is not None and model is None:
            return _with_own(own, chosen, schema, rows.tolist(), asides)
        return asides.concluded(schema, chosen, rows.tolist(), rows.astype("<f4"))

    def decide_block(
        self,
        block: Block,
        pasts: Sequence[Any] | None,
        policy: Policy,
        model: str | None = None,
        explain: Explain = "flagged",
        known_lists: Mapping[ListCheck, np.ndarray] | None = None,
        own: OwnBlock | None = None,
        known_aggregates: Mapping[str, np.ndarray] | None = None,
    ) -> BlockDecisions:
        """The same for a block, in columns out as in: `pasts` are those of each of the schema's roles, with the numbers
        of `Activity` (or `Habits`) as float64[n] under their names; None: unavailable. `known_lists` are bool[n] by
        check, `known_aggregates` float64[n] by the names rules ask for. Raises `UnknownModel`."""
        schema, chosen = block.schema, self._choose(block.schema.name, model)
        known = [Unknown(len(block))] * len(schema.roles) if pasts is None else pasts
        told = with_home(block, known, policy.home_country)
        features = schema.block(block.columns, block.at_ms, told)
        if own is not None and model is None:
            wide, mine = own.features(features), own.champion.chosen
            with np.errstate(over="ignore"):
                answer = asked(mine, wide.astype("<f4"), explain=False)
            if answer.explained_by is not None:
                widely = replace(block, schema=widened(schema.name))
                values = BlockValues(widely, wide, policy.home_country, told, known_lists, known_aggregates)
                return conclude_block(values, policy, mine, answer, HISTORY_AWAY if pasts is None else (), explain)
        with np.errstate(over="ignore"):
            answer = asked(chosen, features.astype("<f4"), explain=False)
        away = HISTORY_AWAY + answer.away if pasts is None else answer.away
        values = BlockValues(block, features, policy.home_country, told, known_lists, known_aggregates)
        return conclude_block(values, policy, chosen, answer, away, explain)

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


class _Asides(NamedTuple):
    """Of some transactions what decisions on them are concluded from, beside rows and scores: an entry each."""

    parsed: Sequence[Parsed]
    activities: Sequence[Mapping[str, Activity] | None]
    pasts: Sequence[Sequence[Activity]]
    known_lists: Sequence[KnownLists | None]
    known_aggregates: Sequence[KnownAggregates | None]
    policy: Policy

    def concluded(
        self, schema: TransactionSchema, chosen: Chosen, rows: Sequence[Sequence[float]], features: np.ndarray,
        answer: Answer | None = None,
    ) -> list[Decision]:  # fmt: skip
        """Decisions by the chosen models on rows of the schema's features, float32[n, F] as models read them."""
        answer = asked(chosen, features) if answer is None else answer
        return [
            conclude(
                schema, one, row, self.policy, scored_of(chosen, answer, index, features[index].tobytes()),
                _degraded(self.activities[index], answer), self.pasts[index], self.known_lists[index],
                self.known_aggregates[index],
            )
            for index, (one, row) in enumerate(zip(self.parsed, rows, strict=True))
        ]  # fmt: skip


def _with_own(
    own: OwnAsked, chosen: Chosen, schema: TransactionSchema, rows: Sequence[Sequence[float]], asides: _Asides
) -> list[Decision]:
    """Decided by the tenant's own champion, by the shared one where there is none or it fails; those in shadow are
    asked as well."""
    found = None
    if own.champion is not None:
        wide = own.champion.widened(rows, own.numbers)
        features = packed(wide)
        answer = asked(own.champion.chosen, features)
        if answer.explained_by is not None:
            found = asides.concluded(widened(schema.name), own.champion.chosen, wide, features, answer)
    if found is None:
        found = asides.concluded(schema, chosen, rows, packed(rows))
    shadows = zip(found, shadowed(own, rows), strict=True)
    return [msgspec.structs.replace(decision, shadows=said) for decision, said in shadows]


def _schema(schema: str | TransactionSchema) -> TransactionSchema:
    return SCHEMAS[schema] if isinstance(schema, str) else schema


def _degraded(activity: Mapping[str, Activity] | None, answer: Answer) -> tuple[str, ...]:
    return HISTORY_AWAY + answer.away if activity is None else answer.away


def _names(models: Mapping[str, Model]) -> str:
    names = [f"{name}, {name}@{model.version}" for name, model in models.items() if isinstance(model, LoadedModel)]
    return ", ".join([*names, ENSEMBLE]) if names else "none"
