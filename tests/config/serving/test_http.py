"""What the server makes of requests, byte by byte: right ones in every form, wrong ones in every form."""

import json
import socket

import pytest

from apps.api_keys import keys
from config.serving import limits
from tests.cast import Api
from tests.config.serving.sockets import Answer, Peer, ask

BODY = json.dumps(
    {
        "schema": "payments",
        "dry_run": True,
        "transaction": {"amount": 12.5, "user_id": "U1", "merchant_id": "M1", "merchant_category": "grocery"},
    }
).encode()


def post(key: str, *, body: bytes = BODY, more: str = "", path: str = "/v1/decisions") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-API-Key: {key}\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(key: str, *sizes: int) -> bytes:
    head = (
        "POST /v1/decisions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-API-Key: {key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    pieces, rest = [], BODY
    for size in (*sizes, len(BODY)):
        piece, rest = rest[:size], rest[size:]
        if piece:
            pieces.append(b"%x\r\n%b\r\n" % (len(piece), piece))
    return head + b"".join(pieces) + b"0\r\n\r\n"


@pytest.fixture
def key(alice: Api) -> str:
    assert alice.player
    return alice.player.text


def answered(answer: Answer) -> bool:
    return answer.status == 200 and json.loads(answer.body)["object"] == "decision"


def test_a_body_may_come_in_any_pieces(api: str, key: str) -> None:
    whole = post(key)
    for step in (1, 7, 100, len(whole)):
        with Peer(api) as one:
            for start in range(0, len(whole), step):
                one.send(whole[start : start + step])
            assert answered(one.answer())


@pytest.mark.parametrize("sizes", [(), (1,), (10, 1, 60)])
def test_a_body_may_come_in_chunks(api: str, key: str, sizes: tuple[int, ...]) -> None:
    assert answered(ask(api, chunked(key, *sizes)))


def test_requests_sent_ahead_are_answered_in_their_order(api: str, key: str) -> None:
    health = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Peer(api) as one:
        one.send(post(key) + health + b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" + post(key))
        assert [one.answer().status for _ in range(4)] == [200, 200, 404, 200]


@pytest.mark.parametrize("door", ["api", "portal"])
def test_what_was_sent_before_a_malformed_request_is_answered_before_its_refusal(
    request: pytest.FixtureRequest, door: str
) -> None:
    with Peer(request.getfixturevalue(door)) as one:
        one.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3 + b"hello\r\n\r\n")
        assert [one.answer().status for _ in range(4)] == [200, 200, 200, 400]
        assert one.is_closed()


def test_no_more_are_answered_than_may_be_sent_ahead(api: str) -> None:
    with Peer(api) as one:
        one.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        told = [one.answer() for _ in range(limits.PIPELINED + 2)]
        assert {answer.status for answer in told[:-1]} == {200}
        assert (told[-1].status, told[-1].code) == (400, "request_malformed")
        assert one.is_closed()


@pytest.mark.parametrize("door", ["api", "portal"])
def test_who_says_that_nothing_follows_is_answered_and_let_go(request: pytest.FixtureRequest, door: str) -> None:
    with Peer(request.getfixturevalue(door)) as one:
        one.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        one.socket.shutdown(socket.SHUT_WR)
        assert one.answer().status == 200
        assert one.is_closed()


@pytest.mark.parametrize("door", ["api", "portal"])
def test_who_would_rather_speak_another_protocol_is_answered_in_this_one(
    request: pytest.FixtureRequest, door: str
) -> None:
    """Java's client asks so on every first request."""
    with Peer(request.getfixturevalue(door)) as one:
        one.send(
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n\r\n"
        )
        assert one.answer().status == 200
        assert one.is_closed()


def test_pages_sent_ahead_are_answered_in_their_order(portal: str) -> None:
    with Peer(portal) as one:
        one.send(b"".join(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path for path in (b"/health", b"/no") * 20))
        assert [one.answer().status for _ in range(40)] == [200, 404] * 20


def test_who_waits_for_leave_to_send_is_given_it(api: str, key: str) -> None:
    head, _, body = post(key, more="Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    with Peer(api) as one:
        one.send(head + b"\r\n\r\n")
        assert one.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        one.send(body)
        assert answered(one.answer())


def test_head_is_answered_without_a_body(api: str) -> None:
    with Peer(api) as one:
        one.send(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first, second = one.answer(head_only=True), one.answer()
        assert (first.status, first.headers["content-length"]) == (200, str(len(second.body)))


@pytest.mark.parametrize(
    ("said", "closes"),
    [
        ("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", True),
        ("GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n", True),
    ],
)
def test_a_connection_is_closed_when_asked(api: str, said: str, closes: bool) -> None:
    with Peer(api) as one:
        one.send(said.encode())
        assert one.answer().status == 200
        assert one.is_closed() is closes


def test_a_whole_url_is_a_path_too(api: str) -> None:
    assert ask(api, b"GET http://localhost/health?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200


def test_large_answers_come_whole(api: str) -> None:
    answer = ask(api, b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert json.loads(answer.body)["openapi"].startswith("3.1")
    answer = ask(
        api, b"GET /static/drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert (answer.status, len(answer.body)) == (200, int(answer.headers["content-length"]))


def test_headers_with_an_underscore_never_count(api: str) -> None:
    """X_API_Key would be X-API-Key in an environment."""
    said = post("pk_live_x").replace(b"X-API-Key", b"X_API_Key")
    assert ask(api, said).code == "key_missing"


def test_two_lines_of_a_header_are_one_list(api: str, key: str) -> None:
    """Two keys are none of them."""
    assert ask(api, post(key, more=f"X-API-Key: {key}\r\n")).code == "key_malformed"


MALFORMED = {
    "no_http": b"hello\r\n\r\n",
    "a_tls_hello": bytes.fromhex("16030100f4010000f00303") + b"\0" * 60,
    "an_unknown_method": b"FROB / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no_version": b"GET /health\r\nHost: localhost\r\n\r\n",
    "a_header_without_a_colon": b"GET /health HTTP/1.1\r\nHost localhost\r\n\r\n",
    "a_header_with_nul": b"GET /health HTTP/1.1\r\nHost: local\0host\r\n\r\n",
    "a_length_that_is_no_number": b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: ten\r\n\r\n",
    "a_negative_length": b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "two_lengths": b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a_length_and_chunks": b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a_chunk_without_a_size": b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a_target_that_is_none": b"GET health HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED)
def test_what_is_not_http_is_told_so_and_cut(api: str, said: bytes) -> None:
    with Peer(api) as one:
        one.send(said)
        answer = one.answer()
        assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json") or (
            answer.status == 401  # its head was refused before the body's fault was met
        )
        assert one.is_closed()


HEADS_TOO_LARGE = {
    "one_long_header": b"X-Long: " + b"a" * limits.HEAD_BYTES + b"\r\n\r\n",
    "one_long_header_without_an_end": b"X-Long: " + b"a" * limits.HEAD_BYTES,
    "many_headers": b"".join(b"X-%d: 1\r\n" % n for n in range(limits.HEADERS + 1)) + b"\r\n",
    "a_long_path": b"",
}


@pytest.mark.parametrize("rest", HEADS_TOO_LARGE.values(), ids=HEADS_TOO_LARGE)
def test_a_head_has_its_bounds(api: str, rest: bytes) -> None:
    path = b"/health" if rest else b"/" + b"a" * limits.HEAD_BYTES
    answer = ask(api, b"GET %b HTTP/1.1\r\nHost: localhost\r\n%b" % (path, rest or b"\r\n"))
    assert (answer.status, answer.code) == (431, "head_too_large")


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_beyond_its_limit_is_refused_before_it_has_come(api: str, key: str, announced: bool) -> None:
    length = f"Content-Length: {2 * limits.MEGABYTE}" if announced else "Transfer-Encoding: chunked"
    head = f"POST /v1/decisions HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n{length}\r\n\r\n".encode()
    with Peer(api) as one:
        one.send(head)
        if not announced:
            one.send(b"110000\r\n" + b" " * 0x110000)
        answer = one.answer()
        assert (answer.status, answer.code) == (413, "body_too_large")


def test_a_key_nobody_has_is_refused_before_its_body_has_come(api: str) -> None:
    head = post(keys.generate("abc123", livemode=True), body=b"[" * 5_000_000).partition(b"\r\n\r\n")[0]
    with Peer(api) as one:
        one.send(head + b"\r\n\r\n" + b"[")
        assert one.answer().code == "key_unknown"


def test_a_key_nobody_has_is_refused_before_its_body_is_read(api: str) -> None:
    """All of it comes at once: broken as it is, nobody looks."""
    answer = ask(api, post(keys.generate("abc123", livemode=True), body=b"[" * 20_000))
    assert answer.code == "key_unknown"


def test_who_sends_on_after_a_refusal_still_reads_it(api: str) -> None:
    body = b"[" * 5_000_000
    with Peer(api) as one:
        one.send(post(keys.generate("abc123", livemode=True), body=body)[:1000])
        one.send(body[: 4 * limits.MEGABYTE])
        assert one.answer().code == "key_unknown"
