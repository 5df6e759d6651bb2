"""A stored decision made again, and held against what was answered, byte by byte.

    stored row ─► its policy, by version ─► its models, by version ─► engine/again.py ─► the answer ─► the differences

Copied from the stored answer is what is no part of deciding: names, times, what was away, what it cost, and what was
remarked when the request was read. Whatever can't be had any more is told, and the decision is not made.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from django.conf import settings
from msgspec import UNSET, Meta, Raw

from apps.api_keys.gate import Admission, Names
from apps.scoring.engine import again, decide, made_on, shelf
from apps.scoring.engine.asking import ENSEMBLE, Chosen, Model
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import LoadedModel, ModelRefused
from apps.scoring.engine.own_features import kind_of
from apps.scoring.models import Decision as Row
from apps.scoring.models import PublishedPolicy
from apps.scoring.policies import Policies
from apps.scoring.serving import decision_formats, decisions, own_shelf
from apps.scoring.serving.decision_formats import Decision, Record
from apps.scoring.serving.stored_answers import StoredAnswers, missing
from apps.times import instant_us
from apps.usage.metering.events import moment

#: How what is away is told of models.
AWAY = "model:"
#: How the sentences begin that the engine adds to those of reading a request.
OF_THE_ENGINE = ("Rules that could not be evaluated", "Not sent: ")
#: Of a journaled decision, what is not stored with it.
NO_COLUMNS = ("tenant_schema", *decision_formats.NO_COLUMNS)
#: Models of the past that a process keeps loaded.
KEPT = 8


class Difference(msgspec.Struct, frozen=True):
    """One member of the answer that came out otherwise, or one thing that is no longer there to decide with."""

    member: Annotated[str, Meta(description="Of the decision; `features` and `contributions` are its stored vectors.")]
    detail: str
    stored: Annotated[Any, Meta(description="As it was answered.")] = None
    replayed: Annotated[Any, Meta(description="As it came out.")] = None


class Lost(Exception):
    """What a decision was made with is gone."""

    def __init__(self, member: str, detail: str) -> None:
        super().__init__(detail)
        self.difference = Difference(member, detail)


class Replayed(NamedTuple):
    """`body`: what came out, b"" when the decision could not be made again."""

    differences: tuple[Difference, ...]
    body: bytes

    @property
    def identical(self) -> bool:
        return not self.differences


def replay(row: Row, tenant_schema: str, policies: Policies, engine: Engine) -> Replayed:
    """Make a stored decision again; to the byte it is what was answered when there is no difference."""
    body = decision_formats.answer_of(row)
    stored = decision_formats.decode(body)
    try:
        found = _found(row, stored, tenant_schema, _policy(row, tenant_schema, policies), engine)
    except Lost as lost:
        return Replayed((lost.difference,), b"")
    again_body = decision_formats.encode(_told(row, stored, found))
    return Replayed((*_members(body, again_body), *_vectors(row, found)), again_body)


def stored_row(answers: StoredAnswers, names: Names, admission: Admission, decision_id: str) -> Row:
    """A decision, also one that is still on its way. Raises `Problem` (404) when there is none."""
    entry, valkey_away = answers.on_its_way(names, decision_id)
    if entry is not None:
        return _row_of(decision_formats.unpack(entry.record))
    row = decisions.find(admission.tenant_schema, names.livemode, decision_id)
    if row is None:
        raise missing(decision_id, valkey_away=valkey_away)
    return row


def _row_of(record: Record) -> Row:
    """A journaled decision as the row it will be."""
    values = msgspec.structs.asdict(record)
    values |= {"facts": msgspec.json.decode(record.facts), "answer": record.answer.decode()}
    created_at = moment(values.pop("created_us"))
    return Row(created_at=created_at, **{name: value for name, value in values.items() if name not in NO_COLUMNS})


# --- what it is made with ---------------------------------------------------------------------------------------------


def _policy(row: Row, tenant_schema: str, policies: Policies) -> decide.Policy:
    """Raises `Lost`."""
    if row.policy_version is None:
        raise Lost("policy_version", "It was made before decisions kept the policy and the row they were made on.")
    try:
        return policies.get(tenant_schema, row.policy_version)
    except PublishedPolicy.DoesNotExist as gone:
        raise Lost("policy_version", f"Version {row.policy_version} of the policy is no longer kept.") from gone


def _found(row: Row, stored: Decision, tenant_schema: str, policy: decide.Policy, engine: Engine) -> decide.Decision:
    """The engine's decision. Raises `Lost`."""
    features = bytes(row.features)
    schema = kind_of(row.schema, features)
    try:
        kept = made_on.unpacked(bytes(row.made_on or b""), features, schema)
    except made_on.Unreadable as other:
        raise Lost("features", f"The schema's features have changed: {other}.") from other
    came_ms = instant_us(row.created_at) // 1000
    chosen = _chosen(stored, tenant_schema, engine)
    return again.decide_again(schema, again.Kept(row.facts, came_ms, features, kept), policy, chosen)


