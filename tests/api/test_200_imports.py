"""200: what is brought along is told first, then taken over; taken over again it changes nothing."""

from typing import Any

from tests.api.bodies import asking
from tests.cast import Api

RADAR: dict[str, Any] = {
    "stripe_radar": {
        "rules": [
            "Block if :card_country: != :ip_country: and :amount_in_usd: > 500\nAllow if :customer: in @vips",
            "Review if :risk_score: > 65",
        ],
        "lists": [{"alias": "vips", "item_type": "customer_id", "list_items": {"data": [{"value": "cus_1"}]}}],
    }
}
ABROAD = {"amount": 900.0, "currency": "USD", "user_id": "cus_9", "merchant_id": "m", "foreign_transaction": True}


def test_import_is_told_and_nothing_is_changed(alice: Api) -> None:
    told = alice.post("/v1/imports", RADAR).json()
    assert [rule["when"] for rule in told["plan"]["rules"]] == [
        "foreign_transaction == true && log_amount > 6.21660610108", "user_id in lists.vips",
    ]  # fmt: skip
    assert (told["applied"], [one["name"] for one in told["plan"]["left"]]) == (None, ["radar_3_review"])
    assert alice.get("/v1/rules").json()["data"] == [] == alice.get("/v1/lists").json()["data"]


def test_import_is_taken_over_as_drafts_once(alice: Api, bob: Api) -> None:
    taken = alice.post("/v1/imports", RADAR | {"apply": True}).json()["applied"]
    assert (taken["rules"], taken["lists"], taken["items"], taken["left"]) == (2, 1, 1, [])
    again = alice.post("/v1/imports", RADAR | {"apply": True}).json()["applied"]
    assert (again["rules"], again["rules_there"], again["lists"], again["policy_version"]) == (0, 2, 0, 0)
    rules = alice.get("/v1/rules").json()["data"]
    assert {rule["id"]: rule["state"] for rule in rules} == {"radar_1_block": "draft", "radar_2_allow": "draft"}
    assert bob.get("/v1/rules").json()["data"] == []


def test_aggregates_its_rules_ask_for_come_along_once(alice: Api) -> None:
    rules = ["Block if :total_charges_per_card_number_daily: >= 2", "Review if :email_count_for_ip_address_daily: > 3"]
    body = {"stripe_radar": {"rules": rules, "fields": {"card_fingerprint": "card_bin"}}, "apply": True}
    taken = alice.post("/v1/imports", body).json()["applied"]
    assert (taken["rules"], taken["aggregates"]) == (2, 2)
    assert alice.post("/v1/imports", body).json()["applied"]["aggregates"] == 0
    names = {one["name"] for one in alice.get("/v1/aggregates").json()["data"]}
    assert names == {"card_bin_count_24h", "ip_address_email_24h"}
    alice.call("PATCH", "/v1/rules/radar_1_block", b'{"state": "live"}', "application/json")
    sent = asking(ABROAD | {"card_bin": "424242"}, schema="payments")
    made = [alice.post("/v1/decisions", sent | {"dry_run": False}).json() for _ in range(3)]
    assert [one["rules"][-1]["outcome"] for one in made] == ["no_hit", "no_hit", "hit"]


def test_an_aggregate_s_name_that_is_another_s_leaves_its_rule_out(alice: Api) -> None:
    other = {"name": "card_bin_count_24h", "schema": "payments", "by": ["user_id"], "function": "count", "window": "1h"}
    assert alice.post("/v1/aggregates", other).status_code == 200
    rule = "Block if :total_charges_per_card_number_daily: >= 2"
    body = {"stripe_radar": {"rules": [rule], "fields": {"card_fingerprint": "card_bin"}}, "apply": True}
    taken = alice.post("/v1/imports", body).json()["applied"]
    assert (taken["rules"], taken["aggregates"], taken["left"][0]["name"]) == (0, 0, "radar_1_block")


def test_draft_decides_once_it_is_live(alice: Api) -> None:
    alice.post("/v1/imports", RADAR | {"apply": True})
    body = asking(ABROAD) | {"schema": "payments"}
    assert "radar_1_block" not in str(alice.post("/v1/decisions", body).json()["rules"])
    live = alice.call("PATCH", "/v1/rules/radar_1_block", b'{"state": "live"}', "application/json")
    assert live.status_code == 200, live.content
    made = alice.post("/v1/decisions", {**body, "transaction": {**ABROAD, "user_id": "cus_8"}}).json()
    assert made["decisive"] == {"kind": "rule", "id": "radar_1_block"}


def test_labels_of_what_was_decided_here_are_kept(alice: Api) -> None:
    alice.post("/v1/decisions", asking(ABROAD | {"transaction_id": "e1"}) | {"schema": "payments"})
    events = [{"eventId": "e1", "currentLabel": "fraud"}, {"eventId": "e2", "currentLabel": "legit"}]
    taken = alice.post("/v1/imports", {"amazon_fraud_detector": {"events": events}, "apply": True}).json()["applied"]
    assert (taken["labels"], taken["labels_unknown"]) == (1, 1)


def test_what_is_wrong_is_said(alice: Api) -> None:
    both = alice.post("/v1/imports", {**RADAR, "amazon_fraud_detector": {}})
    none = alice.post("/v1/imports", {})
    field = alice.post("/v1/imports", {"stripe_radar": {"fields": {"a": "nothing"}}})
    assert [one.status_code for one in (both, none, field)] == [422, 422, 422]
    assert "no field of payments" in field.json()["detail"]
