"""Decisions of a block as the columns they are stored in, and those as rows for Postgres' COPY. Pure; no object a row.

A row is kept whole (`told`) when it was explained or has something of its own to tell; of all others the answer is kept
short (`decision_formats.Short`), which is the same text for nearly all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from apps import times
from apps.batches import binary_rows
from apps.batches.binary_rows import Column
from apps.scoring import counting
from apps.scoring.engine.block import ACTIONS, LEVELS, Block, BlockDecisions
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.parties import party_names
from apps.scoring.engine.rules import SHADOW
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.serving import canonical_form, decision_formats
from apps.scoring.serving.decision_formats import Short, Timing
from apps.scoring.sought import SORTED_BY, category_of, country_of, told_parties

#: Rows whose columns are there at once.
ROWS_AT_ONCE = 4_096
_UNSAFE = r'["\\\x00-\x1f]'
_encode = msgspec.json.Encoder().encode
MOMENT, TEXTS = pa.timestamp("us", "UTC"), pa.list_(pa.string())
#: Columns of `jsonb`.
JSON = ("facts", "hidden", "shadows")


@dataclass(frozen=True, eq=False)
class Kept:
    """What is stored of a block beside its decisions, an entry a row of `rows`, which are places in the block.

    `whole` are the answers that are kept whole, `hidden` and `facts` those of masked rows: by place in `rows`.
    `shadows`: what own models in shadow would have said, as JSON; None where none was asked.
    """

    rows: np.ndarray
    ids: Sequence[str]
    transaction_ids: Sequence[str]
    body_hashes: Sequence[str]
    statuses: Sequence[str]
    numbers: Sequence[int]
    whole: Mapping[int, bytes]
    hidden: Mapping[int, bytes]
    facts: Mapping[int, bytes]
    shadows: Sequence[bytes] | None = None

    def part(self, start: int, end: int) -> "Kept":
        """That of the rows [start, end)."""

        def of_places(values: Mapping[int, bytes]) -> dict[int, bytes]:
            return {place - start: value for place, value in values.items() if start <= place < end}

        return Kept(
            rows=self.rows[start:end],
            ids=self.ids[start:end],
            transaction_ids=self.transaction_ids[start:end],
            body_hashes=self.body_hashes[start:end],
            statuses=self.statuses[start:end],
            numbers=self.numbers[start:end],
            whole=of_places(self.whole),
            hidden=of_places(self.hidden),
            facts=of_places(self.facts),
            shadows=None if self.shadows is None else self.shadows[start:end],
        )


@dataclass(frozen=True)
class Common:
    """What all rows of a chunk have in common."""

    batch_id: str
    created_at: datetime
    livemode: bool
    billed_units: int
    milliseconds: float


def stored_parts(decided: BlockDecisions, kept: Kept, common: Common) -> Iterator[dict[str, Column]]:
    """`stored_columns` of some rows after the other: of all at once they take as much memory as a model."""
    for start in range(0, len(kept.rows), ROWS_AT_ONCE):
        yield stored_columns(decided, kept.part(start, start + ROWS_AT_ONCE), common)


def stored_columns(decided: BlockDecisions, kept: Kept, common: Common) -> dict[str, Column]:
    """The columns of `scoring_decision` by name, a value a row of `kept.rows` or one for all."""
    rows, verdicts, model = kept.rows, decided.verdicts, decided.model
    count = len(rows)
    schema = decided.block.schema
    causes = [f"{cause.kind}:{cause.id}" for cause in verdicts.causes]
    shadows = {} if kept.shadows is None else {"shadows": pa.array([one.decode() for one in kept.shadows])}
    return {
        "id": pa.array(kept.ids, pa.string()),
        "created_at": pa.scalar(common.created_at, MOMENT),
        "livemode": pa.scalar(common.livemode),
        "schema": pa.scalar(schema.name),
        "transaction_id": pa.array(kept.transaction_ids, pa.string()),
        "body_hash": pa.array(kept.body_hashes, pa.string()),
        "idempotency_hash": pa.scalar(""),
        "fingerprint": pa.scalar(common.batch_id),
        "status": pa.array(kept.statuses, pa.string()),
        "fraud_probability": _numbers(decided.probability, rows, pa.float64()),
        "risk_score": _numbers(decided.risk_score, rows, pa.int16()),
        "risk_level": _words(LEVELS, verdicts.level[rows]),
        "recommended_action": _words(ACTIONS, verdicts.action[rows]),
        "decisive": _words(causes, verdicts.cause[rows]),
        "model_name": pa.scalar(model.name if model else ""),
        "model_version": pa.scalar(model.version if model else ""),
        "facts": replaced(facts_of(decided.block, rows), kept.facts),
        "answer": replaced(short_answers(decided, rows, common), kept.whole),
        "features": _vectors(decided.features, rows),
        "contributions": _contributions(decided, rows),
        "hidden": replaced(pa.nulls(count, pa.string()), kept.hidden),
        "row": pa.array(kept.numbers, pa.int16()),
        "policy_version": pa.scalar(decided.policy_version, pa.int32()),
        "made_on": pa.array(decided.made_on(rows), pa.binary()),
        "amount": pa.array(_amounts(decided.block, rows)),
        "parties": arrays_of([_parties(decided.block, name, rows) for name in schema.searched], count),
        "rules_hit": pa.array(_names_hit(decided, rows), TEXTS),
        **shadows,
    }


def counted_columns(decided: BlockDecisions, kept: Kept, common: Common) -> counting.Columns:
    """The same decisions as roll-ups count them."""
    rows, verdicts, model, schema = kept.rows, decided.verdicts, decided.model, decided.block.schema
    count, causes = len(rows), [f"{cause.kind}:{cause.id}" for cause in verdicts.causes]
    names = [_parties(decided.block, name, rows) for name in schema.searched]
    parties, party_fields = told_parties(schema.searched, names, count)
    category, country = SORTED_BY[schema.name]
    features = None if decided.features is None else np.ascontiguousarray(decided.features[rows], dtype="<f4")
    return counting.Columns(
        created_us=[times.instant_us(common.created_at)] * count,
        livemode=[common.livemode] * count,
        schema=[schema.name] * count,
        fraud_probability=[None] * count if decided.probability is None else decided.probability[rows].tolist(),
        risk_level=[LEVELS[level] for level in verdicts.level[rows].tolist()],
        recommended_action=[ACTIONS[action] for action in verdicts.action[rows].tolist()],
        decisive=[causes[cause] for cause in verdicts.cause[rows].tolist()],
        model=[f"{model.name}@{model.version}" if model else ""] * count,
        amount=_amounts(decided.block, rows).tolist(),
        parties=parties,
        party_fields=party_fields,
        rules_hit=_names_hit(decided, rows),
        category=_spelled(decided.block, category, rows, lambda value: category_of(schema.name, value)),
        country=_spelled(decided.block, country, rows, country_of) if country else [""] * count,
        fraud_type=[one or "" for one in verdicts.fraud_type[rows].tolist()],
        features=[b""] * count if features is None else [row.tobytes() for row in features],
    )


def _spelled(block: Block, name: str, rows: np.ndarray, word_of: Callable[[Any], str]) -> list[str]:
    """A field's values as the words they are counted under; of few different ones each is looked at once."""
    values = [None if value != value else value for value in getattr(block.columns, name)[rows].tolist()]
    words = {value: word_of(value) for value in set(values)}
    return [words[value] for value in values]


