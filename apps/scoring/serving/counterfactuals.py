"""What would have turned a stored decision, and what the customer may be told of it: read here, reckoned by the engine.

Everything is of the moment of the decision: its facts, features and rules' results as they were stored, the policy in
force then, the models that decided, by version. No history is asked for.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from django.conf import settings

from apps import times
from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api_keys.gate import Admission, Names
from apps.errors import Problem
from apps.scoring import policies
from apps.scoring.engine import adverse_action, made_on, shelf
from apps.scoring.engine.aggregates import counted_by
from apps.scoring.engine.asking import ENSEMBLE, Chosen, Model
from apps.scoring.engine.candidates import least_amount
from apps.scoring.engine.counterfactuals import Found, counterfactuals, why_not
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.explain import Reason, reasons, rule_reason
from apps.scoring.engine.known_aggregates import KnownAggregates
from apps.scoring.engine.levers import LEVERS
from apps.scoring.engine.models import LoadedModel, ModelRefused, active
from apps.scoring.engine.own_features import kind_of
from apps.scoring.engine.rescoring import Sought
from apps.scoring.engine.rule_programs import programs_of
from apps.scoring.engine.transaction import InvalidTransaction, Parsed, TransactionSchema
from apps.scoring.models import Decision as Row
from apps.scoring.serving import decision_formats, decisions, own_shelf
from apps.scoring.serving.decision_formats import Decision
from apps.scoring.serving.service import Scoring
from apps.scoring.serving.stored_answers import missing
from apps.scoring.tallies import reference_of

#: Models of decisions made under another version than the one in use that a process keeps.
KEPT = 8
#: (schema, name, version) → the model that decided. Raises `ModelRefused`.
ModelOf = Callable[[str, str, str], LoadedModel]


class Stored(NamedTuple):
    """A stored decision: whose it is, as it was answered, and what it was made from. `made_on` is b"" where it is older
    than that."""

    tenant_schema: str
    answer: Decision
    facts: Mapping[str, Any]
    features: bytes
    contributions: bytes
    made_on: bytes = b""

    @property
    def schema(self) -> TransactionSchema:
        """Its kind; the widened one where an own model decided."""
        return kind_of(self.answer.schema, self.features)

    @property
    def row(self) -> np.ndarray:
        """Its features, float32[F]; of another length where it has none."""
        return np.frombuffer(self.features, "<f4")

    def parsed(self) -> Parsed:
        """Its transaction. Raises `InvalidTransaction` when the schema takes it no more."""
        return self.schema.parse(dict(self.facts), int(times.read(self.answer.created_at).timestamp() * 1000))


class Turned(NamedTuple):
    """What would have turned a decision; `detail` says in words why nothing would."""

    found: Found
    detail: str


def find(scoring: Scoring, names: Names, admission: Admission, decision_id: str) -> Stored:
    """A decision where it stands: in the journal, else in Postgres. Raises `Problem` (404, 503)."""
    entry, valkey_away = scoring.answers.on_its_way(names, decision_id)
    if entry is not None:
        record = decision_formats.unpack(entry.record)
        answer, facts = decision_formats.decode(record.answer), msgspec.json.decode(record.facts)
        return Stored(
            admission.tenant_schema, answer, facts, record.features, record.contributions, record.made_on or b""
        )
    try:
        row = decisions.find(admission.tenant_schema, names.livemode, decision_id)
    except POSTGRES_AWAY as failure:
        raise Problem("stores_away", "The decision is stored and Postgres is away.", retry_after=2.0) from failure
    if row is None:
        raise missing(decision_id, valkey_away=valkey_away)
    return of_row(admission.tenant_schema, row)


def of_row(tenant_schema: str, row: Row) -> Stored:
    """A recorded decision."""
    answer = decision_formats.decode(decision_formats.answer_of(row))
    made = bytes(row.made_on or b"")
    return Stored(tenant_schema, answer, row.facts, bytes(row.features), bytes(row.contributions), made)


def turned(stored: Stored, model_of: ModelOf) -> Turned:
    """The smallest changes of what the customer could have sent that would have turned a decision."""
    found = _found(stored, model_of)
    unit = stored.schema.currency(stored.schema.recalled(stored.facts))
    return Turned(found, why_not(found, stored.answer.decisive.id, unit))


def notice(stored: Stored) -> tuple[str, ...]:
    """Why a decision was no approval, in the customer's words; nothing of an approved one."""
    if stored.answer.recommended_action == "approve":
        return ()
    return adverse_action.notice(stored.answer.reasons or _reasons(stored))


def _policy(stored: Stored) -> Policy:
    """The policy it was made under: told by its version, of decisions that are older than that by their time."""
    version = stored.answer.policy_version
    if isinstance(version, msgspec.UnsetType):
        return policies.in_force_at(stored.tenant_schema, times.read(stored.answer.created_at))
    return policies.get_policies().get(stored.tenant_schema, version)


def kept(schema: str, name: str, version: str) -> LoadedModel:
    """A model by version, from where models are kept. Raises `ModelRefused`."""
    return _kept(schema, f"{name}/{version}")


