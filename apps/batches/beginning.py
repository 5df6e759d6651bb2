"""The beginning of a file: how its columns are read, what its first rows say, and what is wrong with some of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import IO, NamedTuple, cast

import pyarrow as pa

from apps import card_numbers
from apps.batches.headings import Headings, match
from apps.batches.outcomes import ToldProblem, problems_of
from apps.batches.reading import Chunk, Format, json_object, open_source
from apps.batches.results import masked
from apps.batches.rows import Rows, read_rows
from apps.batches.sections import section
from apps.scoring.engine.schemas import SCHEMAS

#: Rows that are looked at.
PREVIEWED = 100
#: Values of a column that are shown, and characters of one.
SAMPLED, SAMPLE_CUT = 3, 40


class Beginning(NamedTuple):
    """The first rows of a file, and how its columns are read. `rows` is None while required fields are missing."""

    chunk: Chunk
    headings: Headings
    rows: Rows | None

    @property
    def problems(self) -> list[ToldProblem]:
        return [] if self.rows is None else problems_of(self.rows.problems, 0, len(self.chunk))


def begin(
    file: IO[bytes], offset: int, size: int, format: str, schema: str, mapping: Mapping[str, str], now: datetime
) -> Beginning:
    """Read the first rows of a table that stands in a file. Raises `UnreadableFile`."""
    source = open_source(section(file, offset, size), cast(Format, format or None))
    chunk = next(source.chunks(PREVIEWED))
    kind = SCHEMAS[schema]
    headings = match(kind, source.names, mapping)
    rows = None if headings.missing else read_rows(chunk, kind, headings, int(now.timestamp() * 1000))
    return Beginning(chunk, headings, rows)


def samples(chunk: Chunk) -> list[list[str]]:
    """The first values of each column, as they may be shown."""
    first = chunk.cells.slice(0, SAMPLED)
    if chunk.format == "jsonl":
        rows = [json_object(line) or {} for line in first.column(0).to_pylist()]
        return [[_shown(row[name]) for row in rows if name in row] for name in chunk.names]
    return [_sample(first.column(place)) for place in range(len(chunk.names))]


def _sample(column: pa.Array) -> list[str]:
    return [_shown(value) for value in masked(column, card_numbers.mask).to_pylist() if value not in (None, "")]


def _shown(value: object) -> str:
    return card_numbers.cut(str(value), SAMPLE_CUT)
