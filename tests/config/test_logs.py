"""The log: an object a line with whose request it was about, and no secret in it, wherever it came from."""

import io
import json
import logging
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from apps.api.usage import UsageView
from apps.log_context import ANSWERING, NOBODY, Answering
from config.logs import JsonLine, MaskedLine
from tests.api.bodies import HONEST
from tests.cast import Api, Cast
from tests.live import serving
from tests.monitoring.house import call

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJrZXkiOjd9." + "s" * 43
#: A secret, as it stands in a text, and what must not be left of it.
SECRETS = {
    "API key": ("pk_live_ab12cd" + "Z9" * 16, "Z9Z9"),
    "test key": ("pk_test_ab12cd" + "Z9" * 16, "Z9Z9"),
    "card number": ("4242 4242 4242 4242", "4242 4242 4242"),
    "token": (JWT, "sssss"),
    "authorization": ("Authorization: Bearer abc.def-123", "abc.def"),
    "basic": ("authorization: basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "webhook's secret": ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ"),
    "Stripe's key": ("sk_live_51HabcdefGHIJKL", "51Habc"),
    "client secret": ("pi_3N_secret_abcdefGHIJ", "abcdefGH"),
    "chat's address": ("https://hooks.slack.com/services/T000/B000/XXXXsecret", "XXXXsecret"),
    "password of a store": ("redis://:hunter22pass@valkey:6379/0", "hunter22pass"),
    "password of a database": ("postgresql://palisade:hunter22pass@db/palisade", "hunter22pass"),
    "Django's secret": (settings.SECRET_KEY, settings.SECRET_KEY),
    "pepper": (settings.KEY_PEPPER, settings.KEY_PEPPER),
    "token's secret": (settings.TOKEN_SECRET, settings.TOKEN_SECRET),
    "sealing key": (settings.SEALING_KEYS[0], settings.SEALING_KEYS[0]),
}
LINES = {"text": MaskedLine("%(levelname)s %(name)s: %(message)s"), "json": JsonLine()}


def record(message: str, *arguments: object, failure: Exception | None = None) -> logging.LogRecord:
    told = (type(failure), failure, failure.__traceback__) if failure else None
    return logging.LogRecord("apps.some", logging.ERROR, __file__, 1, message, arguments, told)


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
@pytest.mark.parametrize(("secret", "left"), SECRETS.values(), ids=SECRETS.keys())
def test_no_line_shows_a_secret_wherever_it_stands(line: logging.Formatter, secret: str, left: str) -> None:
    failure = ValueError(f"cannot use '{secret}'")
    for one in (
        record(f"said {secret} to us"),
        record("said %s to %r", secret, {"it": secret}),
        record("failed", failure=failure),
    ):
        assert left not in line.format(one)


def test_what_stays_of_a_key_says_whose_it_is() -> None:
    assert LINES["text"].format(record("pk_live_ab12cd" + "Z9" * 16)).endswith("pk_live_ab12cd…")


@pytest.mark.parametrize(
    "text", ["a request took 12.5 ms", "https://example.com:8000/path", "tenant_key_secret is away"]
)
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert LINES["text"].format(record(text)).endswith(text)


def test_an_object_a_line_with_its_traceback_and_nothing_unknown() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as failure:
        line = LINES["json"].format(record("it %s", "failed", failure=failure))
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["level"], entry["logger"], entry["message"]) == ("ERROR", "apps.some", "it failed")
    assert entry["exception"].startswith("Traceback") and entry["exception"].endswith("ValueError: two\nlines")
    assert entry["time"].endswith("Z")
    assert not {"request_id", "tenant", "key_id"} & entry.keys()


def test_whose_request_it_is_about_is_told() -> None:
    before = ANSWERING.set(Answering("req_1", "acme", 7))
    entry = json.loads(LINES["json"].format(record("some")))
    ANSWERING.reset(before)
    assert (entry["request_id"], entry["tenant"], entry["key_id"]) == ("req_1", "acme", 7)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the process logs meanwhile, as JSON."""
    stream, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLine())
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


def entries(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


@pytest.mark.django_db
def test_a_fault_in_a_request_names_request_tenant_and_key_and_shows_no_key(
    alice: Api, cast: Cast, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(view: UsageView, request: Any) -> None:
        view.admit_only(request)
        raise RuntimeError(f"headers were {dict(request.headers)}")

    monkeypatch.setattr(UsageView, "get", fail)
    name = f"req_{secrets.token_hex(4)}"
    assert alice.get("/v1/usage", x_request_id=name).status_code == 500
    (entry,) = [one for one in entries(lines) if one["logger"] == "apps.api.problems"]
    assert entry["request_id"] == name
    assert (entry["tenant"], entry["key_id"]) == (cast.alice.tenant.schema_name, cast.alice.live.pk)
    assert cast.alice.text not in lines.getvalue()
    assert ANSWERING.get() == NOBODY


@pytest.mark.django_db(transaction=True)
def test_a_line_a_request_where_it_is_asked_for(alice: Api, cast: Cast, lines: io.StringIO) -> None:
    log = logging.getLogger("palisade.requests")
    level = log.level
    log.setLevel(logging.INFO)
    try:
        alice.post("/v1/decisions", HONEST, x_request_id="mine")
        alice.with_key("pk_live_no").get("/v1/usage")
    finally:
        log.setLevel(level)
    decided, refused = [one for one in entries(lines) if one["logger"] == "palisade.requests"]
    assert decided["message"].startswith("POST /v1/decisions 200 ")
    assert (decided["request_id"], decided["key_id"]) == ("mine", cast.alice.live.pk)
    assert refused["message"].startswith("GET /v1/usage 401 ")
    assert "tenant" not in refused


@pytest.mark.django_db(transaction=True)
def test_a_server_of_its_own_writes_nothing_but_objects(cast: Cast, capfd: pytest.CaptureFixture[str]) -> None:
    with serving("api", PALISADE_LOG_FORMAT="json", PALISADE_LOG_REQUESTS="1") as address:
        call(address, "/v1/usage", None, cast.alice.text)
        call(address, f"/v1/usage?key={cast.alice.text}", None, "pk_live_no")
    said = capfd.readouterr().err
    found = [json.loads(line) for line in said.splitlines()]
    asked = [one for one in found if one["logger"] == "palisade.requests"]
    assert [one["message"].rpartition(" ms")[0].rsplit(" ", 1)[0] for one in asked] == [
        "GET /v1/usage 200", "GET /v1/usage 401"
    ]  # fmt: skip
    assert asked[0]["key_id"] == cast.alice.live.pk
    assert cast.alice.text not in said