def copied(stored: Mapping[str, Column]) -> pa.BinaryArray:
    """Columns as rows for COPY."""
    return binary_rows.rows_of(stored, JSON)


def canonical_facts(block: Block, rows: Sequence[int]) -> Iterator[bytes]:
    """The canonical form of what each of these rows says, as a single call's body would be read."""
    schema, masked = block.schema, set(block.masked)

    def alone(row: int) -> bytes:
        return canonical_form.of_facts(schema.name, block.parse(row).sent)

    if schema.moment is not None:  # a time in columns is a number
        yield from map(alone, rows)
        return
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        told = canonical_form.of_columns(_sent_columns(block, some))
        yield from (alone(row) if row in masked else facts for row, facts in zip(some, told, strict=True))


def _sent_columns(block: Block, rows: Sequence[int]) -> dict[str, list[Any]]:
    """By field what rows say, typed: of those fields that were sent at all."""
    named = [(name, getattr(block.columns, name)[rows]) for name in block.schema.fields]
    sent = [(name, values, there) for name, values in named if (there := _sent(values)).any()]
    return {name: _typed(block.schema.types[name], values, there) for name, values, there in sent}


def _sent(values: np.ndarray) -> np.ndarray:
    """bool[n]: of which rows a field was sent."""
    if values.dtype == object:
        return np.array([value is not None for value in values.tolist()], dtype=bool)
    return np.asarray(values == values)


