"""401: who are you? Refused before anything else is looked at, at once and everywhere."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.api.documentation import OPENAPI
from apps.api_keys import keys
from apps.api_keys.models import ApiKey
from apps.api_keys.services import get_gate, invalidate_keys, revoke_key, rotate_key
from apps.valkey import Valkey
from tests.api.bodies import HONEST
from tests.cast import Api, Cast, new_key


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_no_key() -> None:
    answer = Api().post("/v1/decisions", HONEST)
    assert refused(answer) == (401, "key_missing")
    assert answer["WWW-Authenticate"] == 'Bearer realm="palisade"'


@pytest.mark.parametrize(
    "said", ["x", "pk_live_", "pk_live_" + "0" * 39, "sk_live_" + "0" * 39, "é" * 47, "0" * 10_000]
)
def test_malformed_key_is_refused_without_asking_anybody(
    said: str, valkey: Valkey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    before = valkey.round_trips
    with django_assert_num_queries(0):
        assert refused(Api(key=said.encode().decode("latin-1")).post("/v1/decisions", HONEST)) == (401, "key_malformed")
    assert valkey.round_trips == before


@pytest.mark.parametrize("place", range(0, keys.KEY_LENGTH, 5))
def test_a_single_wrong_character_is_noticed(cast: Cast, place: int) -> None:
    text = cast.alice.text
    wrong = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]
    assert refused(Api(key=wrong).post("/v1/decisions", HONEST)) == (401, "key_malformed")


#: What is wrong with a key, as it is told; `KEY` stands for one that is right.
HINTS = [
    ("Basic YWxpY2U6cHc=", "The Authorization header says Basic: send Authorization: Bearer <key>"),
    ("Token KEY", "The Authorization header says Token: send"),
    ("KEY", "The word Bearer is missing: send Authorization: Bearer <key>."),
    ("Bearer sk_test_4eC39HqLyjWDarjtT1zdp7dc", "A key begins with pk_live_ or pk_test_; what was sent does not."),
    ("Bearer KEYx", "A key has 47 characters + 1"),
    ("Bearer KEY*", "A character of the key is wrong."),
]


@pytest.mark.parametrize(("said", "hint"), HINTS, ids=[said[:12] for said, _ in HINTS])
def test_the_hint_fits_what_was_sent(cast: Cast, said: str, hint: str) -> None:
    text = cast.alice.text
    said = said.replace("KEY*", text[:-1] + "*").replace("KEY", text)
    hint = hint.replace("47 characters + 1", f"{len(text)} characters; what was sent has {len(text) + 1}.")
    told = Api().get("/v1/usage", authorization=said).json()
    assert hint in told["detail"]
    assert text[-20:-1] not in told["detail"] and "YWxp" not in told["detail"]


@pytest.mark.parametrize("said", ["Basic YWxpY2U6cHc=", "Bearer", "Bearer ", "Token abc"])
def test_authorization_of_another_kind(said: str) -> None:
    answer = Api().post("/v1/decisions", HONEST, authorization=said)
    assert refused(answer) == (401, "key_malformed")


@pytest.mark.parametrize(
    ("bearer", "plain"),
    [
        ("", None), (" ", None), (None, ""), (None, "\t"), ("", ""), ("Bearer", "{key}"), ("Bearer {key}", "{other}"),
        ("Bearer {key}", "x"), ("Basic YTpi", "{key}"), ("Bearer {key},Bearer {key}", None), (None, "{key},{key}"),
        ("Bearer {key}\xa0", None), ("\xa0", None), (None, "\xa0"), (None, "{key}é"), (None, "é"), ("é", None),
        ("Bearer\xa0{key}", None), ("Bearer eyJé.é.é", None), (None, "ï»¿{key}"),
    ],
)  # fmt: skip
def test_credentials_of_no_use_are_malformed_and_never_missing(
    cast: Cast, bearer: str | None, plain: str | None
) -> None:
    texts = {"key": cast.alice.text, "other": cast.bob.text}
    said = {
        name: text.format(**texts)
        for name, text in (("authorization", bearer), ("x_api_key", plain))
        if text is not None
    }
    status, code = refused(Api().get("/v1/usage", **said))
    assert status == 401
    assert code in ("key_malformed", "token_invalid")


@pytest.mark.parametrize(("bearer", "plain"), [("", "{key}"), ("Bearer {key}", ""), ("Bearer {key}", " {key} ")])
def test_same_key_twice_or_an_empty_header_beside_it_do_no_harm(cast: Cast, bearer: str, plain: str) -> None:
    said = {"authorization": bearer.format(key=cast.alice.text), "x_api_key": plain.format(key=cast.alice.text)}
    assert Api().get("/v1/usage", **said).status_code == 200


def test_unknown_key_of_the_right_form(cast: Cast) -> None:
    made_up = keys.generate(cast.alice.tenant.handle, livemode=True)
    assert refused(Api(key=made_up).post("/v1/decisions", HONEST)) == (401, "key_unknown")


def test_guessing_reaches_postgres_once(cast: Cast, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    guess = Api(key=keys.generate(cast.alice.tenant.handle, livemode=True))
    guess.post("/v1/decisions", HONEST)
    with django_assert_num_queries(0):
        assert refused(guess.post("/v1/decisions", HONEST)) == (401, "key_unknown")


def test_the_request_after_a_revocation_is_refused(cast: Cast) -> None:
    key, text = new_key(cast.alice.tenant)
    caller = Api(cast.alice, text)
    assert caller.post("/v1/decisions", HONEST).status_code == 200
    revoke_key(key=key, gate=get_gate(), now=timezone.now())
    assert refused(caller.post("/v1/decisions", HONEST)) == (401, "key_revoked")
    assert refused(caller.get("/v1/usage")) == (401, "key_revoked")


def test_a_key_expires_while_the_gate_knows_it(cast: Cast) -> None:
    _, text = new_key(cast.alice.tenant, expires_at=timezone.now() + timedelta(milliseconds=300))
    caller = Api(cast.alice, text)
    assert caller.get("/v1/usage").status_code == 200
    time.sleep(0.3)
    assert refused(caller.get("/v1/usage")) == (401, "key_expired")


def test_a_key_that_expired_long_ago(cast: Cast) -> None:
    key, text = new_key(cast.alice.tenant)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(days=1))
    invalidate_keys(get_gate(), [key])
    assert refused(Api(cast.alice, text).get("/v1/usage")) == (401, "key_expired")


def test_a_rotated_key_lives_on_for_its_overlap_only(cast: Cast) -> None:
    key, old = new_key(cast.alice.tenant)
    _, new = rotate_key(key=key, gate=get_gate(), now=timezone.now(), overlap=timedelta(milliseconds=300))
    assert Api(cast.alice, old).get("/v1/usage").status_code == 200
    time.sleep(0.3)
    assert refused(Api(cast.alice, old).get("/v1/usage")) == (401, "key_expired")
    assert Api(cast.alice, new).get("/v1/usage").status_code == 200


@pytest.mark.parametrize("known", [False, True])
def test_a_rotated_key_is_told_what_it_was_replaced_by_and_when(cast: Cast, known: bool) -> None:
    key, old = new_key(cast.alice.tenant)
    overlap = timedelta(milliseconds=300) if known else timedelta(0)
    new, _ = rotate_key(key=key, gate=get_gate(), now=timezone.now(), overlap=overlap)
    if known:  # by the gate, which sees it expire
        assert Api(cast.alice, old).get("/v1/usage").status_code == 200
        time.sleep(0.3)
    answer = Api(cast.alice, old).get("/v1/usage")
    assert refused(answer) == (401, "key_expired")
    assert answer.json()["detail"].startswith(f"It was replaced by {new} on {new.created_at:%Y-%m-%d %H:%M} UTC. ")


def test_a_key_that_was_not_replaced_is_told_nothing_of_it(cast: Cast) -> None:
    key, text = new_key(cast.alice.tenant)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(days=1))
    invalidate_keys(get_gate(), [key])
    assert Api(cast.alice, text).get("/v1/usage").json()["detail"].startswith("The API key has expired.")


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/decisions/batch", "/predict"])
def test_a_wrong_key_with_a_broken_body_is_a_wrong_key(cast: Cast, path: str) -> None:
    stranger = Api(key=keys.generate(cast.alice.tenant.handle, livemode=True))
    assert stranger.post(path, b"{broken").status_code == 401
    assert stranger.post(path, b"x" * 2_000_000).status_code == 401
    assert stranger.post(path, b"{}", content_type="text/csv").status_code == 401


@pytest.mark.parametrize("path", ["/v1/decisions?limit=0", "/v1/decisions?cursor=x", "/v1/usage/daily?start=x"])
def test_a_wrong_key_with_a_broken_query_is_a_wrong_key(cast: Cast, path: str) -> None:
    assert Api(key=keys.generate(cast.alice.tenant.handle, livemode=True)).get(path).status_code == 401


def test_both_headers_work(cast: Cast) -> None:
    assert Api().get("/v1/usage", x_api_key=cast.alice.text).status_code == 200
    assert Api().get("/v1/usage", authorization=f"bearer {cast.alice.text}").status_code == 200


PATHS = json.loads(OPENAPI.read_text())["paths"]
WITH_KEY = [
    (method, path)
    for path, operations in PATHS.items()
    for method, operation in operations.items()
    if operation.get("security") != []
]


@pytest.mark.parametrize(("method", "path"), WITH_KEY)
def test_every_address_that_takes_a_key_refuses_who_has_none(method: str, path: str) -> None:
    where = path.replace("{intent_id}", "pi_x").replace("{", "").replace("}", "")
    nobody, stranger = Api(), Api(key=keys.generate("abc123", livemode=True))
    assert [caller.call(method.upper(), where, b"{}").status_code for caller in (nobody, stranger)] == [401, 401]
