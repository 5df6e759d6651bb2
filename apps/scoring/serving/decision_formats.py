"""Formats of a decision: as the API answers it, and as the journal's record. Pure."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from apps.scoring.engine.decide import Cause, Ensemble, ModelUsed
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


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Decision).decode
pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Record).decode


def as_duplicate(stored: bytes) -> bytes:
    """The stored decision, answered as a duplicate for the same facts: nothing is billed."""
    return encode(msgspec.structs.replace(decode(stored), status="duplicate", billed_units=0))


def plain(value: Any) -> Any:
    """A struct as plain JSON types."""
    return msgspec.to_builtins(value)
