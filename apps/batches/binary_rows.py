"""Columns of Arrow as rows that PostgreSQL's `COPY … FROM STDIN (FORMAT BINARY)` reads (`apps.binary_copy` has the
format): one value of bytes a row, one after the other in memory, and no object a row.

A column is an array, or a scalar that every row has. Its type says the column of the table: text, `bytea`, `boolean`,
`smallint`, `integer`, `double precision`, `timestamp with time zone`, `text[]`; JSON is text in both and is named.
"""

from collections.abc import Collection, Mapping, Sequence
from struct import Struct
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from apps.binary_copy import NULL, SINCE_2000_US, array_head, merged

#: Bytes that are the same in every row, or those of each row.
Piece: TypeAlias = bytes | pa.BinaryArray
Column: TypeAlias = pa.Array | pa.Scalar
#: Big-endian numbers, as Postgres reads them, by their type.
_NUMBERS = {pa.bool_(): ">u1", pa.int16(): ">i2", pa.int32(): ">i4", pa.int64(): ">i8", pa.float64(): ">f8"}
_VERSION_OF_JSONB = b"\x01"
_fields, _length = Struct("!h").pack, Struct("!i").pack


def rows_of(columns: Mapping[str, Column], json: Collection[str] = ()) -> pa.BinaryArray:
    """Each row as COPY reads it, of columns of which one is an array at least; those of `jsonb` are named by `json`.

    Raises `KeyError` for a type it does not know.
    """
    pieces: list[Piece] = [_fields(len(columns))]
    for name, column in columns.items():
        pieces += _pieces(_as_jsonb(column) if name in json else column)
    return pc.binary_join_element_wise(*merged(pieces), b"")


def _as_jsonb(column: Column) -> Column:
    return pc.binary_join_element_wise(_VERSION_OF_JSONB, column.cast(pa.binary()), b"")


def _pieces(column: Column) -> Sequence[Piece]:
    """A column's bytes behind their length; NULL is a length alone."""
    if isinstance(column, pa.Scalar):
        alone = _pieces(pa.array([column.as_py()], column.type))
        return [b"".join(piece if isinstance(piece, bytes) else piece[0].as_py() for piece in alone)]
    if column.null_count == len(column):
        return [NULL]
    written = _written(column)
    return [_lengths(written), pc.fill_null(written, b"") if written.null_count else written]


def _lengths(written: pa.BinaryArray) -> Piece:
    lengths = pc.fill_null(pc.binary_length(written), -1).to_numpy()
    if (lengths == lengths[0]).all():
        return _length(int(lengths[0]))
    return _fixed(lengths.astype(">i4"))


def _written(column: pa.Array) -> pa.BinaryArray:
    """Each value as Postgres reads its type, without its length; null where it is."""
    kind = column.type
    if pa.types.is_list(kind):
        return _arrays(column)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return column.cast(pa.binary())
    if pa.types.is_timestamp(kind):
        column = pc.subtract(column.cast(pa.timestamp("us", kind.tz)).cast(pa.int64()), SINCE_2000_US)
    there = column.is_valid()
    zero = pa.scalar(False if pa.types.is_boolean(column.type) else 0, column.type)
    values = _fixed(pc.fill_null(column, zero).to_numpy(zero_copy_only=False).astype(_NUMBERS[column.type]))
    return pc.if_else(there, values, None) if column.null_count else values


def _fixed(values: np.ndarray) -> pa.BinaryArray:
    """Numbers of one width as bytes."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.dtype.itemsize
    return pa.BinaryArray.from_buffers(pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(values)])


def _arrays(lists: pa.ListArray) -> pa.BinaryArray:
    """Of `text[]`: one dimension that begins at 1, without NULLs. Its texts stand behind one another already."""
    texts = lists.flatten().cast(pa.binary())
    elements = pc.binary_join_element_wise(*_pieces(texts), b"") if len(texts) else texts
    ends = np.frombuffer(elements.buffers()[1], np.int32, len(elements) + 1) if len(texts) else np.zeros(1, np.int32)
    counts = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    offsets = ends[np.concatenate([[0], np.cumsum(counts)])].astype(np.int32)
    data = elements.buffers()[2] if len(texts) else pa.py_buffer(b"")
    joined = pa.BinaryArray.from_buffers(pa.binary(), len(lists), [None, pa.py_buffer(offsets), data])
    heads = pa.array(map(array_head, range(int(counts.max(initial=0)) + 1)), pa.binary()).take(pa.array(counts))
    arrays = pc.binary_join_element_wise(heads, joined, b"")
    return pc.if_else(lists.is_valid(), arrays, None) if lists.null_count else arrays
