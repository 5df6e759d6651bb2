"""What each step of a file's way costs, in processor seconds: the steps of `apps/batches/local.py`, one by one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from apps.batches import results
from apps.batches.headings import Headings, match
from apps.batches.history import FileHistory
from apps.batches.reading import CHUNK_ROWS, Chunk, open_source
from apps.batches.rows import read_rows
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import load_active
from apps.scoring.engine.schemas import SCHEMAS
from bench.engine_bench import ARTIFACTS


class Clock:
    """Adds up processor seconds by step, in the order steps are first met."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """The time of a step."""
        began = time.process_time()
        yield
        self.found[name] = self.found.get(name, 0.0) + time.process_time() - began


def stages(file: Path, schema_name: str = "paysim") -> dict[str, float]:
    """Step → seconds for the whole file."""
    schema, clock = SCHEMAS[schema_name], Clock()
    engine = Engine({schema_name: load_active(ARTIFACTS, schema_name)})
    with TemporaryDirectory() as name, file.open("rb") as opened:
        folder = Path(name)
        history, source = FileHistory(schema, folder), open_source(opened)
        headings = match(schema, source.names)
        chunks, number = source.chunks(CHUNK_ROWS), 0
        while True:
            with clock.step("read: bytes to cells"):
                chunk = next(chunks, None)
            if chunk is None:
                break
            with clock.step("check: cells to fields, twice"):
                rows = read_rows(chunk, schema, headings, 0)
            with clock.step("history: log parties"):
                history.add(number, rows.block)
            with clock.step("keep the chunk, fetch it again"):
                (folder / f"{number}.chunk").write_bytes(chunk.to_bytes())
            number += 1
        with clock.step("history: sort and count"):
            history.count()
        for place in range(number):
            _score(clock, engine, history, headings, folder, place)
    return clock.found


def _score(clock: Clock, engine: Engine, history: FileHistory, headings: Headings, folder: Path, place: int) -> None:
    """One chunk's second half."""
    with clock.step("keep the chunk, fetch it again"):
        chunk = Chunk.from_bytes((folder / f"{place}.chunk").read_bytes())
    with clock.step("check: cells to fields, twice"):
        rows = read_rows(chunk, history.schema, headings, 0)
    with clock.step("history: fetch"):
        pasts = history.pasts(place, len(rows.block))
    with clock.step("decide: features, model, rules, reasons for the flagged"):
        decided = engine.decide_block(rows.block, pasts, Policy(), explain="flagged")
    with clock.step("results: mask, put beside, write CSV"):
        results.part_of("csv", results.result_of(rows, decided, headings), chunk.names)
