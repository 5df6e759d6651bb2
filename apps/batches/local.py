"""A file scored on this machine alone: no tenant, nothing stored or billed, no store needed.

    read ─► chunks and their history in a folder of the run's own ─► worker processes score ─► results in order

Memory holds a chunk a process. A run that is stopped leaves no half of a results file: it is renamed when it is whole.
"""

import csv
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from apps.batches import results
from apps.batches.headings import Headings, match
from apps.batches.history import FileHistory, settle
from apps.batches.lean_arrow import keep_arrow_lean
from apps.batches.reading import CHUNK_ROWS, Chunk, Format, RowProblem, Source, open_source
from apps.batches.rows import read_rows
from apps.scoring.engine import shelf
from apps.scoring.engine.asking import ENSEMBLE
from apps.scoring.engine.block import ACTIONS, Explain
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import active
from apps.scoring.engine.schemas import SCHEMAS

SUFFIXES: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


class Asked(NamedTuple):
    """What is to be scored, and how. `models`: the folder of models. `received_ms`: when rows happened that don't say
    so."""

    file: Path
    out: Path
    schema: str
    models: Path
    received_ms: int
    model: str | None = None
    explain: Explain = "flagged"
    problems: Path | None = None
    workers: int = 1


class Progress(NamedTuple):
    """Rows read (`total` not known yet) or scored so far, in so many seconds."""

    doing: str
    rows: int
    total: int | None
    seconds: float


class Scored(NamedTuple):
    """One chunk's end: its rows, those flagged, what was wrong with others."""

    rows: int
    flagged: int
    problems: tuple[RowProblem, ...]


class Work(NamedTuple):
    """What a worker has to know: `names` are all columns of the file, `folder` is where its chunks are."""

    asked: Asked
    headings: Headings
    names: tuple[str, ...]
    folder: Path

    @property
    def format(self) -> Format:
        """The format of the results: the one their name says, else CSV."""
        return format_of(self.asked.out) or "csv"


class Summary(NamedTuple):
    """What a run came to."""

    rows: int
    flagged: int
    problems: int


def format_of(path: Path) -> Format | None:
    """The format a file's name says, None when it says none."""
    return SUFFIXES.get(path.suffix.lower())


def score_file(asked: Asked, say: Callable[[Progress], None]) -> Summary:
    """Score a file. Raises `UnreadableFile` before anything is written, `ModelRefused`, `OSError`."""
    entries_of(asked)
    with TemporaryDirectory(prefix="palisade-score-", dir=asked.out.parent) as name, asked.file.open("rb") as file:
        folder = Path(name)
        source = open_source(file, format_of(asked.file))
        headings = match(SCHEMAS[asked.schema], source.names)
        headings.require_all()
        chunks, rows = _read(asked, source, headings, folder, say)
        work = Work(asked, headings, source.names, folder)
        return _write(work, _scored(work, chunks, rows, say))


def entries_of(asked: Asked) -> list[str]:
    """The models that are asked, "<model>/<version>" each. Raises `ModelRefused` for one there is not."""
    if asked.model == ENSEMBLE:
        return list(active(asked.models, asked.schema))
    return [shelf.find(asked.models, asked.schema, asked.model)]


def engine_of(asked: Asked) -> Engine:
    """An engine of these models alone: others would only take memory. Raises `ModelRefused`."""
    entries = entries_of(asked)
    models = {entry.partition("/")[0]: shelf.loaded(asked.models, asked.schema, entry) for entry in entries}
    return Engine({asked.schema: models})


def _read(
    asked: Asked, source: Source, headings: Headings, folder: Path, say: Callable[[Progress], None]
) -> tuple[int, int]:
    """Chunks into the folder, and their history; how many chunks and rows."""
    began, rows, number = time.monotonic(), 0, -1
    history = FileHistory(SCHEMAS[asked.schema], folder)
    for number, chunk in enumerate(source.chunks(CHUNK_ROWS)):
        history.add(number, read_rows(chunk, history.schema, headings, asked.received_ms).block)
        (folder / f"{number}.chunk").write_bytes(chunk.to_bytes())
        rows += len(chunk)
        say(Progress("read", rows, None, time.monotonic() - began))
    history.count()
    _settle(asked, history, headings, number + 1)
    return number + 1, rows


