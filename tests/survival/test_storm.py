"""Thousands of requests from 8 clients while everything is killed in turn: each 200 is one row and one usage event."""

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Iterator

from bench.transactions import question
from tests.campaign import SIZE, campaign
from tests.survival.client import Client
from tests.survival.copy import Inside, tenants
from tests.together import together

CLIENTS = 8
#: Answers between two kills are no time: a slow machine must have come back, whatever it takes, and every machine sees
#: as many kills.
REQUESTS, ANSWERS_A_KILL = SIZE.storm
#: What is killed, in this order, again and again: a part of its command line, and which of those that have it.
OLDEST, NEWEST = 0, -1
VICTIMS = {
    "recorder": ("manage.py record", NEWEST),
    "worker of the API": ("config.serving.api", NEWEST),
    "Valkey": ("valkey-server", NEWEST),
    "master of the API": ("config.serving.api", OLDEST),
    "PostgreSQL": ("postgres -D", NEWEST),
}
KILLS_A_KIND = (REQUESTS // ANSWERS_A_KILL - 2) // len(VICTIMS)


class Storm:
    """The clients, what they were answered, and the one who kills."""

    def __init__(self, inside: Inside, key: str) -> None:
        self.inside, self.key = inside, key
        self.stop = threading.Event()
        self.given: list[str] = []
        self.killed: list[str] = []

    def rage(self) -> None:
        """All the requests, with the killer as one more."""
        together(CLIENTS + 1, lambda n: self._ask(n) if n < CLIENTS else self._kill(), seconds=600, stop=self.stop)

    def _ask(self, client: int) -> None:
        """One client's share."""
        chance, careful = random.Random(client), Client(self.inside.copy.api, self.key)
        for number in range(REQUESTS // CLIENTS):
            answer = careful.until_answered("/v1/decisions", question(chance), f"storm-{client}-{number}", self.stop)
            self.given.append(answer["id"])

    def _kill(self) -> None:
        for victim, _ in zip(itertools.cycle(VICTIMS), self._moments(), strict=False):
            mark, which = VICTIMS[victim]
            while not (pids := self.inside.pids(mark)):
                if self.stop.wait(0.02):
                    return
            os.kill(pids[which], signal.SIGKILL)
            self.killed.append(victim)

    def _moments(self) -> Iterator[int]:
        """Each time that so many more were answered."""
        for answers in range(ANSWERS_A_KILL, REQUESTS - ANSWERS_A_KILL, ANSWERS_A_KILL):
            while len(self.given) < answers:
                if self.stop.wait(0.02):
                    return
            yield answers


@campaign
def test_every_answer_is_recorded_and_billed_once_through_any_kill(inside: Inside) -> None:
    made = tenants(inside.copy, storm={"rate_per_minute": 10_000_000, "included": 1_000_000})["storm"]
    storm, begun = Storm(inside, made["key"]), time.monotonic()
    storm.rage()
    print(f"{REQUESTS} answers in {time.monotonic() - begun:.0f} s; killed: {len(storm.killed)}")
    inside.drained()
    first = inside.copy.manage("reconcile", "--tenant", "storm")

    decisions = [row[0] for row in inside.rows(f"SELECT id FROM {made['schema']}.scoring_decision")]
    events = inside.rows("SELECT id, units FROM usage_usageevent WHERE tenant_id = %s", made["id"])
    days = inside.rows("SELECT sum(decisions), sum(units) FROM usage_usageday WHERE tenant_id = %s", made["id"])
    counter = int(inside.valkey().get(next(inside.valkey().scan_iter(f"*:{made['handle']}:quota:*", count=10_000))))

    assert min(storm.killed.count(victim) for victim in VICTIMS) >= KILLS_A_KIND
    assert len(set(storm.given)) == REQUESTS
    assert sorted(decisions) == sorted(storm.given)
    assert sorted(event for event, _ in events) == sorted(storm.given)
    assert days == [(REQUESTS, sum(units for _, units in events))]
    assert counter == sum(units for _, units in events), first
    assert inside.copy.manage("reconcile", "--tenant", "storm").strip().endswith("The books agree.")
