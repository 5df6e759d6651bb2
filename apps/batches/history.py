"""A file's history by event time: what each row's parties did before it, in the file and as the live store knew them.

    add(chunk), in the file's order ─► events by role and part of the parties, in files
    count() ─► part by part: sorted by party and time, counted, handed to the chunks' files
    pasts(chunk) ─► each role's past of the chunk's rows, as columns

So memory holds two parts (a 24th of the parties) and never the file, and chunks can be scored in any order by
anybody, again with the same numbers. A row sees the rows before it by event time, those of its own moment that stand
before it in the file, and the newest 256 of both and of the seeds: `history.Replay` over the sorted file, to the bits.
What is blocked makes no habit, as live; but what is blocked follows from habits. `settle` counts those whose rows are
blocked again until both agree: a row's habits are of rows a day older.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from apps.scoring.engine.block import Block
from apps.scoring.engine.block_windows import activity_columns, habits_before
from apps.scoring.engine.habits import Names
from apps.scoring.engine.history import habits_with, summarise
from apps.scoring.engine.parties import Party, Role
from apps.scoring.engine.past_events import (
    EVENT_COLUMNS,
    FAILED,
    MOST_MEASURE,
    NOBODY,
    REFUSED,
    name_hash,
    placed,
    seen_at,
    transaction_hash,
)
from apps.scoring.engine.provenance import fields_of_pasts
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.values import RowView
from apps.scoring.engine.windows import QUIET, Activity
from apps.text import all_recognised, composed, recognised

One = TypeVar("One")
Made = TypeVar("Made")

PARTS = 48
#: Parts that are counted at once.
AT_ONCE = 2
NO_CHUNK = 2**32 - 1  # of an event that is no row of the file
#: An event of a log: as it is kept of a party, with the party, the row it is, and the transaction's name in the live
#: store (0 where that does not matter). Within the log a transaction goes by a hash of this process.
LOGGED = np.dtype([*EVENT_COLUMNS.descr, ("live", "<u8"), ("party", "<u8"), ("chunk", "<u4"), ("row", "<u4")])
_EVENT = list(EVENT_COLUMNS.names or ())

#: What the live store knew of parties in a role, by their names: events as `past_events` packs them.
Seeds = Callable[[str, Sequence[str]], Mapping[str, bytes]]
#: An event's own numbers beside those every event has.
Details = tuple[int, int, int, int, float, int]  # counterparty, kind, place, device, measure, flags


class Naming(NamedTuple):
    """How names stand in the seeds' events: those of parties by `hide`, transactions by `transaction`."""

    hide: Callable[[str], str] = str
    transaction: Callable[[str], int] = transaction_hash


class Counted(NamedTuple):
    """Rows of a log and what is known of their parties before them: float64[rows, fields]."""

    rows: np.ndarray
    values: np.ndarray


