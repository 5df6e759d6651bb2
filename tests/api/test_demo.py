"""Demo mode: whoever calls from this machine without a key acts for the demo tenant; nobody else, and never much."""

import json
from collections.abc import Iterator
from io import StringIO
from itertools import product
from typing import Any

import pytest
from django.core.management import call_command

from apps.accounts.models import AuditEntry, Tenant
from apps.addresses import networks_of
from apps.api import endpoint, presented_key
from apps.api_keys import keys
from apps.api_keys.models import ApiKey
from apps.api_keys.services import digest_of
from tests.api.bodies import HONEST
from tests.cast import Api, Cast, new_key
from tests.test_addresses import TRACES

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def demo(cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A caller from this machine without a key, in demo mode."""
    settings.DEMO_MODE, settings.DEMO_TENANT = True, "demo"
    monkeypatch.setattr(presented_key, "_demo", [])
    prepare()
    yield Api()
    Tenant.objects.get(slug="demo").api_keys.all().delete()


def prepare() -> dict[str, str]:
    said = StringIO()
    call_command("prepare", "--json", stdout=said)
    return dict(json.loads(said.getvalue()))


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_this_machine_acts_for_the_demo_tenant(demo: Api, address: str) -> None:
    assert demo.calling_from(address).post("/v1/decisions", HONEST).status_code == 200


@pytest.mark.parametrize("address", ["10.0.0.1", "203.0.113.9", "fd00::1", "::ffff:10.0.0.1"])
def test_other_machines_need_a_key(demo: Api, address: str) -> None:
    assert code(demo.calling_from(address).get("/v1/usage")) == (401, "key_missing")


# Many cases in one test: its ground, a demo tenant made anew, takes longer than all of them.


@pytest.mark.parametrize("trusted", [False, True])
def test_what_somebody_forwarded_needs_a_key(demo: Api, settings: Any, trusted: bool) -> None:
    settings.TRUSTED_PROXIES = networks_of(["127.0.0.0/8"]) if trusted else ()
    for header, said in product(TRACES, ("127.0.0.1", "")):
        answer = demo.get("/v1/usage", **{header.replace("-", "_"): said})
        assert code(answer) == (401, "key_missing"), (header, said)


@pytest.mark.parametrize("header", ["authorization", "x_api_key"])
def test_credentials_that_are_none_never_become_the_demos(demo: Api, header: str) -> None:
    for said in ("", " ", "x", "Bearer", "Bearer ", "Basic YTpi", "é", "Bearer é", "\xa0", "null"):
        assert code(demo.get("/v1/usage", **{header: said})) == (401, "key_malformed"), said


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/stripe/account", {"api_key": "sk_test_1234567890", "webhook_secret": "whsec_1234567890"}),
        ("POST", "/v1/webhooks", {"url": "https://example.com/"}),
        ("POST", "/v1/budgets", {"spend_cap": "10.00"}),
        ("POST", "/v1/subscription", {"plan": "enterprise"}),
    ],
)
def test_demo_changes_nothing_of_the_account(demo: Api, method: str, path: str, body: dict[str, Any]) -> None:
    for caller in (demo, Api(key=prepare()["demo_key"])):
        answer = caller.call(method, path, json.dumps(body).encode())
        assert code(answer) == (403, "scope_missing"), answer.content


def test_token_of_the_demo_may_no_more(demo: Api) -> None:
    assert demo.post("/v1/auth/token", b"").json()["scopes"] == ["read", "predict", "batch"]


def test_key_of_an_older_installation_loses_its_admin(demo: Api) -> None:
    text = prepare()["demo_key"]
    row = ApiKey.objects.get(digest=digest_of(text))
    ApiKey.objects.filter(pk=row.pk).update(scopes=list(keys.SCOPES))
    prepare()
    row.refresh_from_db()
    assert row.scopes == ["read", "predict", "batch"]
    told = AuditEntry.objects.get(action="key.narrowed")
    assert (told.before, told.after) == ({"scopes": list(keys.SCOPES)}, {"scopes": row.scopes})
    prepare()
    assert AuditEntry.objects.filter(action="key.narrowed").count() == 1


def test_gate_hears_of_it_at_once(demo: Api, cast: Cast) -> None:
    text = prepare()["demo_key"]
    ApiKey.objects.filter(digest=digest_of(text)).update(scopes=list(keys.SCOPES))
    endpoint.get_admissions().gate.invalidate(digest_of(text), Tenant.objects.get(slug="demo").handle)
    assert demo.get("/v1/usage").status_code == 200  # its document is in the gate now, with all scopes
    prepare()
    assert code(demo.post("/v1/webhooks", {"url": "https://example.com/"})) == (403, "scope_missing")


def test_demo_mode_off_needs_a_key(cast: Cast) -> None:
    new_key(cast.alice.tenant)
    assert code(Api().get("/v1/usage")) == (401, "key_missing")
