"""POST /v1/auth/token: a token works wherever its key does, may no more, and dies with it."""

import base64
import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.services import suspend_tenant
from apps.api_keys import tokens
from apps.api_keys.models import ApiKey
from apps.api_keys.services import digest_of, get_gate, invalidate_keys, invalidating, revoke_key, rotate_key
from apps.valkey import Valkey
from tests.api.bodies import HONEST, TRANSFER
from tests.cast import Api, Cast, new_key

PATH = "/v1/auth/token"


def told(api: Api, **asked: Any) -> dict[str, Any]:
    answer = api.post(PATH, asked)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def with_token(api: Api, **asked: Any) -> Api:
    return api.with_key(told(api, **asked)["access_token"])


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": tokens.ISSUER, "sub": "0" * 64, "handle": "abcdef", "live": True, "scope": "read predict batch"}
    return said | {"iat": now, "exp": now + 900} | changed


def signed(
    api: Api, secret: str = "", typ: str = tokens.TYPE, algorithm: str = tokens.ALGORITHM, **changed: Any
) -> str:
    """A token as ours would be, but for what is given."""
    digest = digest_of(api.player.text) if api.player else ""
    said = claims(sub=digest, handle=api.tenant.handle) | changed
    return jwt.encode(said, secret or settings.TOKEN_SECRET, algorithm, headers={"typ": typ})


def test_answer_has_token_life_and_scopes(alice: Api) -> None:
    before = datetime.now(tz=timezone.get_default_timezone())
    answer = alice.post(PATH, {"scopes": ["predict"], "expires_in": 60})
    said = answer.json()
    assert {name: said[name] for name in ("token_type", "expires_in", "scopes")} == {
        "token_type": "Bearer",
        "expires_in": 60,
        "scopes": ["predict"],
    }
    assert timedelta(seconds=58) < datetime.fromisoformat(said["expires_at"]) - before < timedelta(seconds=61)
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-RateLimit-Remaining"]


@pytest.mark.parametrize("body", [b"", b"{}"])
@pytest.mark.parametrize("kind", ["application/json", ""])
def test_body_is_optional(alice: Api, body: bytes, kind: str) -> None:
    answer = alice.post(PATH, body, content_type=kind)
    if body and not kind:
        assert refused(answer) == (415, "media_type_unsupported")
        return
    assert (answer.json()["expires_in"], answer.json()["scopes"]) == (900, ["read", "predict", "batch", "admin"])


def test_token_holds_the_digest_and_never_the_key(alice: Api) -> None:
    assert alice.player is not None
    text = told(alice)["access_token"]
    payload = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
    assert set(payload) == {"iss", "sub", "handle", "live", "scope", "iat", "exp"}
    assert payload["sub"] == digest_of(alice.player.text)
    assert alice.player.text[14:] not in json.dumps(payload)
    assert jwt.get_unverified_header(text) == {"alg": "HS256", "typ": "at+jwt"}


def test_token_works_wherever_the_key_does(alice: Api) -> None:
    bearer = with_token(alice)
    assert bearer.post("/v1/decisions", HONEST).json()["billed_units"] == 1
    assert bearer.post("/v1/decisions/batch", {"schema": "paysim", "transactions": [TRANSFER]}).status_code == 200
    assert bearer.post("/predict", {"payload": TRANSFER}).status_code == 200
    assert bearer.get("/v1/usage").status_code == 200
    assert Api().get("/v1/usage", x_api_key=bearer.key).status_code == 200


def test_token_of_a_test_key_is_in_test_mode(alice: Api) -> None:
    made = with_token(alice.in_test_mode()).post("/v1/decisions", HONEST).json()
    assert (made["livemode"], made["billed_units"]) == (False, 0)
    assert alice.in_test_mode().get(f"/v1/decisions/{made['id']}").status_code == 200