class FileHistory:
    """The history of one file, in a folder of its own, which is the caller's to remove."""

    def __init__(
        self,
        schema: TransactionSchema,
        folder: Path,
        seeds: Seeds | None = None,
        naming: Naming | None = None,
        asked: Iterable[str] = (),
    ) -> None:
        self.schema, self.folder = schema, folder
        self._seeds, self._naming = seeds, naming or Naming()
        self._fields = dict(zip((role.name for role in schema.roles), fields_of_pasts(schema, asked), strict=True))

    def add(self, chunk: int, block: Block) -> None:
        """Log a chunk's rows. Chunks come in the file's order, numbered from 0."""
        if not self.schema.roles:
            return
        transactions = self._transactions(chunk, block)
        for role, logged in zip(self.schema.roles, self._of_roles(block), strict=True):
            seeds = self._seeds(role.name, logged.distinct_names()) if self._seeds else {}
            events = np.zeros(len(logged.rows), LOGGED)
            events["when"], events["amount"] = block.at_ms[logged.rows], logged.amounts
            events["party"], events["transaction"] = logged.party, transactions[logged.rows]
            events["chunk"], events["row"] = chunk, logged.rows
            logged.write_details(events, self._naming.hide)
            self._write_seeded(block, logged, events, seeds)
            self._named_path(chunk, role).write_bytes(_bits(logged.rows, len(block)))
            self._log(role, events)
            self._log(role, _of_seeds(seeds))

    def count(self) -> None:
        """Count every row's pasts, once all chunks are logged."""
        for role in self.schema.roles:
            paths = [self._part_path(role, part) for part in range(PARTS)]
            there = [path for path in paths if path.exists()]
            # habits are found row by row, which takes Python's lock; all else sorts and adds up without it
            for counted in ahead(partial(self._counted, role), there, 1 if role.habits else AT_ONCE):
                self._hand_out(role, counted)

    def refuse(self, blocked: Sequence[np.ndarray], before: Sequence[np.ndarray]) -> set[int]:
        """Count habits anew of the parties of whom other rows are blocked than before; which chunks they are in.

        Both: of each chunk, bool[rows].
        """
        starts, now, then = np.cumsum([0, *map(len, blocked)]), np.concatenate(blocked), np.concatenate(before)
        touched: set[int] = set()
        for role in self.schema.roles:
            for part in range(PARTS) if role.habits else ():
                path = self._part_path(role, part)
                if path.exists():
                    touched |= self._refuse_part(role, np.fromfile(path, LOGGED), starts, now, then)
        return touched

    def _refuse_part(
        self, role: Role, log: np.ndarray, starts: np.ndarray, now: np.ndarray, then: np.ndarray
    ) -> set[int]:
        ours = (log["chunk"] != NO_CHUNK).nonzero()[0]
        places = starts[log["chunk"][ours]] + log["row"][ours]
        log["flags"][ours[now[places]]] |= REFUSED
        log = log[np.isin(log["party"], log["party"][ours[now[places] != then[places]]])]
        if len(log):
            self._hand_out(role, self._counted_of(role, log))
        return set(log["chunk"][log["chunk"] != NO_CHUNK].tolist())

    def pasts(self, chunk: int, count: int) -> list["Pasts"]:
        """Each role's past of a chunk's `count` rows."""
        return [self._pasts(role, chunk, count) for role in self.schema.roles]

    # --- logging ------------------------------------------------------------------------------------------------------

    def _of_roles(self, block: Block) -> "Sequence[Logged]":
        """Each role's parties of a block's rows."""
        if self.schema.party_columns is None:
            return _from_rows(block)
        known: dict[int, np.ndarray] = {}
        amounts = block.schema.amount(block.columns)
        return [
            _from_columns(_hashed(names, known), _hashed(counterparties, known), amounts, names, counterparties)
            for names, counterparties in self.schema.party_columns(block.columns)
        ]

    def _transactions(self, chunk: int, block: Block) -> np.ndarray:
        """uint64[n]: a hash of each row's transaction id; a number of its own for a row without."""
        given = self.schema.transaction_id(block.columns).tolist()  # type: ignore[union-attr]  # a column's is a column
        hashed = hashes([composed(one) if one else "" for one in given])
        own = np.arange(len(block), dtype=np.uint64) + np.uint64(chunk << 32)
        return np.where(hashed == 0, own, hashed)

    def _write_seeded(self, block: Block, logged: "Logged", events: np.ndarray, seeds: Mapping[str, bytes]) -> None:
        """Of rows of whose party the live store may know: names as its events have them."""
        if not seeds:
            return
        given = self.schema.transaction_id(block.columns)
        for place, row in enumerate(logged.rows.tolist()):
            if logged.name(row) not in seeds:
                continue
            events["live"][place] = self._naming.transaction(given[row]) if given[row] else 0  # type: ignore[index]
            if not logged.parties:
                counterparty = logged.counterparty(row)
                events["counterparty"][place] = name_hash(self._naming.hide(counterparty)) if counterparty else NOBODY

    def _log(self, role: Role, events: np.ndarray) -> None:
        """Append events to the files of their parties' parts."""
        parts = events["party"] % np.uint64(PARTS)
        order = np.argsort(parts, kind="stable")
        ends = np.searchsorted(parts[order], np.arange(PARTS + 1, dtype=np.uint64))
        for part, (begin, end) in enumerate(pairwise(ends.tolist())):
            if begin < end:
                with self._part_path(role, part).open("ab") as file:
                    events[order[begin:end]].tofile(file)

    # --- counting -----------------------------------------------------------------------------------------------------

    def _counted(self, role: Role, path: Path) -> list[Counted]:
        """What a part's log comes to."""
        found = self._counted_of(role, np.fromfile(path, LOGGED))
        if not role.habits:  # which may be counted again
            path.unlink()
        return found

    def _counted_of(self, role: Role, log: np.ndarray) -> list[Counted]:
        log = _sorted(_without_known(log))
        is_row = log["chunk"] != NO_CHUNK
        if role.habits:
            return [Counted(log[is_row], self._habits(role, log))]
        repeated = repeated_in(log["party"], log["transaction"])
        once, again = log[~repeated], log[repeated]
        counted = activity_columns(once["party"], once["when"], once["amount"], once["counterparty"])
        wanted = (once["chunk"] != NO_CHUNK) & (counted["count_7d"] > 0.0)
        fields = self._fields[role.name]
        found = [Counted(once[wanted], np.column_stack([counted[name][wanted] for name in fields]))]
        if len(again):
            found.append(Counted(again[again["chunk"] != NO_CHUNK], self._one_by_one(role, again)))
        return found

    def _habits(self, role: Role, log: np.ndarray) -> np.ndarray:
        """float64[rows, fields] of all rows of a log: what is usual for a party is found row by row."""
        repeated, found = repeated_in(log["party"], log["transaction"]), []
        for begin, end in _groups(log["party"]):
            if repeated[begin]:
                found += _replayed(role, log[begin:end])
                continue
            events = log[_EVENT][begin:end].astype(EVENT_COLUMNS)
            found += [
                habits_before(events, place, _names(event), speeds=role.speeds)
                for place, event in enumerate(log[begin:end])
                if event["chunk"] != NO_CHUNK
            ]
        return self._as_array(role, found)

    def _one_by_one(self, role: Role, log: np.ndarray) -> np.ndarray:
        """The same of parties of whom a transaction is there twice: as the live store would place them."""
        return self._as_array(
            role, [one for begin, end in _groups(log["party"]) for one in _replayed(role, log[begin:end])]
        )

    def _as_array(self, role: Role, pasts: Sequence[Activity]) -> np.ndarray:
        rows = [[getattr(past, name) for name in self._fields[role.name]] for past in pasts]
        return np.array(rows, dtype=np.float64).reshape(len(pasts), -1)

    def _hand_out(self, role: Role, counted: Sequence[Counted]) -> None:
        """Append rows' numbers to the files of their chunks."""
        for rows, values in counted:
            self._append(role, rows, values)

    def _append(self, role: Role, rows: np.ndarray, values: np.ndarray) -> None:
        record = np.dtype([("row", "<u4"), ("values", "<f8", (values.shape[1],))])
        found = np.empty(len(rows), record)
        found["row"], found["values"] = rows["row"], values
        order = np.argsort(rows["chunk"], kind="stable")
        chunks, begins = np.unique(rows["chunk"][order], return_index=True)
        for chunk, (begin, end) in zip(chunks.tolist(), pairwise([*begins.tolist(), len(rows)]), strict=True):
            with self._counted_path(chunk, role).open("ab") as file:
                found[order[begin:end]].tofile(file)

    # --- reading ------------------------------------------------------------------------------------------------------

    def _pasts(self, role: Role, chunk: int, count: int) -> "Pasts":
        fields = self._fields[role.name]
        named = np.unpackbits(np.fromfile(self._named_path(chunk, role), np.uint8), count=count).astype(bool)
        quiet = [getattr(QUIET, name, np.nan) for name in fields]
        values = np.where(named[:, None], np.array(quiet)[None, :], np.nan)
        path = self._counted_path(chunk, role)
        if path.exists():
            found = np.fromfile(path, np.dtype([("row", "<u4"), ("values", "<f8", (len(fields),))]))
            # of a row that was counted again the last numbers hold
            values[found["row"]] = found["values"]
        return Pasts(fields, values)

    def _part_path(self, role: Role, part: int) -> Path:
        return self.folder / f"{role.name}.{part}.events"

    def _named_path(self, chunk: int, role: Role) -> Path:
        return self.folder / f"{chunk}.{role.name}.named"

    def _counted_path(self, chunk: int, role: Role) -> Path:
        return self.folder / f"{chunk}.{role.name}.counted"