def _settle(asked: Asked, history: FileHistory, headings: Headings, chunks: int) -> None:
    """Keep what is blocked out of habits, where there are any."""
    if not any(role.habits for role in history.schema.roles):
        return
    engine, model = engine_of(asked), ENSEMBLE if asked.model == ENSEMBLE else None

    def blocked_in(number: int) -> np.ndarray:
        chunk = Chunk.from_bytes((history.folder / f"{number}.chunk").read_bytes())
        block = read_rows(chunk, history.schema, headings, asked.received_ms).block
        decided = engine.decide_block(block, history.pasts(number, len(block)), Policy(), model, "none")
        return decided.verdicts.action == ACTIONS.index("block")

    settle(history, chunks, blocked_in)


def _scored(work: Work, chunks: int, rows: int, say: Callable[[Progress], None]) -> Iterator[Scored]:
    """Every chunk scored, in their order."""
    began, done = time.monotonic(), 0
    for scored in _worked(work, chunks):
        done += scored.rows
        say(Progress("scored", done, rows, time.monotonic() - began))
        yield scored


def _worked(work: Work, chunks: int) -> Iterator[Scored]:
    """Here, or by worker processes that are begun anew: what a fork would copy, its threads have locked."""
    if work.asked.workers == 1 or chunks == 1:
        yield from map(_Worker(work).score, range(chunks))
        return
    with ProcessPoolExecutor(work.asked.workers, get_context("spawn"), _begin, (work,)) as pool:
        yield from pool.map(_score, range(chunks))


def _write(work: Work, scored: Iterator[Scored]) -> Summary:
    """Put the chunks' results together as they come; both files get their names once they are whole."""
    out, wrong = work.folder / "results", work.folder / "problems.csv"
    rows = flagged = problems = 0
    with results.Writer(work.format, out, work.names) as writer, wrong.open("w", newline="") as file:
        told = csv.writer(file, lineterminator="\n")
        told.writerow(RowProblem._fields)
        for number, one in enumerate(scored):
            writer.add(_results(work, number))
            told.writerows(one.problems)
            rows, flagged, problems = rows + one.rows, flagged + one.flagged, problems + len(one.problems)
    shutil.move(out, work.asked.out)
    if work.asked.problems is not None:
        shutil.move(wrong, work.asked.problems)
    return Summary(rows, flagged, problems)


def _results(work: Work, number: int) -> Path:
    return work.folder / f"{number}.results"


# --- in a worker ---


class _Worker:
    """What a process scores with."""

    def __init__(self, work: Work) -> None:
        self.work, self.asked = work, work.asked
        self.schema = SCHEMAS[self.asked.schema]
        self.engine, self.model = engine_of(self.asked), ENSEMBLE if self.asked.model == ENSEMBLE else None
        self.history = FileHistory(self.schema, work.folder)

    def score(self, number: int) -> Scored:
        """Score one chunk; its results are left in the folder, ready to be put together."""
        stored = self.work.folder / f"{number}.chunk"
        rows = read_rows(Chunk.from_bytes(stored.read_bytes()), self.schema, self.work.headings, self.asked.received_ms)
        pasts = self.history.pasts(number, len(rows.block))
        decided = self.engine.decide_block(rows.block, pasts, Policy(), self.model, self.asked.explain)
        table = results.result_of(rows, decided, self.work.headings)
        _results(self.work, number).write_bytes(results.part_of(self.work.format, table, self.work.names))
        stored.unlink()
        return Scored(len(rows.chunk), int(decided.verdicts.flagged.sum()), tuple(rows.problems))


_worker: _Worker | None = None


def _begin(work: Work) -> None:
    """Load what this process scores with."""
    global _worker
    keep_arrow_lean()
    _worker = _Worker(work)


def _score(number: int) -> Scored:
    assert _worker is not None  # noqa: S101 - the pool's initialiser made it
    return _worker.score(number)
