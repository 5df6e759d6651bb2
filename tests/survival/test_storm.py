"""20,000 requests from 8 clients while everything is killed in turn: each 200 is one row and one usage event."""

import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.transactions import question
from tests.survival.client import Client
from tests.survival.copy import Inside, palisade, tenant

REQUESTS, CLIENTS = 20_000, 8
#: What is killed, in this order, again and again: parts of command lines.
VICTIMS = ("manage.py record", "config.serving.api", "valkey-server", "postgres -D")
PAUSE_SECONDS = 1.2


def kill_in_turn(inside: Inside, stop: threading.Event, killed: list[str]) -> None:
    for victim in itertools.cycle(VICTIMS):
        if stop.wait(PAUSE_SECONDS):
            return
        if inside.pids(victim):
            inside.kill(victim)
            killed.append(victim)


def ask(inside: Inside, key: str, client: int) -> list[str]:
    """One client's share; the ids it was given."""
    chance, careful = random.Random(client), Client(inside.copy.api, key)
    return [
        careful.until_answered("/v1/decisions", question(chance), f"storm-{client}-{number}")["id"]
        for number in range(REQUESTS // CLIENTS)
    ]


@pytest.mark.timeout(280)
def test_every_answer_is_recorded_and_billed_once_through_any_kill() -> None:
    with palisade() as inside:
        storm = tenant(inside.copy, "storm", rate_per_minute=10_000_000, included=1_000_000)
        stop, killed = threading.Event(), []
        killer = threading.Thread(target=kill_in_turn, args=(inside, stop, killed))
        killer.start()
        begun = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as pool:
            given = [
                i for ids in pool.map(lambda client: ask(inside, storm["key"], client), range(CLIENTS)) for i in ids
            ]
        stop.set()
        killer.join()
        print(f"{REQUESTS} answers in {time.monotonic() - begun:.0f} s; killed: {len(killed)} {sorted(set(killed))}")
        inside.drained()
        first = inside.copy.manage("reconcile", "--tenant", "storm")

        decisions = [row[0] for row in inside.rows(f"SELECT id FROM {storm['schema']}.scoring_decision")]
        events = inside.rows("SELECT id, units FROM usage_usageevent WHERE tenant_id = %s", storm["id"])
        days = inside.rows("SELECT sum(decisions), sum(units) FROM usage_usageday WHERE tenant_id = %s", storm["id"])
        counter = int(
            inside.valkey().get(next(inside.valkey().scan_iter(f"*:{storm['handle']}:quota:*", count=10_000)))
        )

        assert set(killed) == set(VICTIMS)
        assert len(set(given)) == REQUESTS
        assert sorted(decisions) == sorted(given)
        assert sorted(event for event, _ in events) == sorted(given)
        assert days == [(REQUESTS, sum(units for _, units in events))]
        assert counter == sum(units for _, units in events), first
        assert inside.copy.manage("reconcile", "--tenant", "storm").strip().endswith("The books agree.")