def settle(history: FileHistory, chunks: int, blocked_in: Callable[[int], np.ndarray]) -> int:
    """Count habits until they agree with what is blocked; how many rounds that took. `blocked_in`: which rows of a
    chunk are, by the pasts as they are counted then: bool[rows].

    It ends: a row's habits are of rows a day older, so a round settles a day more at least.
    """
    if not any(role.habits for role in history.schema.roles):
        return 0
    blocked = [blocked_in(chunk) for chunk in range(chunks)]
    before = [np.zeros(len(one), dtype=bool) for one in blocked]
    rounds = 0
    while touched := history.refuse(blocked, before):
        before, rounds = blocked, rounds + 1
        blocked = [blocked_in(chunk) if chunk in touched else one for chunk, one in enumerate(before)]
    return rounds


class Pasts:
    """Pasts of n rows in one role: each number's column under its name."""

    def __init__(self, fields: Sequence[str], values: np.ndarray) -> None:
        self._columns = {name: values[:, place] for place, name in enumerate(fields)}

    def __getattr__(self, name: str) -> np.ndarray:
        try:
            return self._columns[name]
        except KeyError as missing:
            raise AttributeError(name) from missing

    @property
    def fields(self) -> tuple[str, ...]:
        """The numbers' names."""
        return tuple(self._columns)

    def between(self, begin: int, end: int) -> "Pasts":
        """Those of a part of the rows."""
        return Pasts(self.fields, np.column_stack([column[begin:end] for column in self._columns.values()]))


