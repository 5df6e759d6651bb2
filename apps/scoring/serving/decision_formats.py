"""Formats of a decision: as the API answers it, as the journal's record, and as a batch's row is kept. Pure."""

from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from apps import times
from apps.scoring.engine.decide import Cause, Ensemble, ModelUsed, ShadowScore
from apps.scoring.engine.explain import Reason
from apps.scoring.engine.rules import RuleResult

#: Transactions of one request.
MOST_A_BATCH = 1_000


class Timing(msgspec.Struct, frozen=True):
    """Server time in milliseconds."""

    total: float


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. A block is an answer like any other."""

    id: str
    object: Literal["decision"] = "decision"
    livemode: bool
    created_at: str
    transaction_id: str
    schema: str
    status: Literal["new", "duplicate", "superseding"]
    supersedes: str | UnsetType = UNSET
    dry_run: Literal[True] | UnsetType = UNSET
    fraud_probability: float | None
    risk_score: int | None
    risk_level: str
    recommended_action: str
    fraud_type: str | None
    decisive: Cause
    reasons: tuple[Reason, ...]
    rules: tuple[RuleResult, ...]
    model: ModelUsed | None
    policy_version: (
        Annotated[int, Meta(ge=0, description="Of the policy it was made under; 0 is the one everybody begins with.")]
        | UnsetType
    ) = UNSET
    ensemble: Ensemble | UnsetType = UNSET
    degraded: tuple[str, ...]
    warnings: tuple[str, ...]
    timing_ms: Timing
    billed_units: int


class Record(msgspec.Struct, array_like=True, frozen=True):
    """What the recorder stores of a decision, in the tenant's schema."""

    tenant_schema: str
    id: str
    created_us: int
    livemode: bool
    schema: str
    transaction_id: str
    body_hash: str
    idempotency_hash: str
    fingerprint: str
    status: str
    fraud_probability: float | None
    risk_score: int | None
    risk_level: str
    recommended_action: str
    decisive: str
    model_name: str
    model_version: str
    facts: bytes
    answer: bytes
    features: bytes
    contributions: bytes
    row: int = 0
    hidden: dict[str, str] | None = None
    untold: tuple[str, ...] = ()  # rules that hit and were not told
    shadows: tuple[ShadowScore, ...] | None = None
    policy_version: int | None = None
    made_on: bytes | None = None
    hits: tuple[str, ...] | None = None  # rules that hit and were told; None: the answer says so alone
    fraud_type: str = ""  # with `hits`


#: Of a record what has no column: it goes into what the decision is found by and added up by (`sought.py`).
NO_COLUMNS = ("untold", "hits", "fraud_type")


class Short(msgspec.Struct, frozen=True):
    """What is kept as the answer of a batch's row that nobody asked reasons of: what no column tells."""

    rules: tuple[RuleResult, ...]
    model: ModelUsed | None
    degraded: tuple[str, ...]
    warnings: tuple[str, ...]
    timing_ms: Timing
    billed_units: int
    fraud_type: str | None = None


class StoredRow(Protocol):
    """A stored decision's columns that `answer_of` reads (`decisions.ANSWERED`)."""

    pk: Any
    answer: str
    created_at: Any
    livemode: bool
    schema: str
    transaction_id: str
    status: str
    fraud_probability: float | None
    risk_score: int | None
    risk_level: str
    recommended_action: str
    decisive: str
    policy_version: int | None


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Decision).decode
pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Record).decode


_short = msgspec.json.Decoder(Short).decode
#: How an answer begins that was kept whole.
_WHOLE = '{"id":'


def is_whole(answer: str) -> bool:
    """Whether a stored answer was kept as it was given, not short."""
    return answer.startswith(_WHOLE)


def answer_of(row: StoredRow) -> bytes:
    """A stored decision as it was answered; of a batch's row, as it would have been answered alone."""
    if is_whole(row.answer):
        return row.answer.encode()
    short, (kind, _, cause) = _short(row.answer), row.decisive.partition(":")
    return encode(
        Decision(
            id=row.pk,
            livemode=row.livemode,
            created_at=times.rfc3339(row.created_at),
            transaction_id=row.transaction_id,
            schema=row.schema,
            status=row.status,  # type: ignore[arg-type]  # a column's text
            fraud_probability=row.fraud_probability,
            risk_score=row.risk_score,
            risk_level=row.risk_level,
            recommended_action=row.recommended_action,
            fraud_type=short.fraud_type,
            decisive=Cause(kind, cause),  # type: ignore[arg-type]
            reasons=(),
            rules=short.rules,
            model=short.model,
            policy_version=UNSET if row.policy_version is None else row.policy_version,
            degraded=short.degraded,
            warnings=short.warnings,
            timing_ms=short.timing_ms,
            billed_units=short.billed_units,
        )
    )


def as_duplicate(stored: bytes) -> bytes:
    """The stored decision, answered as a duplicate for the same facts: nothing is billed."""
    return encode(msgspec.structs.replace(decode(stored), status="duplicate", billed_units=0))


def plain(value: Any) -> Any:
    """A struct as plain JSON types."""
    return msgspec.to_builtins(value)
