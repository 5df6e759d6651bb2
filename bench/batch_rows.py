"""A PaySim log of any length: the rows of a file again and again, later and by other origins each time.

So every origin stays nearly new, as in the log, and destinations gather a past.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

COLUMNS = (
    "step", "type", "amount", "nameOrig", "oldbalanceOrg", "newbalanceOrig", "nameDest", "oldbalanceDest",
    "newbalanceDest",
)  # fmt: skip
#: As far as the file tells them apart: rows drawn at random from the honest ones, and all frauds.
UNIFORM, FRAUDS = "negative_uniform", "fraud_all"
FRAUD_RATE = 0.00129  # of the full log


def write_log(source: Path, rows: int, path: Path) -> None:
    """Write so many rows as CSV, with transaction ids."""
    table = _as_in_the_log(_read(source))
    hours = int(pc.max(table["step"]).as_py())
    with path.open("wb") as file:
        writer, done, round_ = None, 0, 0
        while done < rows:
            piece = _later(table.slice(0, rows - done), round_, hours, done)
            writer = writer or pyarrow.csv.CSVWriter(
                file, piece.schema, write_options=pyarrow.csv.WriteOptions(quoting_style="none")
            )
            writer.write_table(piece)
            done, round_ = done + len(piece), round_ + 1
        if writer is not None:
            writer.close()


def _read(source: Path) -> pa.Table:
    if source.suffix == ".csv":
        return pyarrow.csv.read_csv(source)
    return pyarrow.parquet.read_table(source)


def _as_in_the_log(table: pa.Table) -> pa.Table:
    """The rows at the log's own rate of fraud, where the file is a sample that says how it was drawn."""
    if "sample" in table.column_names:
        honest = pc.not_equal(table["sample"], FRAUDS)
        kept = np.asarray(honest)
        frauds = (~kept).nonzero()[0]
        kept = kept.copy()
        kept[frauds[:: max(1, round(len(frauds) / (FRAUD_RATE * kept.sum())))]] = True
        table = table.filter(pa.array(kept))
    table = table.select(COLUMNS).sort_by("step")
    texts = {field.name: pa.string() for field in table.schema if pa.types.is_large_string(field.type)}
    return table.cast(pa.schema([(field.name, texts.get(field.name, field.type)) for field in table.schema]))


def _later(table: pa.Table, round_: int, hours: int, first: int) -> pa.Table:
    """The rows `round_` logs later, by other origins, numbered from `first`."""
    step = pc.add(table["step"].cast(pa.int64()), round_ * hours)
    origins = pc.binary_join_element_wise(table["nameOrig"], str(round_ or ""), "")
    ids = pa.array([f"t{first + row}" for row in range(len(table))])
    table = table.set_column(0, "step", step).set_column(3, "nameOrig", origins)
    return table.append_column("transaction_id", ids)
