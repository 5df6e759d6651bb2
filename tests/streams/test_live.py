"""Streams over a real broker: what goes in comes out decided, once, whatever happens on the way."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.streams.consumer import Stream
from tests.cast import Api
from tests.streams.broker import Ground, decisions, until

pytestmark = pytest.mark.django_db(transaction=True)

Streams = Callable[..., Stream]
TRANSACTION = {
    "step": 1, "type": "TRANSFER", "amount": 180.0, "nameOrig": "C1", "oldbalanceOrg": 180.0, "newbalanceOrig": 0.0,
    "nameDest": "C2", "oldbalanceDest": 0.0, "newbalanceDest": 180.0,
}  # fmt: skip


def transaction(number: int, **fields: Any) -> dict[str, Any]:
    return TRANSACTION | {"transaction_id": f"t{number}", "nameOrig": f"C{number}", "step": number + 1} | fields


def work(stream: Stream, messages: int) -> None:
    """Until so many messages are done with."""
    done = 0

    def step() -> None:
        nonlocal done
        done += stream.step()

    until(lambda: done >= messages, step)


def test_messages_are_answered_as_calls_are_and_billed_once(
    ground: Ground, stream_of: Streams, alice: Api, drain: Callable[[], int]
) -> None:
    for number in range(40):
        ground.send(transaction(number), key=f"t{number}")
    ground.send({"schema": "paysim", "transaction": transaction(40), "model": "ensemble"})
    ground.sent()
    work(stream_of(ground), 41)
    found = ground.results()
    assert {one.key for one in found} == {f"t{number}" for number in range(41)}
    assert [one["billed_units"] for one in decisions(found)] == [1] * 41
    drain()
    for one in decisions(found)[:2]:
        assert alice.get(f"/v1/decisions/{one['id']}").json() == one
    assert alice.get("/v1/usage").json()["used"] == 41
    (again,) = [one for one in decisions(found) if one["transaction_id"] == "t7"]
    called = alice.post("/v1/decisions", {"schema": "paysim", "transaction": transaction(7)}).json()
    assert called == again | {"status": "duplicate", "billed_units": 0}
