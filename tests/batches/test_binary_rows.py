"""Columns of Arrow become the same bytes as lists, which Postgres reads in `tests/test_binary_copy.py`."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from apps import binary_copy
from apps.batches import binary_rows
from apps.batches.columns import MOMENT, TEXTS

MOMENTS = [datetime(2026, 1, 5, 10, 0, 0, 123456, UTC), datetime(1970, 1, 1, tzinfo=UTC), None]
#: Type → that of Arrow and values: told ones of different lengths, then NULL.
COLUMNS = {
    "text": (pa.string(), ["é", "", "a\tb\\", None]),
    "bytea": (pa.binary(), [b"\x00\xff", b"", b"a", None]),
    "jsonb": (pa.string(), ['{"a": 1}', "null", '"é"', None]),
    "boolean": (pa.bool_(), [True, False, True, None]),
    "smallint": (pa.int16(), [-32768, 32767, 0, None]),
    "integer": (pa.int32(), [-1, 2**31 - 1, 0, None]),
    "bigint": (pa.int64(), [-1, 2**63 - 1, 0, None]),
    "double precision": (pa.float64(), [0.1, -0.0, float("inf"), None]),
    "text[]": (TEXTS, [["a", 'b"{},'], [], ["é"], None]),
}


def in_lists(types: list[str], columns: list[list]) -> bytes:
    encoded = [[one and one.encode() for one in values] if kind == "jsonb" else values
               for kind, values in zip(types, columns, strict=True)]  # fmt: skip
    return binary_copy.rows_of(types, encoded)


def in_columns(types: list[str], columns: list) -> bytes:
    names = [f"{number}" for number in range(len(types))]
    json = [name for name, kind in zip(names, types, strict=True) if kind == "jsonb"]
    rows = binary_rows.rows_of(dict(zip(names, columns, strict=True)), json)
    return b"".join([binary_copy.HEADER, *rows.to_pylist(), binary_copy.TRAILER])


@pytest.mark.parametrize("places", [(0, 1, 2, 3), (0,), (3, 3), (1, 1), (2, 0, 2), (0, 3)])
def test_all_types_side_by_side(places: tuple[int, ...]) -> None:
    types = [*COLUMNS]
    values = [[told[place] for place in places] for _, told in COLUMNS.values()]
    arrays = [pa.array(column, kind) for column, (kind, _) in zip(values, COLUMNS.values(), strict=True)]
    wide = [pa.concat_arrays([array, array, array]).slice(len(places), len(places)) for array in arrays]
    scalars = [array[0] for array in arrays]
    id_of = pa.array([f"{place}" * place for place in places], pa.string())
    ids = id_of.to_pylist()
    assert in_columns(["text", *types], [id_of, *arrays]) == in_lists(["text", *types], [ids, *values])
    assert in_columns(["text", *types], [id_of, *wide]) == in_lists(["text", *types], [ids, *values])
    once = [[column[0]] * len(places) for column in values]
    assert in_columns(["text", *types], [id_of, *scalars]) == in_lists(["text", *types], [ids, *once])


def test_moments_are_microseconds_since_2000() -> None:
    told = [one and round(one.timestamp() * 1e6) for one in MOMENTS]
    of_type = "timestamp with time zone"
    assert in_columns([of_type], [pa.array(MOMENTS, MOMENT)]) == in_lists([of_type], [told])
    assert in_columns([of_type], [pa.array(MOMENTS[:2], MOMENT)]) == in_lists([of_type], [told[:2]])


def test_a_type_nobody_told_of_is_refused() -> None:
    with pytest.raises(KeyError):
        binary_rows.rows_of({"a": pa.array([1.0], pa.float32())})
