"""What a decision was made on beside its facts: its row of features to the last bit, what was counted of its parties,
what was known of the lists, and the probability not rounded.

Stored with the decision it lets it be made again, and be held against another policy, exactly. Models read float32,
rules float64: only the features that a float32 does not hold are kept a second time. Counts that are 0 take a bit.

    1 byte: form │ 8: probability (float64, nan: none) │ a bit a feature: kept
    │ a bit a count: not 0 │ a bit a count: unknown
    │ 8 each: features kept │ 8 each: counts that are known and not 0 │ 1 each: answers of lists │ 8 each: aggregates

Numbers are little-endian; bit n of byte m stands for feature, or count, 8m + n. Counts are those of each role's past,
in the order of its struct; answers of lists follow the policy's checks, and aggregates (float64, nan: unknown) those
the policy has of the kind.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from math import nan
from struct import Struct
from typing import Any, NamedTuple

import msgspec
import numpy as np

from apps.scoring.engine.aggregates import Aggregate, told
from apps.scoring.engine.habits import Habits
from apps.scoring.engine.known_aggregates import KnownAggregates
from apps.scoring.engine.list_checks import KnownLists, ListCheck
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.windows import Activity

FORM = 1
#: What a list answered.
NO, YES, UNKNOWN = 0, 1, 2
_head = Struct("<Bd")
_DOUBLE = 8


class Unreadable(ValueError):
    """Bytes that are no such record of that kind of transaction."""


class MadeOn(NamedTuple):
    """`row`: float64[F], in the order of the schema's features; `probability`: calibrated, None without a model;
    `counts`: float64[W], nan for unknown; `lists`: an answer a check, behind them 8 bytes an aggregate."""

    row: np.ndarray
    probability: float | None
    counts: np.ndarray
    lists: bytes


class MadeOnBlock(NamedTuple):
    """Of n decisions: float64[n, F], float64[n] (nan without a model), float64[n, W], and the lists' answers."""

    rows: np.ndarray
    probability: np.ndarray
    counts: np.ndarray
    lists: list[bytes]


# --- what is counted, and what lists say ------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def counts_of(schema: TransactionSchema) -> tuple[tuple[int, str], ...]:
    """What is kept of pasts: (place of the role, name), in order."""
    return tuple(
        (place, name)
        for place, role in enumerate(schema.roles)
        for name in (Habits if role.habits else Activity).__struct_fields__
    )


def counted(pasts: Sequence[Activity]) -> list[float]:
    """The counts of one transaction's pasts."""
    return [value for past in pasts for value in msgspec.structs.astuple(past)]


def counted_block(schema: TransactionSchema, pasts: Sequence[Any], rows: np.ndarray) -> np.ndarray:
    """float64[len(rows), W]: the counts of some rows of a block, whose pasts are columns under the structs' names; nan
    of what was not counted there."""
    asked = counts_of(schema)
    if not asked:
        return np.empty((len(rows), 0))
    nothing = np.full(len(rows), nan)
    columns = (getattr(pasts[place], name, None) for place, name in asked)
    return np.column_stack([nothing if one is None else one[rows] for one in columns])


def pasts_of(schema: TransactionSchema, counts: np.ndarray) -> list[Activity]:
    """The pasts whose counts these are."""
    values, found = iter(counts.tolist()), []
    for role in schema.roles:
        kept = Habits if role.habits else Activity
        found.append(kept(*[next(values) for _ in kept.__struct_fields__]))
    return found


class CountedColumns:
    """One role's pasts as columns, from float64[n, W] counts."""

    def __init__(self, places: Mapping[str, int], counts: np.ndarray) -> None:
        self._places, self._counts = places, counts

    def __getattr__(self, name: str) -> np.ndarray:
        return self._counts[:, self._places[name]]


def pasts_of_block(schema: TransactionSchema, counts: np.ndarray) -> list[CountedColumns]:
    """The same for a block."""
    places: list[dict[str, int]] = [{} for _ in schema.roles]
    for column, (role, name) in enumerate(counts_of(schema)):
        places[role][name] = column
    return [CountedColumns(one, counts) for one in places]


def answered(checks: Sequence[ListCheck], known: KnownLists | None) -> bytes:
    """What lists answered, an answer a check."""
    if not checks:
        return b""
    known = known or {}
    return bytes([UNKNOWN if (said := known.get(check)) is None else int(said) for check in checks])


def known_lists(checks: Sequence[ListCheck], lists: bytes) -> dict[ListCheck, bool]:
    """What was known of the lists by these answers."""
    return {check: said == YES for check, said in zip(checks, lists, strict=False) if said != UNKNOWN}


def aggregated(asked: Sequence[Aggregate], known: KnownAggregates | None) -> bytes:
    """What aggregates came to, float64 each."""
    return Struct(f"<{len(asked)}d").pack(*told(asked, known)) if asked else b""


def known_aggregates(asked: Sequence[Aggregate], checks: int, lists: bytes) -> dict[str, float]:
    """What was known of aggregates by what is kept behind so many answers of lists."""
    values = aggregates_of_block(asked, checks, [lists])[0].tolist() if asked else ()
    return dict(zip([one.asked_as for one in asked], values, strict=True))


def aggregates_of_block(asked: Sequence[Aggregate], checks: int, lists: Sequence[bytes]) -> np.ndarray:
    """float64[n, aggregates]: the same of n decisions; nan of one of which it was not kept."""
    size = _DOUBLE * len(asked)
    nothing = Struct(f"<{len(asked)}d").pack(*[nan] * len(asked))
    kept = [one[checks:] if len(one) == checks + size else nothing for one in lists]
    return np.frombuffer(b"".join(kept), "<f8").reshape(len(lists), len(asked))