def test_demo_mode_gives_tokens_too(cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.api import presented_key
    from apps.api_keys import keys

    settings.DEMO_MODE, settings.DEMO_TENANT = True, "alice"
    monkeypatch.setattr(presented_key, "_demo", [])
    new_key(cast.alice.tenant, text=keys.derive(cast.alice.tenant.handle, settings.KEY_PEPPER))
    text = Api().post(PATH, b"").json()["access_token"]
    assert Api(key=text).get("/v1/usage").status_code == 200


def test_token_and_key_share_rate_and_idempotency(alice: Api) -> None:
    bearer = with_token(alice)
    first = alice.post("/v1/decisions", HONEST, idempotency_key="k")
    again = bearer.post("/v1/decisions", HONEST, idempotency_key="k")
    assert (again.content, again["Idempotent-Replayed"]) == (first.content, "true")


@pytest.mark.parametrize("end", ["revoked", "expired", "rotated", "suspended"])
def test_token_dies_with_its_key_at_once(cast: Cast, end: str) -> None:
    key, text = new_key(cast.bob.tenant)
    bearer = with_token(Api(cast.bob, text))
    assert bearer.get("/v1/usage").status_code == 200
    END[end](key)
    assert refused(bearer.get("/v1/usage")) == REFUSAL[end]
    assert refused(bearer.post("/v1/decisions", HONEST)) == REFUSAL[end]


def expire(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    invalidate_keys(get_gate(), [key])


END: dict[str, Callable[[ApiKey], Any]] = {
    "revoked": lambda key: revoke_key(key=key, gate=get_gate(), now=timezone.now()),
    "expired": expire,
    "rotated": lambda key: rotate_key(key=key, gate=get_gate(), now=timezone.now()),
    "suspended": lambda key: suspend_tenant(
        tenant=key.tenant, on_change=invalidating(get_gate()), now=timezone.now(), actor="command"
    ),
}
REFUSAL = {
    "revoked": (401, "key_revoked"),
    "expired": (401, "key_expired"),
    "rotated": (401, "key_expired"),
    "suspended": (403, "tenant_suspended"),
}


def test_token_may_only_what_it_was_given(alice: Api) -> None:
    reader = with_token(alice, scopes=["read"])
    assert reader.get("/v1/usage").status_code == 200
    answer = reader.post("/v1/decisions", HONEST)
    assert refused(answer) == (403, "scope_missing")
    assert answer.json()["required_scope"] == "predict"
    assert reader.post("/predict", {"payload": TRANSFER}).status_code == 403


def test_narrow_token_is_refused_without_valkey_too(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = with_token(alice, scopes=["read"])
    away(monkeypatch)
    assert reader.get("/v1/usage").status_code == 200
    assert refused(reader.post("/v1/decisions", HONEST)) == (403, "scope_missing")


def test_tokens_are_given_without_valkey_too(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    away(monkeypatch)
    assert told(alice)["scopes"] == ["read", "predict", "batch", "admin"]


def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Valkey answers nobody: its socket is where nothing listens."""
    from apps.usage.admission.admission import get_admissions

    monkeypatch.setattr(get_admissions().gate, "valkey", Valkey("unix:///tmp/nobody-listens-here.sock", 0.1))


def test_token_gets_no_scope_its_key_lacks(cast: Cast) -> None:
    _, text = new_key(cast.alice.tenant, scopes=("read",))
    answer = Api(cast.alice, text).post(PATH, {"scopes": ["read", "predict"]})
    assert refused(answer) == (403, "scope_missing")
    assert "'predict'" in answer.json()["detail"]


def test_key_loses_a_scope_and_so_does_its_token(cast: Cast) -> None:
    key, text = new_key(cast.alice.tenant)
    bearer = with_token(Api(cast.alice, text))
    ApiKey.objects.filter(pk=key.pk).update(scopes=["read"])
    invalidate_keys(get_gate(), [key])
    assert refused(bearer.post("/v1/decisions", HONEST)) == (403, "scope_missing")


def test_token_makes_no_token(alice: Api) -> None:
    assert refused(with_token(alice).post(PATH, b"")) == (403, "key_required")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"scopes": []}, "scopes"), ({"scopes": "read"}, "scopes"), ({"scopes": ["root"]}, "scopes[0]"),
        ({"scopes": [1]}, "scopes[0]"), ({"expires_in": 0}, "expires_in"), ({"expires_in": 3601}, "expires_in"),
        ({"expires_in": -1}, "expires_in"), ({"expires_in": "900"}, "expires_in"), ({"expires_in": None}, "expires_in"),
        ({"expires_in": 10**30}, "expires_in"),
    ],
)  # fmt: skip
def test_wrong_wishes_are_named(alice: Api, asked: Any, param: str) -> None:
    answer = alice.post(PATH, asked)
    assert refused(answer) == (422, "field_invalid")
    assert answer.json()["param"] == param


def test_expired_token(alice: Api) -> None:
    past = int(time.time()) - 1
    assert refused(alice.with_key(signed(alice, exp=past)).get("/v1/usage")) == (401, "token_expired")


def test_token_expires_while_it_is_remembered(alice: Api) -> None:
    bearer = with_token(alice, expires_in=3)  # it begins with the second: of one nothing may be left
    assert bearer.get("/v1/usage").status_code == 200
    time.sleep(3.0)
    assert refused(bearer.get("/v1/usage")) == (401, "token_expired")


def tampered(text: str) -> str:
    """The same signature under a payload that may more."""
    head, payload, signature = text.split(".")
    said = json.loads(base64.urlsafe_b64decode(payload + "==")) | {"scope": "read predict batch admin"}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip('=')}.{signature}"


FORGED: dict[str, Callable[[Api], str]] = {
    "another secret": lambda api: signed(api, secret="x" * 48),
    "the pepper": lambda api: signed(api, secret=settings.KEY_PEPPER),
    "no signature": lambda api: signed(api).rpartition(".")[0] + ".",
    "alg none": lambda api: jwt.encode(claims(), None, "none", headers={"typ": tokens.TYPE}),
    "alg HS512": lambda api: signed(api, algorithm="HS512"),
    "another type": lambda api: signed(api, typ="JWT"),
    "type in other letters": lambda api: signed(api, typ="AT+JWT"),
    "another issuer": lambda api: signed(api, iss="somebody"),
    "no expiry": lambda api: jwt.encode(
        {name: value for name, value in claims().items() if name != "exp"},
        settings.TOKEN_SECRET,
        headers={"typ": tokens.TYPE},
    ),
    "expiry in quotes": lambda api: signed(api, exp="9999999999"),
    "live in quotes": lambda api: signed(api, live="yes"),
    "scope is a list": lambda api: signed(api, scope=["read"]),
    "tampered": lambda api: tampered(signed(api)),
    "half": lambda api: signed(api)[:60],
    "garbage": lambda api: "eyJ",
    "garbage of three parts": lambda api: "eyJ.eyJ.eyJ",
    "a header that is a list": lambda api: "eyJ" + base64.urlsafe_b64encode(b"[]").decode() + ".e30.x",
    "not ASCII": lambda api: "eyJ" + "é" * 20,
    "long": lambda api: "eyJ" + "A" * 20_000,
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_forged_token_is_refused_without_asking_anybody(
    alice: Api, valkey: Valkey, django_assert_num_queries: DjangoAssertNumQueries, forged: Callable[[Api], str]
) -> None:
    before = valkey.round_trips
    text = forged(alice).encode().decode("latin-1")
    with django_assert_num_queries(0):
        answer = alice.with_key(text).get("/v1/usage")
    assert refused(answer) == (401, "token_invalid")
    assert answer["WWW-Authenticate"] == 'Bearer realm="palisade"'
    assert valkey.round_trips == before


def test_token_for_a_key_that_never_was(alice: Api) -> None:
    assert refused(alice.with_key(signed(alice, sub="f" * 64)).get("/v1/usage")) == (401, "key_unknown")


def test_token_costs_no_more_round_trips_than_a_key(
    alice: Api, valkey: Valkey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    bearer = with_token(alice)
    bearer.post("/v1/decisions", HONEST)
    before = valkey.round_trips
    with django_assert_num_queries(0):
        assert bearer.post("/v1/decisions", HONEST).status_code == 200
    assert valkey.round_trips - before == 2


def test_dialect_tells_a_wrong_token_in_its_own_form(alice: Api) -> None:
    answer = alice.with_key(signed(alice, exp=1)).post("/predict", {"payload": TRANSFER})
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])