def _typed(of_type: Any, values: np.ndarray, sent: np.ndarray) -> list[Any]:
    """A column's values as a body has them, None where nothing was sent."""
    if values.dtype == object:
        return values.tolist()
    if is_kind(bool, of_type):
        typed = (values == 1.0).tolist()
    elif is_kind(int, of_type) and not is_kind(float, of_type):
        typed = np.where(sent, values, 0).astype(np.int64).tolist()
    else:
        typed = values.tolist()
    for place in np.flatnonzero(~sent).tolist():
        typed[place] = None
    return typed


# --- facts ------------------------------------------------------------------------------------------------------------


def facts_of(block: Block, rows: np.ndarray) -> pa.Array:
    """Each row's facts as JSON: the fields that were sent, typed as the schema types them."""
    pieces: list[pa.Array] = []
    for name in _required_first(block.schema):
        values = _as_json(block.schema, name, getattr(block.columns, name)[rows])
        if values is None:
            continue
        before = f'{{"{name}":' if not pieces else f',"{name}":'
        said = pc.binary_join_element_wise(before, values, "")  # null where nothing was sent
        pieces.append(said if not said.null_count else pc.fill_null(said, ""))
    return pc.binary_join_element_wise(*pieces, "}", "")


def _required_first(schema: TransactionSchema) -> list[str]:
    return sorted(schema.fields, key=lambda name: name not in schema.required)


def _as_json(schema: TransactionSchema, name: str, values: np.ndarray) -> pa.Array | None:
    """A field's values as JSON, null where it was not sent; None when no row has it."""
    kind = schema.types[name]
    if is_kind(str, kind):
        return _texts_as_json(values)
    sent = values == values
    if not sent.any():
        return None
    unknown = None if sent.all() else ~sent
    if is_kind(datetime, kind):
        moments = np.where(sent, np.round(values * 1000), 0).astype("datetime64[us]")
        return pa.array(_quoted_moments(moments), pa.string(), mask=unknown)
    if is_kind(bool, kind):
        return pc.if_else(pa.array(values == 1.0, mask=unknown), "true", "false")
    if is_kind(float, kind):
        return pa.array(values, mask=unknown).cast(pa.string())
    return pa.array(np.where(sent, values, 0).astype(np.int64), mask=unknown).cast(pa.string())


def _quoted_moments(moments: np.ndarray) -> list[str]:
    return [f'"{moment}Z"' for moment in np.datetime_as_string(moments, unit="us").tolist()]


def _texts_as_json(values: np.ndarray) -> pa.Array | None:
    texts = pa.array(values, pa.string(), from_pandas=True)
    if texts.null_count == len(texts):
        return None
    if pc.any(pc.match_substring_regex(texts, _UNSAFE)).as_py():
        escaped = [None if text is None else _encode(text).decode() for text in texts.to_pylist()]
        return pa.array(escaped, pa.string())
    return pc.binary_join_element_wise('"', texts, '"', "")


# --- answers ----------------------------------------------------------------------------------------------------------


def short_answers(decided: BlockDecisions, rows: np.ndarray, common: Common) -> pa.Array:
    """The short answer of each row: one text for all that the rules found alike, of one kind of fraud."""
    kinds: dict[Any, int] = {}
    kind = [kinds.setdefault(one, len(kinds)) for one in decided.verdicts.fraud_type[rows].tolist()]
    patterns = np.concatenate([decided.rules.hit[:, rows], decided.rules.error[:, rows]]).T
    packed = np.column_stack([np.array(kind, dtype=np.uint8), np.packbits(patterns, axis=1)])
    _, firsts, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    texts = [_short(decided, int(rows[first]), common) for first in firsts.tolist()]
    return _words(texts, which.ravel())


def _short(decided: BlockDecisions, row: int, common: Common) -> str:
    short = Short(
        rules=decided.rules.of(row),
        model=decided.model,
        degraded=decided.degraded,
        warnings=(),
        timing_ms=Timing(common.milliseconds),
        billed_units=common.billed_units,
        fraud_type=decided.verdicts.fraud_type[row],
    )
    return _encode(short).decode()


