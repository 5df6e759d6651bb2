"""The prober: a round of probes every 30 seconds, and what follows: incidents, pages, burn rates, the public status.

A process of its own, so that it can tell when a worker or the schedule is gone. What Postgres can't take while it is
away is kept here and written when it is back; those on call are told at once all the same.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from django.utils import timezone
from prometheus_client import Gauge

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.sla import burning, failures, incidents, oncall, probes, status
from apps.sla.aside import Aside, Late, Made
from apps.sla.incidents import Round
from apps.sla.intervals import moment_of, second_of
from apps.sla.oncall import Page
from apps.sla.parts import PARTS
from apps.sla.watching import EVERY, Change, Look, Watched, watched
from apps.valkey import Away

log = logging.getLogger(__name__)

#: A part that was not seen well since the prober began is still starting, for so many seconds.
STARTING = 180
#: Rounds kept while Postgres is away: a day of them.
MOST_KEPT = 24 * 3600 // EVERY
UP = Gauge(
    "palisade_part_up", "Whether a part was well when it was probed last", ["part"], multiprocess_mode="livemostrecent"
)
Probe = Callable[[str, int], Look]
#: Seconds Postgres may take for a round.
STORE_SECONDS = 5.0
STORE_AWAY = (*POSTGRES_AWAY, Late)


class Store(Protocol):
    """Does what Postgres is needed for. Raises `STORE_AWAY`."""

    def do(self, work: Callable[[], Made]) -> Made: ...


class Prober:
    """One an installation. `probe` asks a part, `clock` says what time it is, `store` works with Postgres."""

    def __init__(
        self, probe: Probe = probes.look, clock: Callable[[], datetime] = timezone.now, store: Store | None = None
    ) -> None:
        self._probe, self._clock, self._store = probe, clock, store or Aside(STORE_SECONDS)
        self._began = second_of(clock())
        self._watched: dict[str, Watched] | None = None
        self._seen_well: set[str] = set()
        self._kept: list[Round] = []
        self._pages: list[Page] = []
        self._status: status.Status | None = None

    def run(self, stopping: Callable[[], bool]) -> None:
        """Round after round until stopped."""
        while not stopping():
            due = time.monotonic() + EVERY
            self.round()
            while not stopping() and time.monotonic() < due:
                time.sleep(0.2)

    def round(self) -> None:
        """Probe each part once, and do what follows."""
        now = self._clock()
        self._kept = [*self._kept, self._look(second_of(now))][-MOST_KEPT:]
        self._write(now)
        self._pages = [page for page in self._pages if not oncall.send(page)]
        self._publish(now)

    def _look(self, second: int) -> Round:
        """A round, and what is known after it. What a part was before is read from Postgres once, if it is there."""
        if self._watched is None:
            self._watched = self._remembered()
        looks = [self._starting(self._probe(part, second)) for part in PARTS]
        opened: list[str] = []
        for look in looks:
            self._watched[look.part], change = watched(self._watched[look.part], look)
            if change:
                opened += [look.part] if change.kind == "opened" else []
                self._tell(look, change)
            if look.up is not None:
                UP.labels(look.part).set(look.up)
        return Round(second, looks, dict(self._watched), opened)

    def _remembered(self) -> dict[str, Watched]:
        try:
            return self._store.do(incidents.watched_parts)
        except STORE_AWAY:
            return {part: Watched() for part in PARTS}

    def _starting(self, look: Look) -> Look:
        """A part that was never well since we began and may still be starting: not known."""
        if look.up:
            self._seen_well.add(look.part)
        if look.up is False and look.part not in self._seen_well and look.second < self._began + STARTING:
            return Look(look.part, look.second, None, look.ms, f"starting: {look.detail}"[:200])
        return look

    def _tell(self, look: Look, change: Change) -> None:
        title = PARTS[look.part].title
        if change.kind == "opened":
            text = f"Three probes in a row failed, the first at {moment_of(change.second):%H:%M:%S} UTC: {look.detail}"
            self._pages.append(Page(f"incident:{look.part}", f"[page] {title} is down", text))
        else:
            text = f"It is well since {moment_of(change.second):%H:%M:%S} UTC."
            self._pages.append(Page(f"incident:{look.part}", f"[over] {title} is well again", text))

    def _write(self, now: datetime) -> None:
        """Write what is kept; while Postgres is away it stays kept."""
        kept = tuple(self._kept)
        try:
            self._pages += self._store.do(lambda: _written(kept, now))
        except STORE_AWAY as failure:
            log.warning("%d rounds of probes wait for Postgres: %s", len(kept), failure)
            return
        self._kept = []

    def _publish(self, now: datetime) -> None:
        try:
            self._status = self._store.do(lambda: status.read(now))
        except STORE_AWAY:
            known: Mapping[str, Watched] = self._watched or {}
            self._status = self._status and status.with_states(self._status, known, now)
        try:
            if self._status:
                status.publish(self._status)
        except Away as failure:
            log.warning("the status can't be published: %s", failure)


def _written(kept: Sequence[Round], now: datetime) -> list[Page]:
    """Write rounds and what was counted; whom the burn rates call."""
    incidents.keep(kept)
    try:
        failures.keep(now)
    except Away as failure:
        log.warning("failed requests stay in Valkey: %s", failure)
    burning.count({one.second: list(one.looks) for one in kept})
    return list(burning.look(now))
