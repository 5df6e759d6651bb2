"""What a tenant's aggregates come to for the rows of a file: by event time, in the file and as the live store knew it.

    add(part), in the file's order ─► each row's party and event in every source, in files
    count(known) ─► source by source, party by party in order of time: the aggregates of each row, in a file
    values(part) ─► float64[rows, aggregates], nan where nothing is known

The rules are those of single calls (`past_events.placed` and `seen_at`), so a row sees the same in a file as alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from apps.batches.history import Naming
from apps.scoring.engine.aggregate_plan import Plan, parts_of_block
from apps.scoring.engine.aggregates import Asked, asked_of, values_of
from apps.scoring.engine.block import Block
from apps.scoring.engine.past_events import EVENT_COLUMNS, placed, seen_at
from apps.scoring.engine.values import RowView

#: A row of a source's log: whose past it looks at (b"": nobody's), whether it is counted, and its event.
LOGGED = np.dtype([("party", "S24"), ("adds", "?"), ("event", EVENT_COLUMNS)])
#: What hidden names begin with: the parties of each are counted by themselves.
DIGITS = [digit.encode() for digit in "0123456789abcdef"]
#: Rows whose sender named no transaction go by their number in the file, and this bit.
UNNAMED = 1 << 63

#: What the live store knew of a source's parties, by their hidden names.
Known = Callable[[str, Sequence[str]], Mapping[str, bytes]]


class AggregateHistory:
    """Of one file, in a folder that is the caller's to remove. Memory holds a part's rows, or a sixteenth of the
    parties' events of one source."""

    def __init__(self, plan: Plan, folder: Path, naming: Naming, *, by_arrival: bool = False) -> None:
        """`by_arrival`: rows stand in the order they arrived in, and none sees what came behind it, whenever that was
        dated; else they see the whole file by event time."""
        self.plan, self.folder, self._naming, self._by_arrival = plan, folder, naming, by_arrival
        self._rows: list[int] = []

    def add(self, block: Block, transactions: np.ndarray | None = None, counted: np.ndarray | None = None) -> None:
        """Log a part's rows, in the file's order. `transactions`: their hashes, where they can't be told from the rows;
        `counted`: bool[n], the rows that may count for others, all when nobody says."""
        known = self._transactions(block) if transactions is None else transactions
        parts = parts_of_block(self.plan, block, known, self._naming.hide)
        for name, part in zip(self.plan.ids, parts, strict=True):
            logged = np.zeros(len(block), LOGGED)
            adds = part.adds if counted is None else part.adds & counted
            logged["party"], logged["adds"], logged["event"] = part.parties, adds, part.events
            with self._log(name).open("ab") as file:
                logged.tofile(file)
        self._rows.append(len(block))

    def count(self, known: Known | None, came_further: Callable[[], None] = lambda: None) -> None:
        """Count every row's aggregates, once all parts are added; `came_further` is told now and then. Raises
        `apps.valkey.Away`."""
        total, width = sum(self._rows), len(self.plan.aggregates)
        if not total:
            return
        found = np.memmap(self.folder / "aggregates", np.float64, "w+", shape=(total, width))
        found[:] = np.nan
        for name, asked in zip(self.plan.ids, self.plan.asked, strict=True):
            columns = [self.plan.aggregates.index(one) for one in asked]
            log = np.memmap(self._log(name), LOGGED, "r")
            first = log["party"].astype("S1")
            for digit in DIGITS:
                rows = np.flatnonzero(first == digit)
                if not len(rows):
                    continue
                for row, values in self._counted(log[rows], asked_of(asked), name, known):
                    found[rows[row], columns] = values
                came_further()
        found.flush()

    def values(self, part: int) -> np.ndarray:
        """Of a part's rows."""
        begin = sum(self._rows[:part])
        return np.array(self.whole()[begin : begin + self._rows[part]])

    def whole(self) -> np.ndarray:
        """Of all rows, on disk."""
        shape = (sum(self._rows), len(self.plan.aggregates))
        return np.memmap(self.folder / "aggregates", np.float64, "r", shape=shape) if shape[0] else np.empty(shape)

    def _log(self, source: str) -> Path:
        return self.folder / f"{source}.aggregate"

    def _transactions(self, block: Block) -> np.ndarray:
        """uint64[n]: the transactions' hashes as the live store has them; a number of its own for a row without."""
        view, begin = RowView(block.columns), sum(self._rows)
        found = np.empty(len(block), np.uint64)
        for row in range(len(block)):
            view.index = row
            given = block.schema.transaction_id(view)
            found[row] = self._naming.transaction(given) if given else UNNAMED + begin + row
        return found

    def _counted(
        self, log: np.ndarray, asked: Sequence[Asked], source: str, known: Known | None
    ) -> Iterator[tuple[int, list[float]]]:
        """The rows of some parties, all of each of them, with what each sees."""
        arrival = np.arange(len(log))
        order = np.lexsort((arrival, arrival if self._by_arrival else log["event"]["when"], log["party"]))
        parties, begins = np.unique(log["party"][order], return_index=True)
        names = [name.decode() for name in parties.tolist()]
        pasts = known(source, names) if known else {}
        for name, mine in zip(names, np.split(order, begins[1:]), strict=True):
            past = pasts.get(name, b"")
            for row in mine.tolist():
                event, adds = log["event"][row], log["adds"][row]
                at_ms, transaction = int(event["when"]), int(event["transaction"])
                yield row, values_of(asked, seen_at(past, at_ms), at_ms, transaction)
                if adds:
                    past = placed(past, event.tobytes())


def by_name(plan: Plan, values: np.ndarray) -> dict[str, np.ndarray]:
    """Aggregates' columns by the names rules ask for."""
    return {one.asked_as: values[:, place] for place, one in enumerate(plan.aggregates)}