def whole_answer(
    decided: BlockDecisions, row: int, name: str, transaction_id: str, common: Common, **more: Any
) -> bytes:
    """A row's answer as it would be alone; `more` are fields of it that are otherwise, `supersedes` or `status`."""
    found = decided.decision(row, again=False)
    facts: dict[str, Any] = {
        "id": name,
        "livemode": common.livemode,
        "created_at": times.rfc3339(common.created_at),
        "transaction_id": transaction_id,
        "schema": decided.block.schema.name,
        "status": "new",
        "timing_ms": Timing(common.milliseconds),
        "billed_units": common.billed_units,
        "warnings": found.warnings,
    }
    if found.ensemble is not None:
        facts["ensemble"] = found.ensemble
    said = (
        "fraud_probability", "risk_score", "risk_level", "recommended_action", "fraud_type", "decisive", "reasons",
        "rules", "model", "policy_version", "degraded",
    )  # fmt: skip
    facts |= {name: getattr(found, name) for name in said}
    return decision_formats.encode(decision_formats.Decision(**facts | more))


# --- vectors and lists ------------------------------------------------------------------------------------------------


def _vectors(features: np.ndarray | None, rows: np.ndarray) -> Column:
    """float32 vectors as bytes."""
    if features is None or not len(rows):
        return pa.scalar(b"")
    raw = np.ascontiguousarray(features[rows], dtype="<f4")
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * (raw.nbytes // len(rows))
    return pa.BinaryArray.from_buffers(pa.binary(), len(rows), [None, pa.py_buffer(offsets), pa.py_buffer(raw)])


def _contributions(decided: BlockDecisions, rows: np.ndarray) -> Column:
    explained = decided.contributions
    if not explained:
        return pa.scalar(b"")
    return pa.array([explained.get(row, b"") for row in rows.tolist()], pa.binary())


def _names_hit(decided: BlockDecisions, rows: np.ndarray) -> list[list[str]]:
    """The ids of the rules that hit each row."""
    hit, names, nothing = decided.rules.hit[:, rows], [rule.id for rule in decided.rules.rules], list[str]()
    if decided.rules.untold is not None:
        hit = np.concatenate([hit, decided.rules.untold[:, rows]])
        names += [f"{SHADOW}{name}" for name in decided.rules.untold_ids]
    found = [nothing] * len(rows)
    for place in np.flatnonzero(hit.any(axis=0)).tolist() if names else ():
        found[place] = [name for name, one in zip(names, hit[:, place].tolist(), strict=True) if one]
    return found


def _parties(block: Block, name: str, rows: np.ndarray) -> Sequence[str | None]:
    """The values of a searched field as they are looked for; None where nothing was sent."""
    values = getattr(block.columns, name)[rows]
    return party_names([None if value != value else value for value in values.tolist()])


def arrays_of(columns: Sequence[Sequence[str | None]], count: int) -> pa.ListArray:
    """Each row's texts, without those that are None."""
    texts = list(chain.from_iterable(zip(*columns, strict=True)))
    if None in texts:
        rows = zip(*columns, strict=True)
        return pa.array([[one for one in row if one is not None] for row in rows], TEXTS)
    ends = np.arange(count + 1, dtype=np.int32) * len(columns)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(texts, pa.string()))


def _amounts(block: Block, rows: np.ndarray) -> np.ndarray:
    amounts = getattr(block.columns, block.schema.amount_field)[rows]
    return np.where(amounts == amounts, amounts, 0.0)


# --- arrays -----------------------------------------------------------------------------------------------------------


def _numbers(values: np.ndarray | None, rows: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.nulls(len(rows), kind) if values is None else pa.array(values[rows], kind)


def _words(words: Sequence[str], places: np.ndarray) -> pa.Array:
    """`words` at these places."""
    return pa.array(list(words), pa.string()).take(pa.array(places.astype(np.int64)))


def replaced(values: pa.Array, others: Mapping[int, bytes]) -> pa.Array:
    """The values, with others at some places."""
    if not others:
        return values
    mask = np.zeros(len(values), dtype=bool)
    mask[sorted(others)] = True
    return pc.replace_with_mask(
        values, pa.array(mask), pa.array([others[place].decode() for place in sorted(others)], pa.string())
    )
