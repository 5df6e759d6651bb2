"""What a tenant's own models know of the parties of a file: by event time, in the file and as the live store knew them.

    add(part), in the file's order ─► hashes of the parties, times and amounts, in files
    count(known) ─► a sixteenth of the parties at a time: the numbers of each row, in a file
    numbers(part) ─► float64[rows, 1 + parties x WIDTH]: hundredths, and what `own_past.counted` says of the parties

Labels of the file's own rows can't be known yet: no decision has been made on them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from apps.scoring.engine.block import Block
from apps.scoring.engine.own_features import parties_of
from apps.scoring.engine.own_past import (
    BUCKET_MS,
    FOR_GOOD,
    WIDTH,
    Buckets,
    Doings,
    Frauds,
    Past,
    counted_columns,
    hundredths_of,
)
from apps.scoring.engine.values import RowView
from apps.scoring.serving.own_pasts import hashed

PARTS = 16
#: `own_past.BUCKET` and `own_past.KNOWN` as arrays.
BUCKETS = np.dtype([("bucket", "<u4"), ("decisions", "<u4"), ("hundredths", "<f8")])
KNOWN = np.dtype([("transaction", "<u8"), ("second", "<u4")])
_LOGGED = np.dtype([("at_ms", "<i8"), ("hundredths", "<f8")])

#: What the live store knows of parties by their hashes, of one field.
Known = Callable[[str, Sequence[str]], Sequence[Past]]


class OwnHistory:
    """Of one file, in a folder that is the caller's to remove. Memory holds a part's rows, or a sixteenth of the
    parties' events of one field."""

    def __init__(self, schema_name: str, folder: Path) -> None:
        self.folder, self.fields = folder, parties_of(schema_name)
        self._rows: list[int] = []
        self._width = 1 + WIDTH * len(self.fields)

    def add(self, block: Block) -> None:
        """Log a part's rows, in the file's order."""
        logged = np.empty(len(block), _LOGGED)
        logged["at_ms"], logged["hundredths"] = block.at_ms, _hundredths(block)
        with (self.folder / "rows").open("ab") as file:
            logged.tofile(file)
        for field, parties in zip(self.fields, parties_in(block), strict=True):
            with (self.folder / field).open("ab") as file:
                parties.tofile(file)
        self._rows.append(len(block))

    def count(self, known: Known) -> None:
        """Count every row's numbers, once all parts are added. Raises `apps.valkey.Away`."""
        rows = np.memmap(self.folder / "rows", _LOGGED, "r") if sum(self._rows) else np.empty(0, _LOGGED)
        shape = (len(rows), self._width)
        if not len(rows):
            return
        found = np.memmap(self.folder / "numbers", np.float64, "w+", shape=shape)
        found[:, 0] = rows["hundredths"]
        for place, field in enumerate(self.fields):
            party = np.fromfile(self.folder / field, np.uint64)
            columns = slice(1 + WIDTH * place, 1 + WIDTH * (place + 1))
            found[:, columns] = np.nan
            for part in range(PARTS):
                mine = np.flatnonzero((party != 0) & (party % np.uint64(PARTS) == part))
                if len(mine):
                    found[mine, columns] = _counted(rows[mine], party[mine], field, known)
        found.flush()

    def numbers(self, part: int) -> np.ndarray:
        """Of a part's rows."""
        begin, width = sum(self._rows[:part]), self._width
        if not self._rows[part]:
            return np.empty((0, width))
        whole = np.memmap(self.folder / "numbers", np.float64, "r", shape=(sum(self._rows), width))
        return np.array(whole[begin : begin + self._rows[part]])


def parties_in(block: Block) -> list[np.ndarray]:
    """Of each field, uint64[n] hashes of the parties of a block's rows; 0 where not named."""
    return [_hashes(block, field) for field in parties_of(block.schema.name)]


def key_of(party: int) -> str:
    """A hash as it stands in keys."""
    return f"{party:016x}"


def _hashes(block: Block, field: str) -> np.ndarray:
    column = getattr(block.columns, field)
    known: dict[object, int] = {}
    found = np.zeros(len(block), np.uint64)
    for row, name in enumerate(column.tolist()):
        if name is None or name != name:
            continue
        if name not in known:
            known[name] = int(hashed(name), 16)
        found[row] = known[name]
    return found


def _hundredths(block: Block) -> np.ndarray:
    view, found = RowView(block.columns), np.empty(len(block))
    for row in range(len(block)):
        view.index = row
        found[row] = hundredths_of(float(block.schema.amount(view)))
    return found


def _counted(rows: np.ndarray, party: np.ndarray, field: str, known: Known) -> np.ndarray:
    """float64[n, WIDTH] of some rows, all of each of their parties'."""
    names, number = np.unique(party, return_inverse=True)
    pasts = known(field, [key_of(one) for one in names.tolist()])
    buckets = _entries([past.buckets for past in pasts], BUCKETS)
    frauds = _entries([past.known for past in pasts], KNOWN)
    before = Buckets(
        buckets[0], buckets[1]["bucket"].astype(np.int64), buckets[1]["decisions"].astype(np.float64),
        buckets[1]["hundredths"],
    )  # fmt: skip
    told = Frauds(frauds[0], frauds[1]["second"].astype(np.int64), np.full(len(frauds[0]), FOR_GOOD))
    return counted_columns(Doings(number.astype(np.int64), rows["at_ms"], rows["hundredths"]), told, before)


def _entries(packed: Sequence[bytes], kind: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the parties of all entries, and the entries."""
    lengths = [len(one) // kind.itemsize for one in packed]
    return np.repeat(np.arange(len(packed), dtype=np.int64), lengths), np.frombuffer(b"".join(packed), kind)


def doings_of(block: Block, rows: np.ndarray, ahead_ms: float) -> dict[tuple[str, str, int], tuple[int, int]]:
    """Some of a block's rows as `own_pasts.add` takes them: those dated after `ahead_ms` are left out."""
    found: dict[tuple[str, str, int], tuple[int, int]] = {}
    hundredths, buckets = _hundredths(block), (block.at_ms // BUCKET_MS).astype(np.int64)
    kept = rows[block.at_ms[rows] <= ahead_ms].tolist()
    for field, parties in zip(parties_of(block.schema.name), parties_in(block), strict=True):
        for row in kept:
            if parties[row]:
                key = (field, key_of(int(parties[row])), int(buckets[row]))
                decisions, amount = found.get(key, (0, 0))
                found[key] = (decisions + 1, amount + int(hundredths[row]))
    return found
