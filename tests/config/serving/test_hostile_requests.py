"""What nobody should send, through the real server: the API's addresses and the portal's pages alike."""

import json

import pytest

from config.serving import limits
from tests import hostile
from tests.cast import Api
from tests.config.serving.sockets import Answer, Peer, ask

BODY = json.dumps(
    {"schema": "payments", "dry_run": True, "transaction": {"amount": 1.5, "user_id": "U", "merchant_id": "M"}}
)


@pytest.fixture
def key(alice: Api) -> str:
    assert alice.player
    return alice.player.text


def request(method: str, target: str, key: str, *more: str, body: str = "") -> bytes:
    """A request as bytes; what is no ASCII goes as it is."""
    lines = [
        f"{method} {target} HTTP/1.1",
        "Host: localhost",
        f"X-API-Key: {key}",
        f"Content-Length: {len(body)}",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


def in_words(answer: Answer) -> bool:
    """Whether an answer is no fault of ours, and says what is wrong where something is."""
    return answer.status < 400 or (answer.status < 500 and bool(answer.body.strip()))


PLACES = ("/v1/decisions/", "/v1/invoices/", "/static/", "/docs", "/v1/invoices?cursor=")
TARGETS = [
    *(place + value for place in PLACES for value in hostile.ENCODED),
    "/v1/decisions?\xff\xfe", "/\xff", "//", "/..", "/v1/../v1/usage", "/%2e%2e/", "/v1/decisions?" + "a=1&" * 1_500,
]  # fmt: skip


def test_targets(api: str, key: str) -> None:
    for target in TARGETS:
        answer = ask(api, request("GET", target, key))
        assert in_words(answer), (target[:80], answer)


@pytest.mark.parametrize("path", ["/v1/decisions?limit=1&schema=paysim", "/docs?x=1", "/health?x=1"])
@pytest.mark.parametrize(("kind", "refused"), hostile.CONTENT_TYPES.items())
def test_a_charset_changes_nothing(api: str, key: str, path: str, kind: str, refused: str | None) -> None:
    """Python's codec of that name would be asked to read the query."""
    answer = ask(api, request("GET", path, key, f"Content-Type: {kind.format('application/json')}"))
    assert answer.status == (400 if refused else 200), answer
    assert not refused or refused in answer.body.decode()


@pytest.mark.parametrize(("kind", "refused"), hostile.CONTENT_TYPES.items())
def test_a_body_is_utf_8_whatever_is_said_of_it(api: str, key: str, kind: str, refused: str | None) -> None:
    said = f"Content-Type: {kind.format('application/json')}"
    answer = ask(api, request("POST", "/v1/decisions?x=1", key, said, body=BODY))
    assert answer.status == (400 if refused else 200), answer


@pytest.mark.parametrize("path", ["/v1/usage", "/v1/decisions", "/docs", "/"])
@pytest.mark.parametrize("door", ["api", "portal"])
def test_headers(request_door: str, key: str, path: str) -> None:
    for name in hostile.READ:
        for value in hostile.HEADERS[::3]:
            if name in ("Host", "Content-Length"):
                continue
            answer = ask(request_door, request("GET", path, key, f"{name}: {value}"))
            assert in_words(answer), (name, value[:60], answer)


@pytest.fixture
def request_door(door: str, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(door))


@pytest.mark.parametrize("door", ["api", "portal"])
@pytest.mark.parametrize("host", ["", "\xff", "a b", "[", "localhost:x", "a" * 5_000, "%00", "localhost,localhost"])
def test_hosts_that_are_none_of_ours(request_door: str, door: str, host: str) -> None:
    answer = ask(request_door, f"GET /v1/usage HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
    assert in_words(answer) and answer.status >= 400, answer


@pytest.mark.parametrize("door", ["api", "portal"])
@pytest.mark.parametrize("path", ["/health", "/", "/admin/login/", "/v1/decisions"])
def test_methods(request_door: str, key: str, path: str) -> None:
    for method in hostile.METHODS:
        if method == "CONNECT":  # asks for a tunnel: the connection ends
            continue
        with Peer(request_door) as one:
            one.send(request(method, path, key))
            answer = one.answer(head_only=method == "HEAD")
            assert answer.status < 500, (method, answer)
            assert answer.status != 405 or "GET" in answer.headers["allow"] or "POST" in answer.headers["allow"]


@pytest.mark.parametrize("target", ["/v1/usage?" + "a=1&" * 1_500, "/admin/?" + "a=1&" * 1_500, "/?" + "a=1&" * 1_500])
@pytest.mark.parametrize("door", ["api", "portal"])
def test_fifteen_hundred_parameters(request_door: str, key: str, target: str) -> None:
    for kind in ("application/json", "application/json; charset=utf-8"):
        answer = ask(request_door, request("GET", target, key, f"Content-Type: {kind}"))
        assert in_words(answer), answer


@pytest.mark.parametrize("door", ["api", "portal"])
def test_the_server_goes_on_after_all_of_it(request_door: str) -> None:
    assert limits.HEAD_BYTES and ask(request_door, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 200
