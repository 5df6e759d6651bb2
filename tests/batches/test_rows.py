"""Whole columns read at once, and the same rows one by one through the schema's own parse: the same block."""

import dataclasses
from random import Random

import numpy as np
import pytest

from apps.batches.columns import arrays_of, canonical_facts
from apps.batches.headings import match
from apps.batches.rows import read_rows
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving import ids
from tests.batches.files import HONEST, TYPED, chunks_of, csv_file, json_file, parquet_file
from tests.scoring.engine import generated

PAYSIM = SCHEMAS["paysim"]
#: What stands in cells, beside what is meant to.
NUMBERS = ("0", "5", "5000.25", " 7 ", "+3", "1e3", ".5", "15.0", "5.5", "-1", "1e13", "inf", "nan", "abc", "",
           "-", "NA", "4111111111111111", "1_000", "0x10", "12,5", "-0.0", "9007199254740993", "\uff11",
           "007")  # fmt: skip
TEXTS = ("TRANSFER", "transfer", " Payment", "C1", "", "-", "null", "None", "NA", "x" * 129, "é", "a\tb", "   ",
         "%34111", "4111 1111 1111 1111", "5500005555555559", "0123456789012345", "\ufeffC1", "C1 ")  # fmt: skip
JSONS = (
    1,
    2.5,
    15.0,
    5.5,
    -3,
    2**60,
    True,
    None,
    "7",
    "",
    "TRANSFER",
    "é",
    "4111 1111 1111 1111",
    [1],
    {"a": 1},
    "\ud83d",
)


def mixed(random, cells_of, honest=HONEST):
    rows = []
    for _ in range(200):
        names = random.sample(sorted(honest), random.choice((0, 0, 1, 1, 3)))
        rows.append({**honest, **{name: random.choice(cells_of(name)) for name in names}})
    return rows


def texts_or_numbers(name):
    return TEXTS if name in ("type", "nameOrig", "nameDest") else NUMBERS


def with_commas(rows):
    """Amounts as 7,5, and some as 7.5, which are none then."""
    rows = [{name: cell.replace(".", ",") for name, cell in row.items()} for row in rows]
    return [{**row, "amount": f"{place}{',' if place % 20 else '.'}5"} for place, row in enumerate(rows)]


def floats(rows):
    """As columns of Parquet: some of numbers, some of texts."""
    columns = {name: [row[name] for row in rows] for name in HONEST}
    for name in ("oldbalanceDest", "newbalanceDest"):
        columns[name] = [float(place % 7) if place % 5 else None for place in range(len(rows))]
    columns["step"] = [place % 90 for place in range(len(rows))]
    return columns