def in_use(scoring: Scoring) -> ModelOf:
    """The models this process decides with; those of other versions from where models are kept."""

    def model_of(schema: str, name: str, version: str) -> LoadedModel:
        model = scoring.engine.models.get(schema, {}).get(name)
        return model if isinstance(model, LoadedModel) and model.version == version else kept(schema, name, version)

    return model_of


@lru_cache(maxsize=KEPT)
def _kept(schema: str, entry: str) -> LoadedModel:
    try:
        return shelf.loaded(settings.ARTIFACTS_DIR, schema, entry)
    except OSError as gone:
        raise ModelRefused(f"{entry} is no longer kept") from gone


def _found(stored: Stored, model_of: ModelOf) -> Found:
    if stored.answer.recommended_action == "approve":
        return Found((), "approved")
    if stored.answer.model is None or not len(stored.row):
        return Found((), "not_stored")
    if len(stored.row) != len(stored.schema.features):
        return Found((), "not_stored")
    try:
        sought = _sought(stored, model_of)
    except ModelRefused:
        return Found((), "model_away")
    except InvalidTransaction:
        return Found((), "not_stored")
    return counterfactuals(sought, _least(stored, sought.parsed.transaction))


def _sought(stored: Stored, model_of: ModelOf) -> Sought:
    answer, policy = stored.answer, _policy(stored)
    return Sought(
        schema=stored.schema,
        parsed=stored.parsed(),
        row=stored.row,
        results={result.id: result for result in answer.rules},
        action=answer.recommended_action,  # type: ignore[arg-type]  # as it was answered
        policy=policy,
        chosen=_chosen(stored, model_of),
        aggregates=_aggregates(stored, policy),
    )


def _aggregates(stored: Stored, policy: Policy) -> KnownAggregates:
    """What the policy's aggregates came to when it was made; nothing of those of which that was not kept."""
    counted = counted_by(policy.aggregates, stored.answer.schema)
    if not counted:
        return {}
    try:
        kept = made_on.unpacked(stored.made_on, stored.features, stored.schema)
    except made_on.Unreadable:
        return {}
    return made_on.known_aggregates(counted, len(policy.list_checks), kept.lists)


def _chosen(stored: Stored, model_of: ModelOf) -> Chosen:
    """The models that decided. Raises `ModelRefused` when one of them is gone; of an ensemble those that voted."""
    answer = stored.answer
    if answer.model is None:
        raise ModelRefused("no model decided")
    if answer.model.name == own_shelf.NAME:
        return _own(stored.tenant_schema, answer.model.version)
    if answer.model.name != ENSEMBLE:
        model = model_of(answer.schema, answer.model.name, answer.model.version)
        return Chosen(model.name, ((model.name, model),))
    if not answer.ensemble:
        raise ModelRefused("the votes were not stored")
    voted = [(vote.name, vote.version) for vote in answer.ensemble.models if vote.probability is not None]
    models: list[tuple[str, Model]] = [(name, model_of(answer.schema, name, version)) for name, version in voted]
    return Chosen(ENSEMBLE, tuple(models))


def _own(tenant_schema: str, model_id: str) -> Chosen:
    """A model of the tenant's own. Raises `ModelRefused` when it is no longer kept."""
    found = own_shelf.get_own_shelf().get(tenant_schema, model_id)
    if found is None:
        raise ModelRefused(f"{model_id} is no longer kept")
    return found.chosen


def _referred_to(stored: Stored) -> str:
    """The model whose reference tells what people pay, as name@version: of an own model, which has none of amounts, the
    shared champion."""
    used = stored.answer.model
    if used is None:
        return ""
    if used.name == own_shelf.NAME:
        return next(iter(active(settings.ARTIFACTS_DIR, stored.answer.schema)), "").replace("/", "@")
    return used.version if used.name == ENSEMBLE else f"{used.name}@{used.version}"


def _least(stored: Stored, transaction: Any) -> float | None:
    """The lowest tenth of what people pay, as the model's reference knows it, in the transaction's currency."""
    reference, schema = reference_of(stored.answer.schema, _referred_to(stored)), stored.schema
    if reference is None:
        return None
    tenths = reference.histograms[schema.place_of[LEVERS[schema.name].amount.feature]].bounds
    return least_amount(schema, transaction, stored.row.tolist(), tenths[0]) if tenths else None


def _reasons(stored: Stored) -> tuple[Reason, ...]:
    """The reasons of a decision that was answered without: made from what was stored."""
    schema, transaction = stored.schema, stored.schema.recalled(stored.facts)
    row, added = stored.row, np.frombuffer(stored.contributions, "<f4")
    policy = _policy(stored)
    cause = stored.answer.decisive
    rules = programs_of(policy, schema).rules if cause.kind == "rule" else ()
    decided = next((rule for rule in rules if rule.id == cause.id), None)
    has_features = len(row) == len(added) == len(schema.features)
    if decided is not None and has_features:
        values = schema.values(stored.facts, row.tolist(), policy.home_country)
        return reasons(schema, transaction, row.tolist(), added, rule_reason(schema, decided, transaction, values))
    return reasons(schema, transaction, row.tolist(), added) if has_features else ()