def _chosen(stored: Decision, tenant_schema: str, engine: Engine) -> Chosen:
    """The models that were asked, by version; those that were away are away again. Raises `Lost`."""
    away = [name.removeprefix(AWAY) for name in stored.degraded if name.startswith(AWAY)]
    if isinstance(stored.ensemble, decide.Ensemble):
        votes = stored.ensemble.models
        return Chosen(ENSEMBLE, tuple((one.name, _model(stored.schema, one, away, engine)) for one in votes))
    if stored.model is None:
        name = away[0] if away else "default"
        return Chosen(name, ((name, ModelRefused("it was away")),))
    by = stored.model
    if by.name == ENSEMBLE:
        raise Lost("ensemble", "The votes of its models were not kept.")
    if by.name == own_shelf.NAME:
        return _own(tenant_schema, by.version)
    return Chosen(by.name, ((by.name, _model(stored.schema, by, away, engine)),))


def _own(tenant_schema: str, model_id: str) -> Chosen:
    """A model of the tenant's own. Raises `Lost`."""
    found = own_shelf.get_own_shelf().get(tenant_schema, model_id)
    if found is None:
        raise Lost("model", f"Your own model {model_id} is no longer kept.")
    return found.chosen


def _model(schema: str, named: decide.ModelUsed | decide.Vote, away: Sequence[str], engine: Engine) -> Model:
    """Raises `Lost`."""
    if named.name in away:
        return ModelRefused("it was away")
    active = engine.models.get(schema, {}).get(named.name)
    if isinstance(active, LoadedModel) and active.version == named.version:
        return active
    try:
        return _of_the_past(settings.ARTIFACTS_DIR, schema, f"{named.name}/{named.version}")
    except ModelRefused as refusal:
        raise Lost("model", f"The model {named.name}@{named.version} can't be had: {refusal.reason}.") from refusal


@lru_cache(maxsize=KEPT)
def _of_the_past(root: Path, schema: str, entry: str) -> LoadedModel:
    """Raises `ModelRefused`, also when nothing is left of it."""
    try:
        return shelf.loaded(root, schema, entry)
    except OSError as gone:
        raise ModelRefused("it is no longer kept") from gone


# --- the answer -------------------------------------------------------------------------------------------------------


def _told(row: Row, stored: Decision, found: decide.Decision) -> Decision:
    """What was found, told as the stored decision was told."""
    whole = decision_formats.is_whole(row.answer)
    return msgspec.structs.replace(
        stored,
        fraud_probability=found.fraud_probability,
        risk_score=found.risk_score,
        risk_level=found.risk_level,
        recommended_action=found.recommended_action,
        fraud_type=found.fraud_type,
        decisive=found.decisive,
        reasons=found.reasons if _was_explained(row, stored) else (),
        rules=found.rules,
        model=found.model,
        policy_version=found.policy_version,
        ensemble=(found.ensemble or UNSET) if whole else UNSET,
        degraded=_degraded(stored, found),
        warnings=_warnings(stored, found) if whole else (),
    )


def _was_explained(row: Row, stored: Decision) -> bool:
    """Whether it was told why: of a batch's rows only some are."""
    if not decision_formats.is_whole(row.answer) or (stored.model and not row.contributions):
        return False
    return bool(stored.reasons) or stored.decisive.kind != "rule"


def _degraded(stored: Decision, found: decide.Decision) -> tuple[str, ...]:
    """What was away then is no part of deciding; that the same models were is."""
    models = tuple(one for one in stored.degraded if one.startswith(AWAY))
    others = tuple(one for one in stored.degraded if one not in models)
    return stored.degraded if models == found.degraded else (*others, *found.degraded)


def _warnings(stored: Decision, found: decide.Decision) -> tuple[str, ...]:
    """What was remarked when the request was read, as it was, and what the engine has to say."""
    remarked = tuple(one for one in stored.warnings if not one.startswith(OF_THE_ENGINE))
    return (*remarked, *found.warnings)


# --- the differences --------------------------------------------------------------------------------------------------


def _members(stored: bytes, replayed: bytes) -> Iterator[Difference]:
    """What of two answers is not the same text."""
    if stored == replayed:
        return
    before, after = (msgspec.json.decode(body, type=dict[str, Raw]) for body in (stored, replayed))
    for name in {**before, **after}:
        was, is_now = before.get(name, Raw(b"null")), after.get(name, Raw(b"null"))
        if bytes(was) != bytes(is_now):
            yield Difference(name, f"`{name}` came out otherwise.", was, is_now)


def _vectors(row: Row, found: decide.Decision) -> Iterator[Difference]:
    """Whether the vectors are the same bytes; contributions of what was explained alone."""
    if bytes(row.features) != found.features:
        yield Difference("features", "The stored features are not those of a decision by these models.")
    if row.contributions and bytes(row.contributions) != found.contributions:
        yield Difference("contributions", "The contributions of the features came out otherwise.")
