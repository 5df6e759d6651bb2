"""Many processes at once on a running copy: the rate is exact, twins are one, a revoked key is dead everywhere."""

import random
import time
from collections import Counter
from statistics import median
from typing import Any

import pytest

from bench.transactions import question
from tests.pace import within
from tests.survival.client import Client
from tests.survival.copy import Inside, tenants
from tests.together import together

CLIENTS = 8
PER_MINUTE = 600
#: Who races, with limits of their own.
RACERS: dict[str, dict[str, int]] = {
    **{f"new-{number}": {} for number in range(3)},
    "fast": {"rate_per_minute": PER_MINUTE, "included": 1_000_000},
    "slow": {"rate_per_minute": 2, "included": 1_000},
    "small": {"rate_per_minute": 1_000_000, "included": 150},
    "twins": {"rate_per_minute": 1_000_000, "included": 1_000},
    "same": {"rate_per_minute": 1_000_000, "included": 1_000},
    "gone": {"rate_per_minute": 1_000_000, "included": 100_000},
}


@pytest.fixture(scope="module")
def racers(inside: Inside) -> dict[str, dict[str, Any]]:
    return tenants(inside.copy, **RACERS)


def hammer(inside: Inside, key: str, seed: int, seconds: float, patience: float = 0.0) -> Counter[int]:
    """Ask as fast as one client can; answers by status. `patience`: seconds a slow machine may take to be refused."""
    chance, client, found = random.Random(seed), Client(inside.copy.api, key), Counter[int]()
    begun = time.monotonic()
    while time.monotonic() < begun + seconds or (not found[429] and time.monotonic() < begun + within(patience)):
        found[client.post("/v1/decisions", question(chance))[0]] += 1
    return found


def milliseconds(client: Client, transaction: dict[str, Any]) -> float:
    """The server's own time for a decision."""
    status, headers, _ = client.post("/v1/decisions", transaction)
    assert status == 200
    return float(headers["server-timing"].partition("dur=")[2])


def test_the_first_decision_of_a_new_key_is_as_fast_as_the_next(inside: Inside, racers: dict[str, Any]) -> None:
    """First on this copy, so that it is the first after a start. The bound is generous: it was ten times as long."""
    clients = [Client(inside.copy.api, racers[f"new-{number}"]["key"]) for number in range(3)]
    chance = random.Random(1)
    took = [[milliseconds(client, question(chance)) for _ in range(8)] for client in clients]
    firsts, later = [times[0] for times in took], [time for times in took for time in times[1:]]
    assert median(firsts) <= 4 * median(later) + 2.0, took


def test_four_processes_give_the_rate_exactly(inside: Inside, racers: dict[str, Any]) -> None:
    fast, per_minute = racers["fast"], PER_MINUTE
    hammer(inside, fast["key"], 99, seconds=0.2)  # the key is cached; its share of the allowance is used up below
    time.sleep(1.0)
    begun = time.monotonic()
    found = sum(
        together(CLIENTS, lambda seed: hammer(inside, fast["key"], seed, seconds=6, patience=20)), Counter[int]()
    )
    elapsed = time.monotonic() - begun
    inside.drained()
    served = inside.rows("SELECT count(*) FROM usage_usageevent WHERE tenant_id = %s", fast["id"])[0][0]
    refilled = per_minute * elapsed / 60
    assert set(found) == {200, 429}
    assert served <= per_minute + per_minute * (elapsed + 1.2 + 0.5) / 60
    assert found[200] <= per_minute + refilled
    assert found[200] >= 0.99 * (
        per_minute - _first_share(served, found[200]) + per_minute * (elapsed + 1.0 - 0.2) / 60 - 20
    )


def _first_share(served: int, later: int) -> int:
    """What the warming-up took."""
    return served - later


def test_a_refused_request_changes_no_counter(inside: Inside, racers: dict[str, Any]) -> None:
    slow = racers["slow"]
    chance, client = random.Random(1), Client(inside.copy.api, slow["key"])
    statuses = [client.post("/v1/decisions", question(chance))[0] for _ in range(2)]
    inside.drained()  # or the recorder forgets their places meanwhile
    before = _counters(inside, slow["handle"])
    status, headers, _ = client.post("/v1/decisions", question(chance), Idempotency_Key="refused")
    assert statuses == [200] * 2
    assert status == 429
    assert int(headers["retry-after"]) in range(1, 31)
    assert headers["x-ratelimit-remaining"] == "0"
    assert _counters(inside, slow["handle"]) == before


def test_the_included_volume_is_exact_over_processes(inside: Inside, racers: dict[str, Any]) -> None:
    small = racers["small"]
    found = sum(together(CLIENTS, lambda seed: _some(inside, small["key"], 50, seed)), Counter[int]())
    assert found == {200: 150, 429: CLIENTS * 50 - 150}


def _some(inside: Inside, key: str, number: int, seed: int) -> Counter[int]:
    chance, client = random.Random(seed), Client(inside.copy.api, key)
    return Counter(client.post("/v1/decisions", question(chance))[0] for _ in range(number))


def test_a_hundred_twins_of_one_idempotency_key_are_one_decision_and_one_unit(
    inside: Inside, racers: dict[str, Any]
) -> None:
    twins = racers["twins"]
    body = question(random.Random(3))

    def twin(_: int) -> tuple[int, bytes]:
        client = Client(inside.copy.api, twins["key"])
        status, _, answer = client.post("/v1/decisions", body, Idempotency_Key="twins")
        return status, answer

    answers = together(100, twin)
    inside.drained()
    assert {status for status, _ in answers} <= {200, 409}
    assert len({answer for status, answer in answers if status == 200}) == 1
    assert inside.rows("SELECT count(*), sum(units) FROM usage_usageevent WHERE tenant_id = %s", twins["id"]) == [
        (1, 1)
    ]
    assert inside.rows(f"SELECT count(*) FROM {twins['schema']}.scoring_decision") == [(1,)]
    assert [value for name, value in _counters(inside, twins["handle"]).items() if b":quota:" in name] == [b"1"]


def test_twins_of_one_transaction_id_are_one_decision(inside: Inside, racers: dict[str, Any]) -> None:
    same = racers["same"]
    body = question(random.Random(4))
    body["transaction"]["transaction_id"] = "only-one"
    statuses = together(40, lambda _: Client(inside.copy.api, same["key"]).post("/v1/decisions", body)[0])
    inside.drained()
    assert statuses == [200] * 40
    assert inside.rows("SELECT count(*), sum(units) FROM usage_usageevent WHERE tenant_id = %s", same["id"]) == [(1, 1)]
    assert [value for name, value in _counters(inside, same["handle"]).items() if b":quota:" in name] == [b"1"]


def test_a_revoked_key_is_refused_by_every_process_at_once(inside: Inside, racers: dict[str, Any]) -> None:
    gone = racers["gone"]
    clients = [Client(inside.copy.api, gone["key"]) for _ in range(16)]
    body = question(random.Random(5))
    assert {client.post("/v1/decisions", body)[0] for client in clients} == {200}
    inside.copy.manage("key_revoke", str(gone["key_id"]))
    assert {client.post("/v1/decisions", body)[0] for client in clients} == {401}


def _counters(inside: Inside, handle: str) -> dict[bytes, bytes]:
    """Everything Valkey counts for a tenant."""
    valkey = inside.valkey()
    names = [name for name in valkey.scan_iter(f"*:{handle}:*", count=10_000) if valkey.type(name) == b"string"]
    return {name: valkey.get(name) for name in sorted(names)}