def packed(pasts: Sequence[Pasts]) -> bytes:
    """Pasts for a store, to be read by whoever scores the chunk."""
    columns = {f"{role}.{name}": getattr(past, name) for role, past in enumerate(pasts) for name in past.fields}
    batch = pa.RecordBatch.from_pydict(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def unpacked(schema: TransactionSchema, stored: bytes) -> list[Pasts]:
    """Pasts that were stored."""
    with pa.ipc.open_stream(stored) as reader:
        batch = reader.read_next_batch()
    fields: list[list[str]] = [[] for _ in schema.roles]
    for column in batch.schema.names:
        role, _, name = column.partition(".")
        fields[int(role)].append(name)
    return [
        Pasts(names, np.column_stack([batch.column(f"{role}.{name}").to_numpy() for name in names]))
        for role, names in enumerate(fields)
    ]


# --- the parties of a block ---


class Logged(NamedTuple):
    """One role's parties of a block: which rows name one, under which hash, and what is kept of each event.

    `names` and `counterparties` are those of all rows, as they were written; `parties` those of the rows that name one,
    none where the counterparty is all there is to keep.
    """

    rows: np.ndarray
    party: np.ndarray  # uint64, a hash of this process
    with_whom: np.ndarray  # likewise
    amounts: np.ndarray
    names: Sequence[str | None]
    counterparties: Sequence[str | None]
    parties: Sequence[Party] = ()

    def name(self, row: int) -> str:
        """The party's name as it is recognised."""
        return recognised(self.names[row] or "")

    def counterparty(self, row: int) -> str:
        """The counterparty's name as it is recognised."""
        return recognised(self.counterparties[row] or "")

    def distinct_names(self) -> list[str]:
        """Every name once."""
        return sorted({self.name(row) for row in self.rows.tolist()})

    def write_details(self, events: np.ndarray, hide: Callable[[str], str]) -> None:
        """Fill in what is kept beside time, amount and transaction. Where only a counterparty is, it goes by a hash of
        this process, which takes a tenth of the time of the live store's."""
        if not self.parties:
            events["measure"] = np.nan
            events["counterparty"] = self.with_whom >> np.uint64(32)
            return
        details = [_details(party, hide) for party in self.parties]
        for place, name in enumerate(("counterparty", "kind", "place", "device", "measure", "flags")):
            events[name] = [one[place] for one in details]


def _from_columns(
    party: np.ndarray, with_whom: np.ndarray, amounts: np.ndarray, names: Sequence[str | None],
    counterparties: Sequence[str | None],
) -> Logged:  # fmt: skip
    rows = party.nonzero()[0]
    return Logged(rows, party[rows], with_whom[rows], amounts[rows], names, counterparties)


def _from_rows(block: Block) -> list[Logged]:
    """Parties found row by row, with all that is kept of them."""
    found: dict[str, dict[int, Party]] = {role.name: {} for role in block.schema.roles}
    row, amounts = RowView(block.columns), np.zeros(len(block))
    for index in range(len(block)):
        row.index = index
        amounts[index] = block.schema.amount(row)
        for party in block.schema.parties(row):
            found[party.role][index] = party
    return [_from_parties(of_role, amounts) for of_role in found.values()]


def _from_parties(found: Mapping[int, Party], amounts: np.ndarray) -> Logged:
    rows, parties = np.array(list(found), dtype=np.int64), list(found.values())
    names = [found[row].name if row in found else None for row in range(len(amounts))]
    party = hashes([party.name for party in parties])
    return Logged(rows, party, party, amounts[rows], names, names, parties)


def _hashed(names: Sequence[str | None], known: dict[int, np.ndarray]) -> np.ndarray:
    """uint64[n]: hashes of names as they are recognised, 0 for nobody; of each list once, which `known` keeps."""
    if id(names) not in known:
        known[id(names)] = hashes(all_recognised(names))
    return known[id(names)]


def hashes(names: Sequence[str]) -> np.ndarray:
    """uint64[n]: names by a hash of this process; an empty one is 0."""
    return np.fromiter(map(hash, names), np.int64, len(names)).view(np.uint64)  # of "" it is 0


def _details(party: Party, hide: Callable[[str], str]) -> Details:
    """What `past_events.event_of` keeps of a party beside time, amount and transaction."""
    hidden = party.renamed(hide)
    measure = min(max(party.measure, -MOST_MEASURE), MOST_MEASURE)
    names = (hidden.counterparty, hidden.kind, hidden.place, hidden.device)
    return (*map(name_hash, names), measure, FAILED if party.failed else 0)  # type: ignore[return-value]


def _names(event: np.void) -> Names:
    return Names(*(int(event[name]) for name in Names._fields))


def _bits(rows: np.ndarray, count: int) -> bytes:
    named = np.zeros(count, dtype=bool)
    named[rows] = True
    return np.packbits(named).tobytes()


# --- a part of the log ---


def ahead(make: Callable[[One], Made], of: Iterable[One], at_once: int) -> Iterator[Made]:
    """What is made of each, in order; so many are made at once, in threads, and no more are held."""
    with ThreadPoolExecutor(at_once) as pool:
        waiting: deque[Future[Made]] = deque()
        for one in of:
            waiting.append(pool.submit(make, one))
            if len(waiting) > at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _of_seeds(seeds: Mapping[str, bytes]) -> np.ndarray:
    """What the live store knew, as events of the log that are no rows."""
    found = np.zeros(sum(len(past) // EVENT_COLUMNS.itemsize for past in seeds.values()), LOGGED)
    begin = 0
    for name, past in seeds.items():
        events = np.frombuffer(past, EVENT_COLUMNS)
        for field in _EVENT:
            found[field][begin : begin + len(events)] = events[field]
        found["party"][begin : begin + len(events)] = hashes([name])
        begin += len(events)
    found["live"], found["chunk"] = found["transaction"], NO_CHUNK
    return found


def _without_known(log: np.ndarray) -> np.ndarray:
    """The log without the seeds that are rows of it, and without those that are in it twice."""
    seeds = log["chunk"] == NO_CHUNK
    if not seeds.any():
        return log
    ours = set(zip(log["party"][~seeds].tolist(), log["live"][~seeds].tolist(), strict=True))
    kept = ~seeds
    for place in seeds.nonzero()[0].tolist():
        known = (int(log["party"][place]), int(log["live"][place]))
        kept[place] = known not in ours
        ours.add(known)
    return log[kept]


def _sorted(log: np.ndarray) -> np.ndarray:
    """By party, event time and arrival; seeds arrived before the file."""
    return log[np.lexsort((log["chunk"] != NO_CHUNK, log["when"], log["party"]))]


def repeated_in(party: np.ndarray, transaction: np.ndarray) -> np.ndarray:
    """bool[n]: events of parties of whom a transaction is there twice."""
    order = np.lexsort((transaction, party))
    same = (party[order[1:]] == party[order[:-1]]) & (transaction[order[1:]] == transaction[order[:-1]])
    if not same.any():
        return np.zeros(len(party), dtype=bool)
    return np.isin(party, party[order[1:][same]])


def _groups(party: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where each party of a sorted log begins and ends."""
    _, begins = np.unique(party, return_index=True)
    yield from pairwise([*begins.tolist(), len(party)])


def _replayed(role: Role, log: np.ndarray) -> list[Activity]:
    """One party's pasts, event by event, as the live store would have placed them."""
    past, found = b"", list[Activity]()
    events = log[_EVENT].astype(EVENT_COLUMNS)
    for place, event in enumerate(log):
        at_ms, transaction = int(event["when"]), int(event["transaction"])
        if event["chunk"] != NO_CHUNK:
            seen = seen_at(past, at_ms)
            if role.habits:
                found.append(habits_with(seen, at_ms, transaction, _names(event), speeds=role.speeds))
            else:
                found.append(summarise(seen, at_ms, transaction))
        past = placed(past, events[place : place + 1].tobytes())
    return found
