"""Files as senders really make them: read as they are meant, or refused with a sentence."""

import codecs
import gzip
import io

import pyarrow as pa
import pytest

from apps.batches import bytes_in, reading
from apps.batches.bytes_in import Bounds, UnreadableFile
from apps.batches.headings import match
from apps.batches.reading import Chunk, open_source
from apps.batches.rows import read_rows
from apps.scoring.engine.schemas import SCHEMAS
from tests.batches.files import HONEST, NAMES, TYPED, chunks_of, csv_file, json_file, parquet_file

PAYSIM = SCHEMAS["paysim"]
PLAIN = csv_file([HONEST] * 3)
TEXT = PLAIN.decode()
#: With decimal commas.
COMMAS = {name: cell.replace(".", ",") for name, cell in HONEST.items()}


def zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)


def read(content, rows=20_000):
    """The blocks' amounts, and all problems, of a PaySim file."""
    amounts, problems = [], []
    for chunk in chunks_of(content, rows):
        found = read_rows(chunk, PAYSIM, match(PAYSIM, chunk.names), 0)
        amounts += found.block.columns.amount.tolist()
        problems += found.problems
    return amounts, problems


TAKEN = {
    "plain": PLAIN,
    "gzip": gzip.compress(PLAIN),
    "zstd": zstd(PLAIN),
    "zstd in two frames": zstd(PLAIN[:200]) + zstd(PLAIN[200:]),
    "a byte order mark": codecs.BOM_UTF8 + PLAIN,
    "UTF-16, little end first": codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
    "UTF-16, big end first": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "Windows' line ends": TEXT.replace("\n", "\r\n").encode(),
    "no line end at the end": PLAIN.rstrip(b"\n"),
    "blank lines": TEXT.replace("\n", "\n\n").encode(),
    "semicolons": csv_file([HONEST] * 3, ";"),
    "semicolons and decimal commas": csv_file([COMMAS] * 3, ";"),
    "tabs": csv_file([HONEST] * 3, "\t"),
    "everything in quotes": "\n".join('"' + line.replace(",", '","') + '"' for line in TEXT.split()).encode(),
    "spaces about numbers": csv_file([{**HONEST, "amount": " 5000 ", "step": " 15"}] * 3),
    "other columns beside": csv_file([{"note": 'says "x",\nand more', **HONEST, "Ünï": "é"}] * 3),
    "200 columns": csv_file([{**{f"c{n}": "1" for n in range(191)}, **HONEST}] * 3),
    "names in another case": PLAIN.replace(b"oldbalanceOrg", b"Old Balance (Org)"),
    "nulls": csv_file([{**HONEST, "nameOrig": null} for null in ("NaN", "NULL", "-")]),
    "JSON Lines": json_file([TYPED] * 3),
    "Parquet": parquet_file({name: [cell] * 3 for name, cell in TYPED.items()}),
    "Parquet of texts": parquet_file({name: [HONEST[name]] * 3 for name in NAMES}),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_such_a_file_is_read_as_it_is_meant(name):
    assert read(TAKEN[name]) == ([5000.0] * 3, [])


BOMB = Bounds(most_bytes=10 << 30, most_times=100, from_bytes=1 << 20)
REFUSED = {
    "empty": (b"", "The file is empty."),
    "blank": (b" \n\n ", "The file is empty."),
    "header only": (b",".join(name.encode() for name in NAMES) + b"\n", "The file has a header and no rows."),
    "a repeated name": (b"amount,amount\n1,2\n", "The column 'amount' is there twice: give each a name"),
    "an Excel workbook": (b"PK\x03\x04rest", "The file is a ZIP archive or an Excel workbook: send CSV,"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "The file is no text: send CSV, JSON Lines or Parquet."),
    "a header that is not UTF-8": ("betrag,währung\n1,2\n".encode("latin-1"), "The header is not UTF-8"),
    "a header without an end": (b"a" * (1 << 20), "The header's line is longer than 1 MB"),
    "torn gzip": (gzip.compress(PLAIN)[:-9], "The packed file is damaged or ends too early"),
    "torn zstd": (zstd(PLAIN)[:-4], "The packed file is damaged or ends too early"),
    "a bomb": (gzip.compress(b"a,b\n" + b"1,2\n" * 2_000_000), "The file unpacks to more than 100 times its size"),
    "a cell of 10 MB": (PLAIN + b'"' + b"x" * (10 << 20) + b'"\n', "A row is longer than 1 MB"),
    "a line of 10 MB": (b'{"a": "' + b"x" * (10 << 20) + b'"}\n', "A line is longer than 1 MB."),
    "1,001 columns": (csv_file([{f"c{n}": "1" for n in range(1_001)}]), "The file has 1,001 columns"),
    "Parquet with nested columns": (
        parquet_file({"who": [{"id": 1}]}), "The column 'who' is of type struct<id: int64>: a cell must hold one value."
    ),
    "Parquet with lists": (parquet_file({"amount": [[1.0]]}), "The column 'amount' is of type list<"),
    "Parquet without rows": (parquet_file({"amount": pa.array([], pa.float64())}), "The file has columns and no rows."),
    "torn Parquet": (parquet_file({"amount": [1.0]})[:-6], "The Parquet file is damaged or ends too early"),
    "Parquet in gzip": (gzip.compress(parquet_file({"amount": [1.0]})), "The Parquet file is packed once more"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_such_a_file_is_refused_with_a_sentence(name, monkeypatch):
    content, sentence = REFUSED[name]
    monkeypatch.setattr(bytes_in.unpacked, "__defaults__", (BOMB,))
    with pytest.raises(UnreadableFile) as refused:
        chunks_of(content)
    assert str(refused.value).startswith(sentence)


def test_more_rows_than_are_taken_are_refused(monkeypatch):
    monkeypatch.setattr(reading, "MOST_ROWS", 2)
    with pytest.raises(UnreadableFile, match="more than 2 rows"):
        chunks_of(PLAIN, 1)


def test_rows_that_do_not_fit_are_problems_in_their_places():
    lines = TEXT.splitlines()
    content = "\n".join([lines[0], "1,2", *lines[1:3], "a,b," + lines[1], "x", lines[1], "y"]).encode()
    for rows in (1, 2, 3, 100):
        amounts, problems = read(content, rows)
        assert amounts == [5000.0] * 3
        assert [(problem.row, problem.kind) for problem in problems] == [(row, "row_malformed") for row in (1, 4, 5, 7)]
    assert problems[1].problem.startswith("The row has 11 values; the header has 9.")
    cells = chunks_of(content)[0].cells
    assert cells.column(0).to_pylist() == ["1", "15", "15", "a", "x", "15", "y"]


def test_bytes_that_are_no_text_are_problems_of_their_rows():
    content = csv_file([{**HONEST, "note": "o"}, {**HONEST, "nameOrig": "M@ller"}, {**HONEST, "note": "@"}, HONEST])
    amounts, problems = read(content.replace(b"@", b"\xfc"))
    assert len(amounts) == 3  # a column nobody reads may hold anything
    assert [one[:3] for one in problems] == [
        (2, "nameOrig", "'nameOrig' is not UTF-8: save the file with the encoding UTF-8.")
    ]


def test_a_row_that_does_not_fit_and_is_no_text_is_a_problem_too():
    amounts, problems = read(PLAIN + b"\xff,\xfe\n" + PLAIN.splitlines()[1] + b"\n")
    assert (len(amounts), [problem.row for problem in problems]) == (4, [4])


def test_a_chunk_is_stored_and_read_again():
    content = TAKEN["semicolons and decimal commas"] + b"1;2\n"
    (chunk,) = chunks_of(content)
    again = Chunk.from_bytes(chunk.to_bytes())
    assert (again.format, again.first, again.names, again.decimal_comma) == ("csv", 0, NAMES, True)
    assert again.cells.equals(chunk.cells)
    assert again.wrong == chunk.wrong


def test_a_file_is_cut_into_chunks_of_the_size_asked_for():
    chunks = chunks_of(csv_file([{**HONEST, "amount": str(row)} for row in range(25)]), 10)
    assert [(chunk.first, len(chunk)) for chunk in chunks] == [(0, 10), (10, 10), (20, 5)]


class Counted(io.RawIOBase):
    """A file that never ends: it says how much was read of it."""

    def __init__(self, header, line):
        self.header, self.line, self.given = header, line, 0

    def readable(self):
        return True

    def read(self, size=-1):
        self.given += size
        found, self.header = self.header + self.line * (size // len(self.line)), b""
        return found


def test_a_file_is_never_held_whole():
    file = Counted(*PLAIN.splitlines(keepends=True)[:2])
    next(open_source(file).chunks(1_000))
    assert file.given < 40 << 20


def test_gzip_that_is_damaged_in_the_middle_is_refused_when_it_is_met():
    packed = bytearray(gzip.compress(csv_file([{**HONEST, "amount": str(n * 7919 % 9973)} for n in range(20_000)])))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(UnreadableFile, match="damaged"):
        chunks_of(bytes(packed))


def test_names_of_json_lines_are_those_met_so_far():
    chunks = chunks_of(json_file([{"a": 1}] * 200 + [{"a": 1, "b": 2}] * 2), 200)
    assert [chunk.names for chunk in chunks] == [("a",), ("a", "b")]
