"""403: known, and not allowed: scope, address, suspended tenant, plan."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.services import reinstate_tenant, suspend_tenant
from apps.addresses import networks_of
from apps.api_keys.services import get_gate, invalidating
from apps.billing.rating.plans import FEATURES
from tests.api.bodies import HONEST, TRANSFER
from tests.cast import Api, Cast, new_key

BATCH = {"schema": "paysim", "transactions": [TRANSFER]}


def only(cast: Cast, *scopes: str) -> Api:
    return Api(cast.alice, new_key(cast.alice.tenant, scopes=scopes)[1])


@pytest.mark.parametrize(
    ("scopes", "method", "path", "needed"),
    [
        (("read", "batch", "admin"), "POST", "/v1/decisions", "predict"),
        (("read", "batch", "admin"), "POST", "/predict", "predict"),
        (("read", "predict", "admin"), "POST", "/v1/decisions/batch", "batch"),
        (("predict", "batch", "admin"), "GET", "/v1/decisions", "read"),
        (("predict", "batch", "admin"), "GET", "/v1/decisions/dec_1", "read"),
        (("predict", "batch", "admin"), "GET", "/v1/usage", "read"),
        (("predict", "batch", "admin"), "GET", "/v1/usage/daily", "read"),
    ],
)
def test_missing_scope_is_named(cast: Cast, scopes: tuple[str, ...], method: str, path: str, needed: str) -> None:
    body = {"payload": TRANSFER} if path == "/predict" else BATCH if path.endswith("batch") else HONEST
    caller = only(cast, *scopes)
    answer = caller.get(path) if method == "GET" else caller.post(path, body)
    assert answer.status_code == 403
    if path != "/predict":
        assert (answer.json()["code"], answer.json()["required_scope"]) == ("scope_missing", needed)


def test_refusals_use_up_nothing(cast: Cast, nothing_happened: Callable[[Api], bool]) -> None:
    caller = only(cast, "read")
    before = int(caller.get("/v1/usage")["X-RateLimit-Remaining"])
    for _ in range(5):
        caller.post("/v1/decisions", HONEST)
    assert int(caller.get("/v1/usage")["X-RateLimit-Remaining"]) == before - 1
    assert nothing_happened(caller)


def test_plan_without_batches(charlie: Api) -> None:
    answer = charlie.post("/v1/decisions/batch", BATCH)
    assert (answer.status_code, answer.json()["code"]) == (403, "plan_lacks_feature")


def test_suspended_tenant_and_back(bob: Api) -> None:
    assert bob.post("/v1/decisions", HONEST).status_code == 200
    suspend_tenant(tenant=bob.tenant, on_change=invalidating(get_gate()), now=timezone.now(), actor="command")
    answer = bob.post("/v1/decisions", HONEST)
    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_suspended")
    assert bob.in_test_mode().get("/v1/usage").status_code == 403
    reinstate_tenant(tenant=bob.tenant, on_change=invalidating(get_gate()), now=timezone.now(), actor="command")
    assert bob.post("/v1/decisions", HONEST).status_code == 200


# --- addresses ---

NETWORKS = ("10.1.0.0/16", "192.0.2.7/32", "198.51.100.0/23", "2001:db8:aa00::/39")


@pytest.fixture
def fenced(cast: Cast) -> Api:
    return Api(cast.alice, new_key(cast.alice.tenant, networks=NETWORKS)[1])


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("10.1.255.255", 200), ("10.2.0.0", 403), ("192.0.2.7", 200), ("192.0.2.6", 403), ("198.51.101.255", 200),
        ("198.51.102.0", 403), ("2001:db8:abff:ffff::1", 200), ("2001:db8:ac00::", 403), ("::ffff:10.1.2.3", 200),
        ("::1", 403), ("127.0.0.1", 403),
    ],
)  # fmt: skip
def test_addresses_inside_and_outside(fenced: Api, address: str, status: int) -> None:
    assert fenced.calling_from(address).get("/v1/usage").status_code == status


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Client-IP", "X-Client-IP"])
def test_forged_header_does_not_help(fenced: Api, header: str) -> None:
    said = "for=10.1.2.3" if header == "Forwarded" else "10.1.2.3"
    answer = fenced.calling_from("203.0.113.5").get("/v1/usage", **{header.replace("-", "_"): said})
    assert (answer.status_code, answer.json()["code"]) == (403, "address_refused")


OUR_PROXY = "172.16.0.1"


@pytest.fixture
def behind(fenced: Api, settings: Any) -> Callable[..., int]:
    """The answer to the fenced key through a proxy of ours that says this."""
    settings.TRUSTED_PROXIES = networks_of(["172.16.0.0/12"])
    caller = fenced.calling_from(OUR_PROXY)
    return lambda **said: caller.get("/v1/usage", **said).status_code


@pytest.mark.parametrize(
    ("said", "status"),
    [  # every form is in tests/test_addresses.py; here, that the gate is asked with what is found
        ({"x_forwarded_for": "192.0.2.7:51234"}, 200), ({"x_forwarded_for": "[::ffff:192.0.2.7]:443"}, 200),
        ({"x_forwarded_for": "192.0.2.7,"}, 200), ({"forwarded": 'for="[2001:db8:abff::1]:443"'}, 200),
        ({"x_forwarded_for": "192.0.2.7, 203.0.113.5"}, 403), ({"x_forwarded_for": "192.0.2.7, unknown"}, 403),
        ({"x_forwarded_for": "203.0.113.5", "forwarded": "for=192.0.2.7"}, 403),
        ({"x_forwarded_for": "192.0.2.7", "forwarded": "for=203.0.113.5"}, 403), ({}, 403),
    ],
)  # fmt: skip
def test_key_is_held_to_who_our_proxy_says_is_calling(
    behind: Callable[..., int], said: dict[str, str], status: int
) -> None:
    assert behind(**said) == status


def test_network_of_mapped_addresses_is_one_of_ipv4(cast: Cast) -> None:
    key, text = new_key(cast.alice.tenant, networks=["::ffff:192.0.2.0/120"])
    assert key.allowed_networks == ["192.0.2.0/24"]
    caller = Api(cast.alice, text)
    assert caller.calling_from("192.0.2.9").get("/v1/usage").status_code == 200
    assert caller.calling_from("::ffff:192.0.2.9").get("/v1/usage").status_code == 200
    assert caller.calling_from("192.0.3.9").get("/v1/usage").status_code == 403


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_opens_its_endpoint_to_the_plans_that_have_it_and_to_no_other(cast: Cast, feature: str) -> None:
    method, path = FEATURES[feature].format(month="2026-11").split()
    for player in cast.players:
        plans = {one["name"]: one for one in Api(player).get("/v1/plans").json()["data"]}
        has_it = feature in plans[Api(player).get("/v1/subscription").json()["name"]]["features"]
        answer = Api(player).call(method, path, json.dumps(BATCH).encode())
        assert (answer.json().get("code") != "plan_lacks_feature") == has_it
        assert has_it or answer.status_code == 403


def test_plans_sell_only_features_that_open_something(alice: Api) -> None:
    sold = {feature for plan in alice.get("/v1/plans").json()["data"] for feature in plan["features"]}
    assert sold == set(FEATURES)
