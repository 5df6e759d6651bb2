"""Over a real server with the API's own settings: pages with their assets, bodies in chunks, callers behind a proxy."""

import http.client
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from apps.scoring.serving.runtime import models
from tests.api.bodies import HONEST
from tests.cast import Api, Cast, new_key
from tests.pace import within

Answer = tuple[int, dict[str, str], bytes]


def call(live: str, method: str, path: str, body: object = None, **headers: str) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(live).netloc, timeout=within(10))
    try:
        connection.request(method, path, body, {name.replace("_", "-"): said for name, said in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/errors"])
def test_pages_and_all_they_load_come_from_here(live: str, path: str) -> None:
    status, headers, page = call(live, "GET", path)
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', page.decode())
    assert not [address for address in loaded if "//" in address]
    assert {call(live, "GET", address)[0] for address in loaded} == {200}


def test_static_files_have_their_types(live: str) -> None:
    assert call(live, "GET", "/static/palisade.css")[1]["content-type"].startswith("text/css")
    assert "javascript" in call(live, "GET", "/static/swagger.js")[1]["content-type"]


def test_decision_over_the_wire(live: str, alice: Api, cast: Cast) -> None:
    status, headers, body = call(
        live, "POST", "/v1/decisions/", json.dumps(HONEST), X_API_Key=cast.alice.text, Content_Type="application/json"
    )
    assert (status, headers["content-type"]) == (200, "application/json")
    assert int(headers["content-length"]) == len(body)
    assert alice.get(f"/v1/decisions/{json.loads(body)['id']}").content == body


def pieces(size: int) -> Iterator[bytes]:
    text = json.dumps(HONEST | {"more": "x" * size}).encode()
    return (text[at : at + 10_000] for at in range(0, len(text), 10_000))


@pytest.mark.parametrize(("size", "status"), [(50_000, 200), (2_000_000, 413)])
def test_a_body_in_chunks_is_read_and_limited(live: str, cast: Cast, size: int, status: int) -> None:
    answer = call(
        live, "POST", "/v1/decisions", pieces(size), X_API_Key=cast.alice.text, Content_Type="application/json"
    )
    assert answer[0] == status


def test_a_large_batch_fits_where_a_single_request_does_not(live: str, cast: Cast) -> None:
    body = {"schema": "paysim", "transactions": [HONEST["transaction"] | {"more": "x" * 3_000}] * 1_000}
    headers = {"X_API_Key": cast.alice.text, "Content_Type": "application/json"}
    assert call(live, "POST", "/v1/decisions/batch", json.dumps(body), **headers)[0] == 200
    assert call(live, "POST", "/v1/decisions", json.dumps(body), **headers)[0] == 413


@pytest.mark.parametrize(
    ("forwarded", "status"), [("10.1.2.3", 200), ("203.0.113.5", 403), ("10.1.2.3, 203.0.113.5", 403)]
)
def test_a_trusted_proxy_says_who_calls(live: str, cast: Cast, forwarded: str, status: int) -> None:
    _, text = new_key(cast.alice.tenant, networks=["10.0.0.0/8"])
    assert call(live, "GET", "/v1/usage", X_API_Key=text, X_Forwarded_For=forwarded)[0] == status
    assert call(live, "GET", "/v1/usage", X_API_Key=text)[0] == 403


@pytest.mark.parametrize("path", ["/health", "/ready", "/v1/usage"])
def test_head_is_get_without_a_body(live: str, cast: Cast, path: str) -> None:
    status, _, body = call(live, "HEAD", path, X_API_Key=cast.alice.text)
    assert (status, body) == (200, b"")


def test_ready_names_every_dependency(live: str) -> None:
    told = json.loads(call(live, "GET", "/ready")[2])
    assert told["status"] == "ready"
    named = {f"model:{schema}/{name}" for schema, known in models().items() for name in known}
    assert told["dependencies"] == dict.fromkeys({"postgres", "valkey"} | named, "ok")
    assert len(named) == 16


def test_metrics_count_requests_by_endpoint(live: str, cast: Cast) -> None:
    call(live, "GET", "/v1/usage", X_API_Key=cast.alice.text)
    assert b'palisade_request_seconds_count{endpoint="usage",status="200"}' in call(live, "GET", "/metrics")[2]