# --- as bytes ---------------------------------------------------------------------------------------------------------


def packed(
    row: Sequence[float], features: bytes, probability: float | None, counts: Sequence[float], lists: bytes
) -> bytes:
    """What is kept of a row of F features beside its float32 vector, which is b"" without a model."""
    held = _unpacker(len(row))(features) if features else (nan,) * len(row)
    kept = [place for place, value in enumerate(row) if value != held[place] and value == value]
    there = [place for place, value in enumerate(counts) if value]  # nan is something
    unknown = [place for place in there if counts[place] != counts[place]]
    doubles = [row[place] for place in kept] + [counts[place] for place in there if counts[place] == counts[place]]
    head = _head.pack(FORM, nan if probability is None else probability)
    bits = _bits(kept, len(row)) + _bits(there, len(counts)) + _bits(unknown, len(counts))
    return head + bits + Struct(f"<{len(doubles)}d").pack(*doubles) + lists


def packed_block(
    rows: np.ndarray, features: np.ndarray | None, probability: np.ndarray | None, counts: np.ndarray,
    lists: np.ndarray,
) -> list[bytes]:  # fmt: skip
    """The same for float64[n, F] rows, float32[n, F] vectors, float64[n] probabilities, float64[n, W] counts and
    uint8[n, …] answers of lists, behind them the bytes of aggregates."""
    count = len(rows)
    held = np.full_like(rows, nan) if features is None else features.astype(np.float64)
    kept, unknown = (rows != held) & (rows == rows), counts != counts
    there = (counts != 0) | unknown
    said = np.full(count, nan) if probability is None else np.asarray(probability)
    heads = np.column_stack(
        [
            np.full(count, FORM, dtype=np.uint8),
            np.ascontiguousarray(said, dtype="<f8").view(np.uint8).reshape(count, _DOUBLE),
            *(np.packbits(bits, axis=1, bitorder="little") for bits in (kept, there, unknown)),
        ]
    )
    values, told = np.column_stack([rows, counts]), np.column_stack([kept, there & ~unknown])
    ends = [0, *(_DOUBLE * told.sum(axis=1).cumsum()).tolist()]
    doubles, first, last = values[told].astype("<f8").tobytes(), heads.tobytes(), lists.astype(np.uint8).tobytes()
    size, checks = heads.shape[1], lists.shape[1]
    return [
        first[place * size : (place + 1) * size]
        + doubles[ends[place] : ends[place + 1]]
        + last[place * checks : (place + 1) * checks]
        for place in range(count)
    ]


def unpacked(kept: bytes, features: bytes, schema: TransactionSchema) -> MadeOn:
    """What `packed` kept, given the decision's float32 vector. Raises `Unreadable`."""
    width = len(schema.features)
    if len(features) not in (0, 4 * width):
        raise Unreadable("the decision's features are others")
    held = np.frombuffer(features, "<f4").astype(np.float64) if features else np.full(width, nan)
    found = unpacked_block([kept], held.reshape(1, -1), schema)
    probability = float(found.probability[0])
    told = None if probability != probability else probability
    return MadeOn(found.rows[0], told, found.counts[0], found.lists[0])


def unpacked_block(kept: Sequence[bytes], held: np.ndarray, schema: TransactionSchema) -> MadeOnBlock:
    """The same of n decisions; `held` are their float32 vectors as float64[n, F], nan where there is none.

    Raises `Unreadable`.
    """
    count, width, counts = len(kept), held.shape[1], len(counts_of(schema))
    first, second = _head.size + _size(width), _head.size + _size(width) + _size(counts)
    begin = second + _size(counts)
    heads = np.frombuffer(b"".join([one[:begin] for one in kept]), np.uint8)
    if len(heads) != count * begin or (heads := heads.reshape(count, begin))[:, 0].tolist() != [FORM] * count:
        raise Unreadable("it was kept in another form")
    of_row = _read_bits(heads[:, _head.size : first], width)
    unknown = _read_bits(heads[:, second:], counts)
    of_counts = _read_bits(heads[:, first:second], counts) & ~unknown
    told = np.column_stack([of_row, of_counts])
    ends = (begin + _DOUBLE * told.sum(axis=1)).tolist()
    doubles = np.frombuffer(b"".join([one[begin:end] for one, end in zip(kept, ends, strict=True)]), "<f8")
    if len(doubles) != told.sum():
        raise Unreadable("it was kept of other features")
    values = np.column_stack([held, np.where(unknown, nan, 0.0)])
    values[told] = doubles
    probability = np.ascontiguousarray(heads[:, 1 : _head.size]).view("<f8").ravel()
    return MadeOnBlock(
        values[:, :width], probability, values[:, width:], [one[end:] for one, end in zip(kept, ends, strict=True)]
    )


def _size(bits: int) -> int:
    return (bits + 7) // 8


def _bits(places: Sequence[int], width: int) -> bytes:
    return sum([1 << place for place in places]).to_bytes(_size(width), "little")


def _read_bits(packed_bits: np.ndarray, width: int) -> np.ndarray:
    return np.unpackbits(packed_bits, axis=1, bitorder="little", count=width).astype(bool)


@cache
def _unpacker(width: int) -> Callable[[bytes], tuple[float, ...]]:
    return Struct(f"<{width}f").unpack
