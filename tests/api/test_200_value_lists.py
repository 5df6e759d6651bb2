"""200: lists that rules ask for: in force from the next request, on every way a transaction is decided."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import names_of
from apps.api_keys.services import get_gate
from apps.batches import chunks, planning
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import Rule
from apps.scoring.lists import publishing
from apps.scoring.models import Decision, ListItem, PublishedPolicy
from apps.scoring.policies import publish
from apps.scoring.serving.rehearsal import bring_scripts
from apps.scoring.serving.runtime import get_scoring
from apps.valkey import Valkey
from tests.cast import Api

CARD = "4111111111111111"
PAYMENT = {"amount": 12.5, "user_id": "U1", "merchant_id": "M1", "ip_address": "192.0.2.7", "email": "a@example.com"}
MULE = Rule("mule", "block", when="user_id in lists.mules")
RULES = (
    MULE,
    Rule("office", "note", when="ip_address in lists.offices"),
    Rule("stranger", "note", when="!(user_id in lists.mules)"),
)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    get_scoring.cache_clear()


def rules(api: Api, *rules: Rule) -> None:
    """Let these rules decide, whatever lists there are: as if published when nobody asked for that."""
    version = publish(tenant=api.tenant, policy=Policy(), gate=get_gate(), now=timezone.now())
    document = msgspec.to_builtins(Policy(version=version, rules=rules))
    with in_tenant(api.tenant):
        PublishedPolicy.objects.filter(pk=version).update(document=document)


def made(api: Api, name: str = "mules", item_type: str = "user", *values: str | int) -> None:
    assert api.post("/v1/lists", {"name": name, "item_type": item_type}).status_code == 200
    if values:
        add(api, name, *values)


def add(api: Api, name: str, *values: str | int, **more: Any) -> dict[str, Any]:
    answer = api.post(f"/v1/lists/{name}/items", {"items": [{"value": value} | more for value in values]})
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def decide(api: Api, **more: Any) -> dict[str, Any]:
    return dict(api.post("/v1/decisions", {"schema": "payments", "transaction": PAYMENT | more}).json())


def outcome(answer: dict[str, Any], rule: str = "mule") -> str:
    return {one["id"]: one["outcome"] for one in answer["rules"]}[rule]


def test_it_is_in_force_from_the_next_request_and_out_again(alice: Api) -> None:
    rules(alice, *RULES)
    made(alice)
    assert outcome(decide(alice)) == "no_hit"
    assert add(alice, "mules", "u1 ")["added"] == 1
    told = decide(alice)
    assert (outcome(told), told["recommended_action"], outcome(told, "stranger")) == ("hit", "block", "no_hit")
    assert alice.call("DELETE", "/v1/lists/mules/items?value=U1").json()["removed"] == 1
    told = decide(alice)
    assert (outcome(told), outcome(told, "stranger"), told["degraded"]) == ("no_hit", "hit", [])


def test_a_value_that_was_not_sent_is_in_no_list(alice: Api) -> None:
    rules(alice, *RULES)
    made(alice, "mules", "user", "U1")
    made(alice, "offices", "ip", "192.0.2.0/24")
    without = {name: value for name, value in PAYMENT.items() if name != "ip_address"}
    told = alice.post("/v1/decisions", {"schema": "payments", "transaction": without}).json()
    assert (outcome(told, "office"), outcome(told)) == ("no_hit", "hit")
    assert outcome(decide(alice), "office") == "hit"


def test_live_and_test_lists_are_apart(alice: Api) -> None:
    rules(alice, *RULES)
    made(alice, "mules", "user", "U1")
    made(alice.in_test_mode(), "mules", "user")
    assert (outcome(decide(alice)), outcome(decide(alice.in_test_mode()))) == ("hit", "no_hit")


def test_one_round_trip_and_no_query_more(
    alice: Api, valkey: Valkey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    bring_scripts(valkey)
    rules(alice, *RULES)
    made(alice, "mules", "user", "U1")
    made(alice, "offices", "ip", "192.0.2.0/24", "2001:db8::/32")
    decide(alice)
    before = valkey.round_trips
    with django_assert_num_queries(0):
        told = decide(alice, user_id="U2")
    assert (outcome(told), outcome(told, "office")) == ("no_hit", "hit")
    assert valkey.round_trips - before == 2  # the gate, the journal


def test_lost_lists_are_errors_and_degraded_until_they_are_written_again(alice: Api, valkey: Valkey) -> None:
    rules(alice, *RULES)
    made(alice, "mules", "user", "U1")
    made(alice, "offices", "ip")
    assert outcome(decide(alice)) == "hit"
    valkey.command("FLUSHDB")
    told = decide(alice)
    assert [outcome(told, rule) for rule in ("mule", "office", "stranger")] == ["error"] * 3
    assert (told["degraded"], told["billed_units"]) == (["lists"], 0)
    assert publishing.publish_pending(valkey) == 2
    told = decide(alice)
    assert (outcome(told), told["degraded"], told["billed_units"]) == ("hit", [], 1)


def test_a_list_that_does_not_exist_is_an_error_and_no_fault_of_ours(alice: Api) -> None:
    rules(alice, *RULES)
    made(alice)
    decide(alice)
    told = decide(alice)
    assert (outcome(told, "office"), outcome(told), told["degraded"], told["billed_units"]) == (
        "error",
        "no_hit",
        [],
        1,
    )
    made(alice, "offices", "ip", "192.0.2.7")
    assert outcome(decide(alice), "office") == "hit"


def test_it_becomes_another_type_of_list(alice: Api) -> None:
    rules(alice, Rule("listed", "note", when="ip_address in lists.those"))
    made(alice, "those", "text", "192.0.2.0/24")
    assert outcome(decide(alice), "listed") == "no_hit"
    rules(alice)
    assert alice.call("DELETE", "/v1/lists/those").status_code == 200
    rules(alice, Rule("listed", "note", when="ip_address in lists.those"))
    made(alice, "those", "ip", "192.0.2.0/24")
    assert outcome(decide(alice), "listed") == "hit"


def test_every_row_of_a_batch_is_asked(alice: Api) -> None:
    rules(alice, *RULES)
    made(alice, "mules", "user", *range(0, 50, 2))
    rows = [PAYMENT | {"user_id": str(number), "transaction_id": f"t{number}"} for number in range(50)]
    for _ in range(2):  # guessed, and not yet
        told = alice.post("/v1/decisions/batch", {"schema": "payments", "transactions": rows}).json()["data"]
        assert [outcome(one) for one in told] == ["hit", "no_hit"] * 25


def test_a_file_is_held_against_lists_as_they_are_when_its_chunk_is_taken(alice: Api) -> None:
    rules(alice, *RULES)
    made(alice, "mules", "user", "u1")
    lines = ["amount,user_id,merchant_id,ip_address", "5,U1,M1,192.0.2.1", "5,U2,M1,", "5,U3,M1,192.0.2.1"]
    file = "\n".join(lines).encode()
    preview = alice.call("POST", "/v1/batches?schema=payments&dry_run=true", file, "text/csv").json()
    assert [row["recommended_action"] == "block" for row in preview["rows"]] == [True, False, False]
    batch = alice.call("POST", "/v1/batches?schema=payments", file, "text/csv").json()["id"]
    planning.plan(batch)
    add(alice, "mules", "U3")
    while chunks.score_next(batch, timezone.now()):
        pass
    with in_tenant(alice.tenant):
        hits = dict(Decision.objects.values_list("facts__user_id", "rules_hit"))
    assert {user: "mule" in hit for user, hit in hits.items()} == {"U1": True, "U2": False, "U3": True}


def test_older_interfaces_and_dry_runs_ask_too(alice: Api) -> None:
    rules(alice, *RULES)
    made(alice, "mules", "user", "U1")
    assert alice.post("/predict", PAYMENT).json()["recommended_action"] == "block"
    dry = alice.post("/v1/decisions", {"schema": "payments", "transaction": PAYMENT, "dry_run": True}).json()
    assert outcome(dry) == "hit"


def test_cards_are_recognised_and_never_kept(alice: Api, valkey: Valkey) -> None:
    rules(
        alice,
        Rule("stolen", "block", when="card_bin in lists.stolen"),
        Rule("bank", "note", when="card_bin in lists.banks"),
    )
    made(alice, "stolen", "card", CARD)
    made(alice, "banks", "bin", "411111")
    told = decide(alice, card_bin=CARD)
    assert (outcome(told, "stolen"), outcome(told, "bank")) == ("hit", "hit")
    assert outcome(decide(alice, card_bin="4111110000000000"), "stolen") == "no_hit"
    (item,) = alice.get(f"/v1/lists/stolen/items?value={CARD}").json()["data"]
    assert item["value"] == "411111******1111"
    with in_tenant(alice.tenant):
        assert CARD not in str(list(ListItem.objects.values()))
    names = names_of(alice.tenant.handle, True)
    assert CARD.encode() not in b"".join(valkey.command("HGETALL", names.list("stolen")))


def test_an_item_ends_at_its_time(alice: Api) -> None:
    rules(alice, *RULES)
    made(alice)
    end = timezone.now() + timedelta(milliseconds=400)
    add(alice, "mules", "U1", expires_at=end.isoformat(), note="for a moment")
    (item,) = alice.get("/v1/lists/mules/items").json()["data"]
    assert (item["value"], item["note"], item["added_by"]) == ("u***", "for a moment", f"key:{alice.player.live.pk}")  # type: ignore[union-attr]
    while timezone.now() < end:
        pass
    assert outcome(decide(alice)) == "no_hit"
    assert alice.get("/v1/lists/mules/items").json()["data"] == []


def test_a_list_in_use_is_not_deleted(alice: Api) -> None:
    rules(alice, *RULES)
    made(alice)
    assert alice.get("/v1/lists/mules").json()["used_by"] == ["mule", "stranger"]
    refused = alice.call("DELETE", "/v1/lists/mules")
    assert (refused.status_code, refused.json()["code"]) == (409, "list_in_use")
    assert "mule, stranger" in refused.json()["detail"]
    rules(alice)
    assert alice.call("DELETE", "/v1/lists/mules").json()["deleted"] is True
    assert alice.get("/v1/lists/mules").status_code == 404
    made(alice)


def test_items_are_listed_in_pages_and_found_by_what_they_match(alice: Api) -> None:
    made(alice, "offices", "ip", *(f"10.0.{number}.0/24" for number in range(30)), "10.0.0.0/8")
    first = alice.get("/v1/lists/offices/items?limit=20").json()
    rest = alice.get(f"/v1/lists/offices/items?limit=20&cursor={first['next_cursor']}").json()
    values = [one["value"] for one in first["data"] + rest["data"]]
    assert (len(values), values[0], rest["has_more"]) == (31, "10.0.0.0/8", False)
    found = alice.get("/v1/lists/offices/items?value=10.0.7.9").json()["data"]
    assert [one["value"] for one in found] == ["10.0.0.0/8", "10.0.7.0/24"]
    assert alice.call("DELETE", f"/v1/lists/offices/items/{found[0]['id']}").json()["removed"] == 1
    assert alice.call("DELETE", f"/v1/lists/offices/items/{found[0]['id']}").status_code == 404
    removed = alice.post("/v1/lists/offices/items/remove", {"values": ["10.0.7.0/24", "10.0.8.0/24", "10.9.9.9"]})
    assert removed.json()["removed"] == 2
    assert alice.get("/v1/lists/offices").json()["items"] == 28


@pytest.mark.parametrize(
    ("file", "kind", "told"),
    [
        (
            b"value,note,expires_at\r\nu1,a chargeback,\r\nu2,,2099-01-01T00:00:00Z\r\n\r\nu1,again,\r\n",
            "text/csv",
            (2, []),
        ),
        ("\ufeffu1\nu2\n\nU2\nu3".encode(), "text/plain", (3, [])),
        (b"value,expires_at\nu1,tomorrow\n,\nu2,\n", "text/csv", (1, [2])),
        (b"value\nvalue\n", "text/csv", (1, [])),
    ],
)
def test_a_file_is_taken_line_by_line(alice: Api, file: bytes, kind: str, told: tuple[int, list[int]]) -> None:
    made(alice)
    answer = alice.call("POST", "/v1/lists/mules/import", file, kind)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["added"], [one["line"] for one in body["problems"]]) == told
    assert body["wrong"] == len(told[1])
    again = alice.call("POST", "/v1/lists/mules/import", file, kind).json()
    assert (again["added"], again["unchanged"]) == (0, told[0])


def test_a_form_s_file_is_taken_too(alice: Api) -> None:
    made(alice)
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="m.txt"\r\n\r\nu1\nu2\r\n--b--'
    answer = alice.call("POST", "/v1/lists/mules/import", form, "multipart/form-data; boundary=b")
    assert answer.json()["added"] == 2


def test_all_of_it_can_be_taken_along(alice: Api) -> None:
    made(alice, "domains", "domain", *(f"d{number}.example.com" for number in range(30)))
    add(alice, "domains", "evil.example.com", note="=1+1")
    told = alice.get("/v1/lists/domains/export")
    rows = list(csv.reader(io.StringIO(b"".join(told.streaming_content).decode())))
    assert (len(rows), rows[0][:2], rows[1][0], rows[1][2]) == (
        32,
        ["value", "expires_at"],
        "evil.example.com",
        "'=1+1",
    )


def test_an_erased_person_is_in_no_list_any_more(alice: Api, drain: Callable[[], int]) -> None:
    rules(alice, *RULES)
    made(alice, "mules", "user", "Ann", "U1")
    drain()
    receipt = alice.call("DELETE", "/v1/entities/user/ann").json()
    assert receipt["removed"]["lists"] == 1
    assert outcome(decide(alice, user_id="Ann")) == "no_hit"
    assert outcome(decide(alice)) == "hit"
    with in_tenant(alice.tenant):
        assert ListItem.objects.count() == 1
