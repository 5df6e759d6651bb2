"""Bodies on their way take a bounded part of a worker's memory, and no sender more than a share of that."""

import pytest

from config.serving import limits
from config.serving.limits import MEGABYTE
from config.serving.worker import Bodies
from tests.cast import Api
from tests.config.serving.sockets import Peer

KNOWN, UNKNOWN = (True, "a key"), (False, "198.51.100.7")


@pytest.mark.parametrize(("holder", "most"), [(KNOWN, limits.KNOWN_BODIES), (UNKNOWN, limits.UNKNOWN_BODIES)])
def test_a_sender_may_hold_its_share(holder: tuple[bool, str], most: int) -> None:
    bodies = Bodies(limits.KNOWN_BODIES, limits.UNKNOWN_BODIES)
    assert bodies.take(holder, most // limits.SHARE)
    assert not bodies.take(holder, 1)
    bodies.give_back(holder, most // limits.SHARE + 1)
    assert bodies.take(holder, most // limits.SHARE)


def test_all_senders_together_may_hold_the_sum() -> None:
    bodies = Bodies(limits.KNOWN_BODIES, limits.UNKNOWN_BODIES)
    assert all(bodies.take((True, f"key {n}"), limits.KNOWN_BODIES // 16) for n in range(16))
    assert not bodies.take((True, "one more"), 1)
    assert bodies.take(UNKNOWN, MEGABYTE)  # nobody with a key pays for those without, nor the other way round


def test_whose_bodies_are_too_many_is_told_to_come_back(api: str, alice: Api, bob: Api) -> None:
    """Two bodies of 20 MB under one key are more than its 32; another key's goes on."""
    size = 20 * MEGABYTE
    assert alice.player and bob.player

    def head(key: str) -> bytes:
        return (
            f"POST /v1/decisions/batch HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
        ).encode()

    with Peer(api) as first, Peer(api) as second, Peer(api) as other:
        first.send(head(alice.player.text) + b" " * (size - 1))
        second.send(head(alice.player.text))
        second.send_as_much_as_goes(b" " * (size - 1))
        refused = second.answer()
        assert (refused.status, refused.code) == (503, "bodies_waiting")
        assert int(refused.headers["retry-after"]) >= 1
        other.send(head(bob.player.text) + b" " * (size - 1) + b"{")
        assert other.answer().status == 400  # it was received whole, and is no JSON
        first.send(b"{")
        assert first.answer().status == 400
