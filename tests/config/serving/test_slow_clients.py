"""Nobody is held up by clients that are slow to send or to read; those are cut, and told why where they listen."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median

import httpx
import pytest

from apps.api_keys import keys
from config.serving import limits
from tests.cast import Api
from tests.config.serving.sockets import Crowd, Honest, Peer
from tests.pace import within
from tests.together import together

SLOW = 200
SECONDS = limits.SECONDS + 2  # long enough that the crowd is cut and comes back

#: A key that nobody has, and whose checksum is right.
MADE_UP = keys.generate("abc123", livemode=True)
HEAD = "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{}\r\n\r\n{{"
SLOW_BODIES = {
    "a_body_under_a_made_up_key": HEAD.format(
        "/v1/decisions", f"Authorization: Bearer {MADE_UP}\r\nContent-Length: 500"
    ),
    "a_body_without_a_key": HEAD.format("/v1/decisions", "Content-Length: 500"),
    "a_chunked_body": HEAD.format("/predict", "Transfer-Encoding: chunked").replace("{", "5\r\n{"),
    "a_webhook_without_a_key": HEAD.format("/stripe/webhook", "Content-Length: 500"),
    "a_login": HEAD.format("/admin/login/", "Content-Length: 500"),
    "half_a_head": "POST /v1/decisions HTTP/1.1\r\nHost: localhost\r\nX-",
    "half_a_first_line": "GET /heal",
}
ASKS_MUCH = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20


def with_key(api: Api) -> bytes:
    """A head with a key somebody has."""
    return HEAD.format("/v1/decisions", f"X-API-Key: {api.player.text}\r\nContent-Length: 500").encode()  # type: ignore[union-attr]


def dry_run(key: str) -> Callable[[httpx.Client], int]:
    body = {
        "schema": "payments", "dry_run": True,
        "transaction": {"amount": 12.5, "user_id": "U1", "merchant_id": "M1", "merchant_category": "grocery"},
    }  # fmt: skip
    return lambda client: client.post("/v1/decisions", json=body, headers={"X-API-Key": key}).status_code


def held_up(clients: Honest) -> bool:
    """Whether anybody waited for a slow one's deadline. On a busy machine all wait for the processor, too."""
    return max(clients.seconds) > within(limits.SECONDS / 2) or median(clients.seconds) > within(limits.SECONDS / 10)


@pytest.mark.parametrize("reading", [True, False], ids=["slow_to_send", "slow_to_read"])
def test_two_hundred_slow_clients_hold_up_no_decision(api: str, alice: Api, reading: bool) -> None:
    beginnings = [*(text.encode() for text in SLOW_BODIES.values()), with_key(alice)] if reading else [ASKS_MUCH]
    honest = dry_run(alice.player.text)  # type: ignore[union-attr]
    with Crowd(api, SLOW, beginnings, reading=reading) as crowd:
        clients = Honest(honest, api, number=4).during(SECONDS)
        assert crowd.were_cut()
    limited = [failure for failure in clients.failures if failure == "429"]
    assert clients.failures == limited  # the plan's rate: an answer like any other
    assert not held_up(clients)


def test_two_hundred_slow_clients_hold_up_no_page(portal: str) -> None:
    with Crowd(portal, SLOW, [text.encode() for text in SLOW_BODIES.values()]) as crowd:
        clients = Honest(lambda client: client.get("/health").status_code, portal, number=4).during(SECONDS)
        assert crowd.were_cut()
    assert clients.failures == []
    assert not held_up(clients)


def who_is_too_slow_is_told_so_and_cut(api: str, _: Api) -> None:
    with ExitStack() as stack:
        peers = {name: stack.enter_context(Peer(api)) for name in SLOW_BODIES}
        for name, peer in peers.items():
            peer.send(SLOW_BODIES[name].encode())
        answers = {name: peer.answer() for name, peer in peers.items()}
        assert {name: answer.status for name, answer in answers.items()} == {
            "a_body_under_a_made_up_key": 401,  # what it lacks is seen by its head, and nothing is waited for
            "a_body_without_a_key": 401,
            "a_chunked_body": 401,
            "a_webhook_without_a_key": 408,
            "a_login": 408,
            "half_a_head": 408,
            "half_a_first_line": 408,
        }
        assert {answer.headers["connection"] for answer in answers.values()} == {"close"}
        assert all(peer.is_closed() for peer in peers.values())


def a_large_body_may_take_longer_while_it_comes_at_a_fair_pace(api: str, alice: Api) -> None:
    body = b'{"schema": "payments", "dry_run": true, "transactions": [' + b" " * (4 * limits.SPAN_BYTES) + b"]}"
    key = alice.player.text  # type: ignore[union-attr]
    head = (
        f"POST /v1/decisions/batch HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with Peer(api) as one:
        one.send(head.encode())
        begun = time.monotonic()
        for start in range(0, len(body), limits.SPAN_BYTES // 4):
            one.send(body[start : start + limits.SPAN_BYTES // 4])
            time.sleep(limits.SECONDS / 8)
        assert time.monotonic() - begun > limits.SECONDS
        assert one.answer().status == 422  # an empty batch, understood as one


def a_connection_may_rest_between_two_requests(api: str, _: Api) -> None:
    with Peer(api) as one:
        for _ in range(2):
            one.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.answer().status == 200
            time.sleep(limits.SECONDS + 1)


#: Each spends its time waiting, so that they may do it side by side.
PATIENT = (
    who_is_too_slow_is_told_so_and_cut,
    a_large_body_may_take_longer_while_it_comes_at_a_fair_pace,
    a_connection_may_rest_between_two_requests,
)


def test_who_is_too_slow_is_cut_and_who_keeps_a_fair_pace_is_not(api: str, alice: Api) -> None:
    together(len(PATIENT), lambda number: PATIENT[number](api, alice))
