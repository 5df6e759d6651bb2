"""The process that empties the outbox (`manage.py deliver`): many tries at once, each recorded as it ends.

One thread looks, claims and records, with one connection to the database. Each try has a thread of its own, for as long
as it takes; how many there are, and whose, is decided in turns.py. So what is slow keeps its own places busy and nobody
else's: the next delivery is begun as soon as its turn has come, not when others have ended.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NamedTuple

from django.db import DatabaseError, InterfaceError, OperationalError, connection
from prometheus_client import Gauge

from apps.notifications.delivery import FIRST, Lane, attempt, claim, look, record
from apps.notifications.models import Delivery
from apps.notifications.outcome import Outcome
from apps.notifications.turns import Bounds, Turns, Waiting

log = logging.getLogger(__name__)

#: Of one process. Threads of webhooks wait for strangers and cost nothing meanwhile; mails wait for one server of ours.
BOUNDS = {
    Delivery.Channel.WEBHOOK: Bounds(at_once=400, tenant=8, recipient=4),
    Delivery.Channel.EMAIL: Bounds(at_once=8, tenant=4, recipient=4),
}
#: How long something new may wait until it is looked for, while nothing else happens.
POLL_SECONDS = 0.5
#: When told to stop: for what is under way. What has no answer by then is made again after its lease.
GRACE_SECONDS = 5.0
#: While the database is away.
AWAY_SECONDS = 1.0
MEASURE_SECONDS = 5.0

UNDER_WAY = Gauge("palisade_deliveries_under_way", "Tries at this moment", ["channel"], multiprocess_mode="livesum")


class Tried(NamedTuple):
    """A try that has ended."""

    held: Waiting
    delivery: Delivery
    outcome: Outcome
    seconds: float


class Courier:
    """One process's share of the deliveries. `now` is asked for every moment that is written down."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._turns = {channel: Turns(bounds) for channel, bounds in BOUNDS.items()}
        self._ended: SimpleQueue[Tried] = SimpleQueue()
        self._unrecorded: deque[Tried] = deque()
        self._after: Lane = FIRST
        self._measure_at = 0.0

    def run(self, stopping: Callable[[], bool]) -> None:
        """Until told to stop; then for `GRACE_SECONDS` only what is under way."""
        while not stopping():
            self._withstanding(lambda: self.step(POLL_SECONDS))
        deadline = time.monotonic() + GRACE_SECONDS
        while self.under_way and time.monotonic() < deadline:
            self._withstanding(lambda: self._settle(POLL_SECONDS))

    def until_idle(self) -> int:
        """Until nothing is due and nothing under way; how many tries were begun."""
        begun = 0
        while True:
            started = self.step(POLL_SECONDS if self.under_way else 0.0)
            begun += started
            if not started and not self.under_way and self._after == FIRST:
                return begun

    @property
    def under_way(self) -> int:
        return sum(turns.bounds.at_once - turns.free for turns in self._turns.values())

    @property
    def _full(self) -> bool:
        return not any(turns.free for turns in self._turns.values())

    def step(self, wait: float) -> int:
        """Record what has ended, waiting for it so long unless lanes are left to look at; begin what is due."""
        self._settle(wait if self._full or self._after == FIRST else 0.0)
        self._measure()
        return self._begin()

    def _settle(self, wait: float) -> None:
        self._unrecorded.extend(self._that_ended(wait))
        while self._unrecorded:
            one = self._unrecorded[0]
            self._record(one)
            self._turns_of(one.held).end(one.held, one.seconds)
            self._unrecorded.popleft()

    def _record(self, one: Tried) -> None:
        """What the database refuses for good is due again after its lease, up to the last of its tries."""
        try:
            record(one.delivery, one.outcome, self._now())
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:
            log.exception("what came of delivery %s could not be recorded", one.delivery.pk)

    def _that_ended(self, wait: float) -> Iterator[Tried]:
        with suppress(Empty):
            yield self._ended.get(timeout=wait) if wait else self._ended.get_nowait()
            while True:
                yield self._ended.get_nowait()

    def _begin(self) -> int:
        if self._full:
            return 0
        now = self._now()
        waiting, self._after = look(self._after, now)
        chosen = [
            one
            for channel, turns in self._turns.items()
            for one in turns.choose([each for each in waiting if _channel(each) == channel])
        ]
        claimed: dict[str, Delivery] = {}
        try:
            if chosen:
                claimed = {one.pk: one for one in claim([one.id for one in chosen], now)}
        finally:  # what somebody else has, or nobody could have, holds no place
            for one in chosen:
                if one.id not in claimed:
                    self._turns_of(one).end(one)
        for one in chosen:
            if one.id in claimed:
                Thread(target=self._try, args=(one, claimed[one.id]), daemon=True).start()
        return len(claimed)

    def _try(self, held: Waiting, delivery: Delivery) -> None:
        """In a thread of its own: whatever happens in it ends as an outcome."""
        began = time.monotonic()
        try:
            outcome = attempt(delivery, self._now())
        except Exception:  # a fault of ours, and it must not be tried for ever
            log.exception("delivery %s could not be tried", delivery.pk)
            outcome = Outcome(delivered=False, answer="It could not be sent, through a fault of ours.")
        finally:
            connection.close()  # this thread's own, if it asked for anything
        self._ended.put(Tried(held, delivery, outcome, time.monotonic() - began))

    def _turns_of(self, one: Waiting) -> Turns:
        return self._turns[_channel(one)]

    def _withstanding(self, step: Callable[[], object]) -> None:
        """The database may be away; what has ended is recorded when it is back."""
        try:
            step()
        except (OperationalError, InterfaceError) as failure:
            log.warning("deliveries wait for Postgres: %s", str(failure).splitlines()[0])
            connection.close()
            time.sleep(AWAY_SECONDS)

    def _measure(self) -> None:
        if time.monotonic() < self._measure_at:
            return
        self._measure_at = time.monotonic() + MEASURE_SECONDS
        for channel, turns in self._turns.items():
            UNDER_WAY.labels(channel.value).set(turns.bounds.at_once - turns.free)


def deliver_due(now: Callable[[], datetime]) -> int:
    """Try all that is due and wait for the last of it; how many tries were made."""
    return Courier(now).until_idle()


def _channel(one: Waiting) -> Delivery.Channel:
    return Delivery.Channel.WEBHOOK if one.recipient else Delivery.Channel.EMAIL
