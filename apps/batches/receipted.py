"""What receipts of a batch's decisions are of: each row as it was copied into Postgres, and made again from there."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from apps.batches import columns
from apps.scoring.engine.decide import ShadowScore
from apps.scoring.engine.held import stored_facts
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.feature_drift import BATCH
from apps.scoring.models import Decision
from apps.scoring.serving.journal_entries import TRANSACTION_HASH

END_OF_LINE = ord("\n")
#: What reading a row comes to that somebody changed.
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, pa.ArrowException)


def lines_of(stored: Mapping[str, pa.Array], copied: pa.Buffer) -> Sequence[memoryview]:
    """A line a decision, of the columns and the text they were `copied` as."""
    text, count = memoryview(copied), len(next(iter(stored.values())))
    ends = np.flatnonzero(np.frombuffer(copied, np.uint8) == END_OF_LINE).tolist()
    if len(ends) == count:
        return [text[begin + 1 : end] for begin, end in pairwise([-1, *ends])]
    # a text holds the end of a line
    one_by_one = ({name: values.slice(row, 1) for name, values in stored.items()} for row in range(count))
    return [memoryview(columns.as_copy(one))[:-1] for one in one_by_one]


def contents_of(rows: Sequence[Decision]) -> dict[str, bytes]:
    """What the leaves of batches' decisions are of, made from what is stored now; none of others."""
    kinds: dict[tuple[str, bool], list[Decision]] = defaultdict(list)
    for row in rows:
        if row.fingerprint.startswith(BATCH):
            kinds[row.schema, row.shadows is None].append(row)  # without shadows the column was not copied
    found: dict[str, bytes] = {}
    for mine in kinds.values():
        found |= zip([row.pk for row in mine], _lines(mine), strict=True)
    return found


def _lines(rows: Sequence[Decision]) -> list[bytes]:
    """The rows as they were copied; nothing for one that no batch can have written."""
    try:
        stored = _stored_again(rows)
        return list(map(bytes, lines_of(stored, columns.as_copy(stored))))
    except UNREADABLE:
        return [b""] if len(rows) == 1 else [line for row in rows for line in _lines([row])]


def _stored_again(rows: Sequence[Decision]) -> dict[str, pa.Array]:
    """The columns that were copied, of rows of one kind."""
    schema, count = SCHEMAS[rows[0].schema], len(rows)
    masked = [place for place, row in enumerate(rows) if row.hidden]
    block = stored_facts(schema, [row.facts for row in rows], [0] * count, masked)
    facts = columns.replaced(
        columns.facts_of(block, np.arange(count)),
        {place: msgspec.json.encode(schema.retyped(rows[place].facts)) for place in masked},
    )
    told: dict[str, pa.Array] = {
        "id": _texts(row.pk for row in rows),
        "created_at": _texts(row.created_at.astimezone(UTC).isoformat() for row in rows),
        "livemode": pa.array([row.livemode for row in rows], pa.bool_()),
    }
    for name in ("schema", "transaction_id", "body_hash", "idempotency_hash", "fingerprint", "status"):
        told[name] = _texts(getattr(row, name) for row in rows)
    told["fraud_probability"] = pa.array([row.fraud_probability for row in rows], pa.float64())
    told["risk_score"] = pa.array([row.risk_score for row in rows], pa.int16())
    for name in ("risk_level", "recommended_action", "decisive", "model_name", "model_version"):
        told[name] = _texts(getattr(row, name) for row in rows)
    return told | {
        "facts": facts,
        "answer": _texts(row.answer for row in rows),
        "features": _texts(_hex(row.features) for row in rows),
        "contributions": _texts(_hex(row.contributions) for row in rows),
        "hidden": pa.array([_hidden(schema.fields, row.hidden) for row in rows], pa.string()),
        "row": pa.array([row.row for row in rows], pa.int16()),
        "policy_version": pa.array([row.policy_version for row in rows], pa.int64()),
        "made_on": _texts(_hex(row.made_on or b"") for row in rows),
        "amount": pa.array([row.amount for row in rows], pa.float64()),
        "parties": _texts(columns.array_of(row.parties) for row in rows),
        "rules_hit": _texts(columns.array_of(row.rules_hit) for row in rows),
        **({} if rows[0].shadows is None else {"shadows": _texts(_shadows(row.shadows) for row in rows)}),
    }


def _shadows(kept: Any) -> str:
    """What models in shadow said, as it was written."""
    return msgspec.json.encode(msgspec.convert(kept, tuple[ShadowScore, ...])).decode()


def _texts(values: Any) -> pa.Array:
    return pa.array(list(values), pa.string())


def _hex(value: Any) -> str:
    return f"\\x{bytes(value).hex()}" if value else ""


def _hidden(fields: Sequence[str], hidden: Mapping[str, str] | None) -> str | None:
    """The hashes as they were written, in the order of the fields."""
    if hidden is None:
        return None
    named = {name: hidden[name] for name in (*fields, TRANSACTION_HASH) if name in hidden}
    return msgspec.json.encode(named).decode()
