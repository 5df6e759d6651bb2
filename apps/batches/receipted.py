"""What receipts of a batch's decisions are of: each row as it was copied into Postgres, and made again from there."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv

from apps.batches import columns
from apps.scoring.engine.decide import ShadowScore
from apps.scoring.engine.held import stored_facts
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.feature_drift import BATCH
from apps.scoring.models import Decision
from apps.scoring.serving.journal_entries import TRANSACTION_HASH

#: What reading a row comes to that somebody changed.
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, pa.ArrowException)


def contents(rows: pa.BinaryArray) -> list[memoryview]:
    """A content a decision, of rows as they are copied."""
    offsets, data = np.frombuffer(rows.buffers()[1], np.int32, len(rows) + 1), memoryview(rows.buffers()[2])
    return [data[begin:end] for begin, end in pairwise(offsets.tolist())]


def contents_of(rows: Sequence[Decision]) -> dict[str, bytes]:
    """What the leaves of batches' decisions are of, made from what is stored now; none of others."""
    return _made_again(rows, lambda stored: columns.copied(stored).to_pylist())


def lines_of(rows: Sequence[Decision]) -> dict[str, bytes]:
    """The same as leaves were made of while rows were copied as lines of CSV."""
    return _made_again(rows, _lines)


#: How contents are made again: as they are recorded now, and as they were before.
WAYS = (contents_of, lines_of)


def _made_again(rows: Sequence[Decision], make: Callable[[Mapping[str, pa.Array]], list[bytes]]) -> dict[str, bytes]:
    kinds: dict[tuple[str, bool], list[Decision]] = defaultdict(list)
    for row in rows:
        if row.fingerprint.startswith(BATCH):
            kinds[row.schema, row.shadows is None].append(row)  # without shadows the column was not copied
    found: dict[str, bytes] = {}
    for mine in kinds.values():
        found |= zip([row.pk for row in mine], _of_kind(mine, make), strict=True)
    return found


def _of_kind(rows: Sequence[Decision], make: Callable[[Mapping[str, pa.Array]], list[bytes]]) -> list[bytes]:
    """The rows as they were copied; nothing for one that no batch can have written."""
    try:
        return make(_stored_again(rows))
    except UNREADABLE:
        return [b""] if len(rows) == 1 else [one for row in rows for one in _of_kind([row], make)]


def _lines(stored: Mapping[str, pa.Array]) -> list[bytes]:
    """A line of CSV a row, each on its own: a text may hold the end of a line."""
    table = pa.table({name: _as_text(values) for name, values in stored.items()})
    return [_line(table.slice(row, 1)) for row in range(len(table))]


def _line(row: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(row, sink, pyarrow.csv.WriteOptions(include_header=False))
    return sink.getvalue().to_pybytes()[:-1]


def _as_text(values: pa.Array) -> pa.Array:
    """What CSV has no type for, as Postgres reads it from a text."""
    if pa.types.is_timestamp(values.type):
        return _texts(one.isoformat() for one in values.to_pylist())
    if pa.types.is_binary(values.type):
        return _texts(f"\\x{one.hex()}" if one else "" for one in values.to_pylist())
    return _texts(map(_array, values.to_pylist())) if pa.types.is_list(values.type) else values


def _array(texts: Sequence[str]) -> str:
    escaped = [text.replace("\\", "\\\\").replace('"', '\\"') for text in texts]
    return "{" + ",".join(f'"{text}"' for text in escaped) + "}"


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
        "created_at": pa.array([row.created_at for row in rows], columns.MOMENT),
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
        "features": _binaries(row.features for row in rows),
        "contributions": _binaries(row.contributions for row in rows),
        "hidden": pa.array([_hidden(schema.fields, row.hidden) for row in rows], pa.string()),
        "row": pa.array([row.row for row in rows], pa.int16()),
        "policy_version": pa.array([row.policy_version for row in rows], pa.int32()),
        "made_on": _binaries(row.made_on or b"" for row in rows),
        "amount": pa.array([row.amount for row in rows], pa.float64()),
        "parties": pa.array([row.parties for row in rows], columns.TEXTS),
        "rules_hit": pa.array([row.rules_hit for row in rows], columns.TEXTS),
        **({} if rows[0].shadows is None else {"shadows": _texts(_shadows(row.shadows) for row in rows)}),
    }


def _shadows(kept: Any) -> str:
    """What models in shadow said, as it was written."""
    return msgspec.json.encode(msgspec.convert(kept, tuple[ShadowScore, ...])).decode()


def _texts(values: Any) -> pa.Array:
    return pa.array(list(values), pa.string())


def _binaries(values: Any) -> pa.Array:
    return pa.array(list(map(bytes, values)), pa.binary())


def _hidden(fields: Sequence[str], hidden: Mapping[str, str] | None) -> str | None:
    """The hashes as they were written, in the order of the fields."""
    if hidden is None:
        return None
    named = {name: hidden[name] for name in (*fields, TRANSACTION_HASH) if name in hidden}
    return msgspec.json.encode(named).decode()
