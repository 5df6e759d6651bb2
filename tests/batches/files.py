"""Files for the tests of batches, made from rows of texts."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from apps.batches.reading import Chunk, open_source

HONEST = {
    "step": "15", "type": "TRANSFER", "amount": "5000", "nameOrig": "C1", "oldbalanceOrg": "10000.5",
    "newbalanceOrig": "5000.5", "nameDest": "C2", "oldbalanceDest": "0", "newbalanceDest": "5000",
}  # fmt: skip
NAMES = tuple(HONEST)
#: The same with numbers as numbers.
TYPED = {name: cell if name in ("type", "nameOrig", "nameDest") else float(cell) for name, cell in HONEST.items()}


def csv_file(rows: Sequence[Mapping[str, str]], delimiter: str = ",", names: Sequence[str] = ()) -> bytes:
    """Rows as CSV; every name that any row has is a column."""
    names = names or list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([row.get(name, "") for name in names] for row in rows)
    return text.getvalue().encode()


def json_file(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parquet_file(columns: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def chunks_of(content: bytes, rows: int = 20_000) -> list[Chunk]:
    return list(open_source(io.BytesIO(content)).chunks(rows))
