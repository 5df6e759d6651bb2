"""What every answer carries, what is for operators alone, and that nothing is answered without TLS where we have it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client, override_settings

from apps.addresses import networks_of
from apps.api import response_headers
from config.settings import api
from tests.api.bodies import HONEST
from tests.cast import Api

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _as_the_api() -> Iterator[None]:
    with override_settings(MIDDLEWARE=api.MIDDLEWARE[1:]):  # without what takes Django's signals apart
        yield


ANSWERS = [
    ("GET", "/v1/usage", 200), ("GET", "/v1/decisions", 200), ("POST", "/v1/decisions", 200),
    ("GET", "/v1/models", 200),
    ("GET", "/v1/nothing", 404), ("PUT", "/v1/usage", 405), ("POST", "/v1/decisions/batch", 422),
    ("GET", "/v1/decisions/dec_none", 404), ("GET", "/health", 200), ("GET", "/ready", 200), ("GET", "/metrics", 200),
    ("POST", "/predict", 422), ("POST", "/stripe/webhook", 400), ("POST", "/v1/auth/token", 200),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
def test_answers_are_kept_by_nobody_and_taken_for_nothing_else(alice: Api, method: str, path: str, status: int) -> None:
    answer = alice.post(path, HONEST) if method == "POST" else alice.call(method, path)
    assert answer.status_code == status, answer.content
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


def test_refusals_without_a_key_are_kept_by_nobody_either() -> None:
    for path in ("/v1/usage", "/v1/decisions", "/models"):
        answer = Api().get(path)
        assert (answer.status_code, answer["Cache-Control"]) == (401, "no-store")


def test_drawn_answers_keep_their_style(alice: Api) -> None:
    made = alice.post("/v1/decisions", HONEST).json()
    drawn = alice.get(f"/v1/decisions/{made['id']}/explanation.svg")
    assert (drawn["Content-Type"], drawn["Cache-Control"]) == ("image/svg+xml", "no-store")
    assert "style-src 'unsafe-inline'" in drawn["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/errors", "/docs/models", "/openapi.json"])
def test_pages_may_be_kept_but_not_framed(path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 200
    assert "Cache-Control" not in answer
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]
    if "json" not in path:
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


# --- for operators ---

OPERATORS = networks_of(["127.0.0.0/8", "::1/128", "10.9.0.0/16"])


@pytest.mark.parametrize(
    ("address", "said", "trusted", "let_in"),
    [
        ("127.0.0.1", {}, [], True), ("::1", {}, [], True), ("::ffff:127.0.0.1", {}, [], True),
        ("10.9.8.7", {}, [], True), ("::ffff:10.9.8.7", {}, [], True), ("10.8.8.7", {}, [], False),
        ("203.0.113.9", {}, [], False), ("203.0.113.9", {"authorization": "Bearer the-token"}, [], True),
        ("203.0.113.9", {"authorization": "Bearer another"}, [], False),
        ("203.0.113.9", {"authorization": "Bearer é"}, [], False), ("203.0.113.9", {"authorization": ""}, [], False),
        # through a proxy on this machine, known to us or not
        ("127.0.0.1", {"x_forwarded_for": "203.0.113.9"}, [], False),
        ("127.0.0.1", {"x_forwarded_for": "127.0.0.1"}, [], False), ("127.0.0.1", {"via": "1.1 x"}, [], False),
        ("127.0.0.1", {"cf_ray": "1"}, [], False), ("127.0.0.1", {"x_forwarded_for": "10.9.8.7"}, [], False),
        ("127.0.0.1", {"x_forwarded_for": "10.9.8.7"}, ["127.0.0.0/8"], True),
        ("127.0.0.1", {"x_forwarded_for": "203.0.113.9"}, ["127.0.0.0/8"], False),
        ("127.0.0.1", {"x_forwarded_for": "127.0.0.1"}, ["127.0.0.0/8"], False),
        ("127.0.0.1", {"forwarded": "for=_hidden"}, ["127.0.0.0/8"], False),
        ("203.0.113.9", {"x_forwarded_for": "127.0.0.1"}, ["127.0.0.0/8"], False),
    ],
)  # fmt: skip
def test_metrics_and_details_are_for_operators(
    settings: Any, address: str, said: dict[str, str], trusted: list[str], let_in: bool
) -> None:
    settings.OPERATOR_NETWORKS, settings.METRICS_TOKEN = OPERATORS, "the-token"
    settings.TRUSTED_PROXIES = networks_of(trusted)
    caller = Api().calling_from(address)
    metrics, ready = caller.get("/metrics", **said), caller.get("/ready", **said)
    assert metrics.status_code == (200 if let_in else 404)
    assert (b"palisade_" in metrics.content) == let_in
    assert ready.status_code == 200
    assert set(ready.json()) == {"status", *(("dependencies", "journal_entries") if let_in else ())}
    assert caller.get("/health", **said).status_code == 200


@pytest.mark.parametrize("said", ["Bearer ", "Bearer", "", "the-token"])
def test_no_token_is_no_token(settings: Any, said: str) -> None:
    settings.METRICS_TOKEN = ""
    assert Api().calling_from("203.0.113.9").get("/metrics", authorization=said).status_code == 404


# --- behind TLS ---


@pytest.fixture
def behind_tls(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 31_536_000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    settings.TRUSTED_PROXIES = networks_of(["172.16.0.0/12"])
    monkeypatch.setattr(response_headers, "_HEADERS", response_headers._prepared())


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("172.16.0.1", {}), ("172.16.0.1", {"x_forwarded_proto": "http"}), ("127.0.0.1", {}),
        ("203.0.113.9", {"x_forwarded_proto": "https"}), ("172.16.0.1", {"x_forwarded_proto": "https, http"}),
    ],
)  # fmt: skip
def test_keys_in_the_open_are_refused_and_pages_redirected(
    behind_tls: None, alice: Api, address: str, said: dict[str, str]
) -> None:
    caller = alice.calling_from(address)
    for answer in (caller.post("/v1/decisions", HONEST, **said), caller.get("/v1/usage", **said)):
        assert (answer.status_code, answer.get("Location")) in (
            (403, None),
            (301, f"https://testserver{answer.request['PATH_INFO']}"),
        )
        if answer.status_code == 403:
            assert answer.json()["code"] == "tls_required"
    page = caller.get("/docs", **said)
    assert (page.status_code, page["Location"]) == (301, "https://testserver/docs")
    assert caller.get("/health", **said).status_code == 200


def test_what_came_by_tls_is_answered_and_says_to_stay_there(behind_tls: None, alice: Api) -> None:
    caller = alice.calling_from("172.16.0.1")
    for path in ("/v1/usage", "/docs"):
        answer = caller.get(path, x_forwarded_proto="https")
        assert answer.status_code == 200
        assert answer["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def test_nothing_is_said_of_tls_where_there_is_none(alice: Api) -> None:
    assert "Strict-Transport-Security" not in alice.get("/v1/usage")