FILES = {
    "CSV": lambda random: csv_file(mixed(random, texts_or_numbers)),
    "CSV with decimal commas": lambda random: csv_file(with_commas(mixed(random, texts_or_numbers)), ";"),
    "JSON Lines": lambda random: json_file(mixed(random, lambda name: JSONS, TYPED)) + b"no json\n[1]\n",
    "Parquet": lambda random: parquet_file(floats(mixed(random, texts_or_numbers))),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", FILES)
def test_columns_at_once_are_what_rows_are_one_by_one(kind, seed):
    content = FILES[kind](Random(f"{kind} {seed}"))
    (chunk,) = chunks_of(content)
    headings = match(PAYSIM, chunk.names)
    fast = read_rows(chunk, PAYSIM, headings, 0)
    slow = read_rows(chunk, dataclasses.replace(PAYSIM, untouched=None), headings, 0)
    assert 20 < len(fast.block) < len(chunk)
    assert_same(fast, slow, PAYSIM)
    assert_known_as_single_calls(fast, PAYSIM)


def assert_same(fast, slow, schema):
    assert fast.places.tolist() == slow.places.tolist()
    assert fast.problems == slow.problems
    assert fast.block.at_ms.tolist() == slow.block.at_ms.tolist()
    for name in schema.fields:
        one, other = getattr(fast.block.columns, name), getattr(slow.block.columns, name)
        assert one.dtype == other.dtype, name
        np.testing.assert_array_equal(one, other, err_msg=name)
    assert {fast.places[row] for row in fast.block.masked} == {slow.places[row] for row in slow.block.masked}
    assert fast.block.parse(3) == slow.block.parse(3)


def assert_known_as_single_calls(rows, schema):
    """A file's rows and single calls of the same facts are duplicates of each other."""
    alone = [ids.body_hash(schema.name, rows.block.parse(row).sent) for row in range(len(rows.block))]
    assert ids.body_hashes(schema.name, canonical_facts(rows.block, range(len(rows.block)))) == alone


def test_problems_are_told_in_the_words_of_a_single_call():
    rows = [
        {**HONEST, "amount": "-5", "step": "1.5"},
        {**HONEST, "amount": ""},
        HONEST,
        {**HONEST, "nameDest": "a\x07"},
    ]
    (chunk,) = chunks_of(csv_file(rows).replace(b"amount", b"Transaction Amount"))
    found = read_rows(chunk, PAYSIM, match(PAYSIM, chunk.names), 0)
    assert [problem[:3] for problem in found.problems] == [
        (1, "Transaction Amount", "'amount' must be a number from 0 to 1,000,000,000,000."),
        (1, "step", "'step' must be a whole number of hours from 0 to 1,000,000."),
        (2, "Transaction Amount", "'amount' is missing: send a number from 0 to 1,000,000,000,000."),
        (4, "nameDest", "'nameDest' must be text of at most 128 printable characters; it holds a control character "
                        "(U+0007)."),
    ]  # fmt: skip
    assert [problem.kind for problem in found.problems] == ["field_invalid"] * 2 + ["field_missing", "field_invalid"]
    assert found.places.tolist() == [2]


DATES = {
    "2026-01-15T10:30:00Z": True, "2026-01-15 10:30:00": True, "20260115T103000+0100": True,
    "15.01.2026 10:30": False, "01/15/2026": False, "1768473000": False, "": True,
}  # fmt: skip


def test_times_are_read_as_by_a_single_call_and_others_are_problems():
    schema = SCHEMAS["payments"]
    rows = [
        {"amount": "5", "user_id": "U1", "merchant_id": "M1", "timestamp": date, "used_chip": "yes"} for date in DATES
    ]
    (chunk,) = chunks_of(csv_file(rows))
    found = read_rows(chunk, schema, match(schema, chunk.names), 1_768_473_000_000)
    assert found.places.tolist() == [place for place, taken in enumerate(DATES.values()) if taken]
    assert {problem.column for problem in found.problems} == {"timestamp"}
    assert found.block.columns.used_chip.tolist() == [1.0] * 4
    assert found.block.at_ms[-1] == 1_768_473_000_000


ODD = ("", "-", "NULL", "nan", "abc", "1e3", "é", "yes", "0", "2026-02-30T10:00:00Z", "2026-01-15T10:30:00+02:00",
       "2026-01-15 10:30:00.123456", "2026-01-15T23:59:60Z", "0000-01-01T00:00:00", "Gas Transport",
       "4111 1111 1111 1111")  # fmt: skip


def written(schema, random):
    """Generated transactions as texts, some of them odd."""
    for _, sent in zip(range(150), generated.transactions(schema, random), strict=False):
        row = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in sent.items()}
        if random.random() < 0.2:
            row[random.choice(schema.fields)] = random.choice(ODD)
        yield row


def typed(rows):
    """The same as JSON has them, where they are numbers or flags."""
    values = {"true": True, "false": False}
    return [{name: values.get(cell, _number(cell)) for name, cell in row.items() if cell != "-"} for row in rows]


def _number(cell):
    try:
        return float(cell) if cell.isascii() and "n" not in cell.lower() else cell
    except ValueError:
        return cell


@pytest.mark.parametrize("kind", ["CSV", "JSON Lines"])
@pytest.mark.parametrize("name", [name for name, schema in SCHEMAS.items() if schema.untouched])
def test_so_it_is_of_every_schema_that_is_read_at_once(name, kind):
    schema, random = SCHEMAS[name], Random(f"{name} {kind}")
    rows = list(written(schema, random))
    (chunk,) = chunks_of(csv_file(rows) if kind == "CSV" else json_file(typed(rows)))
    headings = match(schema, chunk.names)
    fast = read_rows(chunk, schema, headings, generated.RECEIVED_MS)
    slow = read_rows(chunk, dataclasses.replace(schema, untouched=None), headings, generated.RECEIVED_MS)
    assert_same(fast, slow, schema)
    assert_known_as_single_calls(fast, schema)
    assert len(fast.block) > 30


@pytest.mark.parametrize("odd", ['a"b', "a\\", None, "", "é", "{a,b}"])
def test_arrays_of_columns_are_those_of_their_rows(odd):
    columns = [["C1", odd, "C3"], ["M1", "M2", "M3"]]
    rows = [[one for one in row if one is not None] for row in zip(*columns, strict=True)]
    assert arrays_of(columns, 3).to_pylist() == rows
    assert arrays_of([], 2).to_pylist() == [[], []]
