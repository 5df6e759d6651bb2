"""Requests answered side by side in one thread: one round trip for all of them, one call of a model, and each its own
answer."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from apps.company import made, together
from apps.scoring.engine.models import LoadedModel
from apps.valkey import Away, Script, Valkey
from tests.api.bodies import HONEST, TRANSFER, asking
from tests.cast import Api

ECHO = Script("return ARGV[1]")
#: Of an answer what differs from call to call.
UNLIKE = ("id", "transaction_id", "created_at", "timing_ms")
NOBODY = Valkey("redis://127.0.0.1:1/0", timeout=1.0)


def posted(api: Api, *bodies: Any, **headers: str) -> list[Any]:
    """The answers to requests that came at the same time, in the order in which they came."""
    found: list[Any] = [None] * len(bodies)

    def post(place: int, body: Any) -> None:
        found[place] = api.post("/v1/decisions", body, **headers)

    together([partial(post, place, body) for place, body in enumerate(bodies)])
    return found


def named(name: str) -> Any:
    return asking(TRANSFER | {"transaction_id": name})


def test_many_cost_as_many_round_trips_as_one(
    alice: Api, valkey: Valkey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    alice.post("/v1/decisions", HONEST)  # the gate has loaded the key
    before = valkey.round_trips
    with django_assert_num_queries(0):
        found = posted(alice, *(named(f"t{one}") for one in range(16)))
    assert [one.json()["transaction_id"] for one in found] == [f"t{one}" for one in range(16)]
    assert valkey.round_trips - before == 2


def test_the_same_facts_at_once_are_recorded_and_billed_once(alice: Api, stored: Any, counted: Any) -> None:
    found = [one.json() for one in posted(alice, *[named("t1")] * 5)]
    assert sorted(one["status"] for one in found) == ["duplicate"] * 4 + ["new"]
    assert sum(one["billed_units"] for one in found) == 1
    assert len({one["id"] for one in found}) == 1
    assert (stored(alice), counted(alice)) == (1, 1)


def test_of_one_idempotency_key_at_once_one_is_answered(alice: Api, stored: Any, counted: Any) -> None:
    found = posted(alice, *[HONEST] * 3, idempotency_key="k1")
    assert sorted(one.status_code for one in found) == [200, 409, 409]
    assert (stored(alice), counted(alice)) == (1, 1)


def test_a_refused_one_spoils_no_other(alice: Api, bob: Api) -> None:
    found = posted(alice, named("t1"), b"{", named("t2"), asking({}))
    assert [one.status_code for one in found] == [200, 400, 200, 422]


def test_each_hears_what_its_own_server_says(valkey: Valkey) -> None:
    heard: list[str] = []

    def ask(server: Valkey, said: str) -> None:
        try:
            heard.append(server.run_together(ECHO, [], [said]).decode())
        except Away:
            heard.append(f"{said} is away")

    together([partial(ask, valkey, "a"), partial(ask, NOBODY, "b"), partial(ask, valkey, "c")])
    assert heard == ["a", "b is away", "c"]


def test_a_script_that_fails_fails_for_who_asked_it(valkey: Valkey) -> None:
    heard: list[str] = []

    def ask(script: Script) -> None:
        try:
            heard.append(valkey.run_together(script, [], ["well"]).decode())
        except Exception as failure:
            heard.append(type(failure).__name__)

    together([partial(ask, Script("return redis.call('FROB')")), partial(ask, ECHO)])
    assert heard == ["ResponseError", "well"]


def test_outside_of_company_it_is_a_round_trip_of_its_own(valkey: Valkey) -> None:
    assert valkey.run_together(ECHO, [], ["alone"]) == b"alone"


@pytest.mark.parametrize("number", [0, 1])
def test_company_may_be_small(valkey: Valkey, number: int) -> None:
    heard: list[Any] = []
    together([lambda: heard.append(valkey.run_together(ECHO, [], ["one"]))] * number)
    assert heard == [b"one"] * number


def said_of(answer: Any) -> dict[str, Any]:
    """What is the same from call to call."""
    return {name: value for name, value in answer.json().items() if name not in UNLIKE}


def test_a_model_is_asked_once_for_all_and_says_of_each_what_it_says_of_it_alone(
    alice: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [
        asking(TRANSFER | {"nameOrig": f"C{one}", "nameDest": f"C9{one}", "amount": 1000.0 * one, "step": one})
        for one in range(1, 9)
    ]
    payments = [
        {"schema": "payments", "transaction": {"amount": 5.0 * one, "user_id": f"U{one}", "merchant_id": f"M{one}"}}
        for one in range(1, 4)
    ]
    rows: list[int] = []
    asked = LoadedModel.margins

    def margins(model: LoadedModel, features: Any) -> list[float]:
        rows.append(len(features))
        return asked(model, features)

    monkeypatch.setattr(LoadedModel, "margins", margins)
    tested = {"dry_run": True}
    alone = [said_of(alice.post("/v1/decisions", body | tested)) for body in [*bodies, *payments]]
    assert rows == [1] * 11
    rows.clear()
    assert [said_of(one) for one in posted(alice, *(body | tested for body in [*bodies, *payments]))] == alone
    assert rows == [8, 3]


def test_what_fails_for_all_is_asked_for_each_alone() -> None:
    heard: list[Any] = []

    def halved(things: Sequence[int]) -> list[int]:
        if any(thing % 2 for thing in things):
            raise ValueError("odd")
        return [thing // 2 for thing in things]

    def ask(thing: int) -> None:
        try:
            heard.append(made(halved, thing))
        except ValueError as failure:
            heard.append(str(failure))

    together([partial(ask, thing) for thing in (4, 5, 6)])
    assert heard == [2, "odd", 3]


def test_what_is_made_here_comes_before_the_round_trip_all_wait_for(valkey: Valkey) -> None:
    calls: list[list[str]] = []

    def spelled(things: Sequence[str]) -> Sequence[str]:
        calls.append(list(things))
        return [thing.upper() for thing in things]

    heard: list[bytes] = []

    def ask(said: str, times: int) -> None:
        for _ in range(times):
            said = made(spelled, said)
        heard.append(valkey.run_together(ECHO, [], [said]))

    before = valkey.round_trips
    together([partial(ask, "a", 2), partial(ask, "b", 0), partial(ask, "c", 1)])
    assert (heard, calls) == ([b"A", b"b", b"C"], [["a", "c"], ["A"]])
    assert valkey.round_trips - before == 1
