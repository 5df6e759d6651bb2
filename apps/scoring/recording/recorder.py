"""The recorder: drains the journal into Postgres. Acknowledges only what is committed; killed anywhere, it repeats.

    read up to 1,000 entries a stream or what came in 250 ms ─► one transaction ─► acknowledge, delete, drop the copies

While Postgres writes a batch and more is waiting, the next one is read and prepared: half of the work is Python's.
Of several recorders one works, the others stand by (`lease.py`).

It also watches the two stores for everybody: while Postgres is away every gate is told (answers say
`degraded: ["storage"]` and are not billed), and key changes that Valkey missed are told as soon as it is back.
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone
from prometheus_client import Counter, Gauge

from apps import tracing
from apps.api_keys.gate import Gate
from apps.api_keys.services import invalidate_pending
from apps.scoring.recording.lease import Lease
from apps.scoring.recording.outage_backfill import LOOK_BACK, backfill_missed
from apps.scoring.serving.store import Prepared, prepare, write
from apps.usage.metering import journal as journals
from apps.usage.metering.journal import Entry, Held, Journal
from apps.valkey import Away

log = logging.getLogger(__name__)

BATCH = 1_000
GATHER_SECONDS = 0.25
IDLE_MS = 500
CHORES_SECONDS = 1.0
#: How often it looks for what another one read and left, having lost the lease between its reading and its recording.
PENDING_SECONDS = 30.0
#: How often one that stands by asks whether it is its turn.
STANDBY_SECONDS = 0.25
#: A decision is committed a little after it occurred.
OVERLAP = timedelta(minutes=1)
#: How long what prepares the next batch may keep what writes this one from going on when Postgres has answered. By
#: Python's own 5 ms Postgres waited for the interpreter at each of some twenty answers and pieces of a batch.
SWITCH_SECONDS = 0.0005

RECORDED = Counter("palisade_recorded_total", "Journal entries committed to Postgres")
SET_ASIDE = Counter("palisade_journal_set_aside_total", "Journal entries that can't be recorded; a person must look")
LAG = Gauge(
    "palisade_recorder_lag_seconds",
    "From the oldest decision of the last look to its commit, 0 when none waited",
    multiprocess_mode="livemostrecent",
)
ACTIVE = Gauge(
    "palisade_recorder_active", "1 in the recorder that works, 0 in one that stands by", multiprocess_mode="livesum"
)
STORE_AWAY = Counter("palisade_recorder_store_away_total", "Times the recorder found a store away", ["store"])


class LeaseLost(Exception):
    """Another recorder has taken over: it records what this one has read and not recorded."""


class Batch(NamedTuple):
    """Entries of one transaction, where they stand in the journal, and what is written of them; None for those that
    could not be prepared, which are halved like those that the database refuses."""

    held: Sequence[tuple[Held, Entry]]
    prepared: Prepared | None


def batch_of(held: Sequence[tuple[Held, Entry]]) -> Batch:
    try:
        return Batch(held, _prepared(held))
    except msgspec.MsgspecError:
        return Batch(held, None)


def _prepared(held: Sequence[tuple[Held, Entry]]) -> Prepared:
    return prepare([entry for _, entry in held])


class Recorder:
    """One of an installation's recorders; each machine may have one."""

    def __init__(self, journal: Journal, gate: Gate) -> None:
        self.journal = journal
        self.gate = gate
        self.lease = Lease(journal.valkey)
        self._prepared = False
        self._ahead: list[Batch] = []
        self._pending_at = 0.0
        self._chores_at = 0.0
        self._postgres_away = False
        self._told_until = datetime.min.replace(tzinfo=UTC)

    def run(self, stopping: Callable[[], bool]) -> None:
        """Run until stopped: what a predecessor left first, then what comes."""
        sys.setswitchinterval(SWITCH_SECONDS)
        while not stopping():
            try:
                self.step()
            except Away as failure:
                self._wait_for("valkey", failure)
                self._prepared = False
                self._told_until = datetime.min.replace(tzinfo=UTC)
            except (OperationalError, InterfaceError) as failure:
                connection.close()
                self._postgres_gone(failure)
        self._leave()

    def step(self) -> int:
        """Read, record, acknowledge once; the number of entries recorded, 0 when it is another recorder's turn."""
        try:
            self._hold_the_lease()
            return self._step()
        except LeaseLost:
            self._prepared = False
            ACTIVE.set(0)
            time.sleep(STANDBY_SECONDS)
            return 0

    def _hold_the_lease(self) -> None:
        """Take or renew it. Raises `LeaseLost`."""
        if not self.lease.take():
            raise LeaseLost
        ACTIVE.set(1)

    def _leave(self) -> None:
        """Let the next one in at once."""
        with suppress(Away):
            self.lease.give_up()

    def _step(self) -> int:
        if not self._prepared:
            self.journal.prepare()
            self._pending_at = 0.0
            self._prepared = True
        if time.monotonic() >= self._pending_at:
            self._ahead = []  # read and not written: it is pending, too
            self.drain_pending()
            self._pending_at = time.monotonic() + PENDING_SECONDS
        self._do_chores()
        batches = self._ahead or self._batches_of(self._gather())
        self._write(batches)
        if not batches:
            LAG.set(0)
        return sum(len(batch.held) for batch in batches)

    def drain_pending(self) -> None:
        """Record what was read before and never acknowledged: a recorder was killed, or lost its lease, in between."""
        while held := self.journal.read(BATCH, pending=True):
            self._store_all(self._batches_of(held))

    def _write(self, batches: Sequence[Batch]) -> None:
        """Store batches; where they are full, more is waiting: it is read and prepared meanwhile."""
        self._ahead = []
        if sum(len(batch.held) for batch in batches) < BATCH:
            self._store_all(batches)
            return
        with ThreadPoolExecutor(1, thread_name_prefix="prepare") as meanwhile:
            coming = meanwhile.submit(lambda: self._batches_of(self.journal.read(BATCH)))
            self._store_all(batches)
            self._ahead = coming.result()

    def _batches_of(self, held: Sequence[Held]) -> list[Batch]:
        """What was read, in batches ready to be written."""
        entries = list(self._readable(held))
        return [batch_of(entries[start : start + BATCH]) for start in range(0, len(entries), BATCH)]

    def _store_all(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._hold_the_lease()
            self._store(batch)

    def _readable(self, held: Sequence[Held]) -> Iterator[tuple[Held, Entry]]:
        """Entries with what they say; one that says nothing is put aside."""
        for one in held:
            try:
                yield one, journals.decode(one.data)
            except msgspec.MsgspecError as fault:
                self._put_aside(one, fault)

    def _gather(self) -> list[Held]:
        held = self.journal.read(BATCH, block_ms=IDLE_MS)
        if held and len(held) < BATCH:
            time.sleep(GATHER_SECONDS)
            held += self.journal.read(BATCH)
        return held

    def _store(self, batch: Batch) -> None:
        """One transaction; a batch that is refused or can't be read is halved until the entry at fault stands alone."""
        held, begun = batch.held, time.time()
        try:
            write(batch.prepared or _prepared(held))
        except (OperationalError, InterfaceError):
            raise
        except (DatabaseError, msgspec.MsgspecError) as refusal:
            self._refused(held, refusal)
            return
        self._postgres_away = False
        self.journal.forget(held)
        RECORDED.inc(len(held))
        ended = time.time()
        LAG.set(max(ended - min(entry.event.occurred_us for _, entry in held) / 1_000_000, 0))
        for trace in {entry.trace for _, entry in held}:
            tracing.went_on("record", trace, begun, ended)

    def _refused(self, held: Sequence[tuple[Held, Entry]], refusal: Exception) -> None:
        if len(held) > 1:
            middle = len(held) // 2
            self._store(batch_of(held[:middle]))
            self._store(batch_of(held[middle:]))
            return
        self._put_aside(held[0][0], refusal)

    def _put_aside(self, held: Held, why: Exception) -> None:
        log.error("entry %s of %s can't be recorded: %s", held.entry_id, held.stream, why)
        self.journal.set_aside(held)
        SET_ASIDE.inc()

    def _do_chores(self) -> None:
        """Each second: does Postgres answer, and does the gate know every changed key?"""
        if time.monotonic() < self._chores_at:
            return
        self._chores_at = time.monotonic() + CHORES_SECONDS
        invalidate_pending(self.gate)
        self._backfill_missed(timezone.now())
        if self._postgres_away:
            self._postgres_away = False
            log.info("Postgres is back")
        self.journal.say_storage(away=False)

    def _backfill_missed(self, now: datetime) -> None:
        """What was answered past Valkey; a day back after it was away, else a minute."""
        backfill_missed(self.journal, max(self._told_until, now - LOOK_BACK + OVERLAP) - OVERLAP)
        self._told_until = now

    def _postgres_gone(self, failure: Exception) -> None:
        if not self._postgres_away:
            log.warning("Postgres is away: %s", str(failure).splitlines()[0])
            STORE_AWAY.labels("postgres").inc()
        self._postgres_away = True
        self._prepared = False
        self._chores_at = 0.0
        try:
            self.journal.say_storage(away=True)
        except Away as also:
            self._wait_for("valkey", also)
        time.sleep(0.2)

    def _wait_for(self, store: str, failure: Exception) -> None:
        log.warning("%s is away: %s", store, failure)
        STORE_AWAY.labels(store).inc()
        time.sleep(0.3)
