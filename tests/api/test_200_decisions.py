"""200: one transaction decided on. Stored once, billed once, read at once."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from apps.api_keys.gate import names_of
from apps.scoring.engine import past_events
from apps.scoring.serving.ids import party_hash
from apps.scoring.serving.runtime import get_scoring, models
from apps.text import recognised
from apps.usage.models import UsageEvent
from apps.valkey import Valkey
from tests.api.bodies import DRAINED, HONEST, TRANSFER, VANISHED, asking
from tests.cast import Api

Count = Callable[[Api], int]
NAMED = TRANSFER | {"transaction_id": "txn_1", "nameOrig": "C1", "nameDest": "C2"}


def decide(api: Api, body: Any = HONEST, **headers: str) -> dict[str, Any]:
    answer = api.post("/v1/decisions", body, **headers)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_honest_transfer_is_approved(alice: Api) -> None:
    told = decide(alice)
    assert told["recommended_action"] == "approve"
    assert told["risk_level"] == "low"
    assert told["decisive"] == {"kind": "model", "id": "xgboost"}
    assert told["fraud_probability"] < 0.3


def test_drained_account_is_blocked_by_the_model(alice: Api) -> None:
    told = decide(alice, asking(DRAINED))
    assert told["recommended_action"] == "block"
    assert told["decisive"]["kind"] == "model"
    assert told["risk_score"] > 900
    assert "ACCOUNT_EMPTIED" in [reason["code"] for reason in told["reasons"]]


def test_a_block_is_marked_in_its_parties_pasts_and_asks_valkey_no_more_often_than_an_approval(
    alice: Api, valkey: Valkey
) -> None:
    """What it asks: the gate, and the journal."""
    live, asked = get_scoring().journal.valkey, {}
    for _ in range(2):  # the server is brought the scripts by the first
        for transaction in (TRANSFER, DRAINED | {"nameOrig": "C8", "nameDest": "C9"}):
            before = live.round_trips
            action = decide(alice, asking(transaction))["recommended_action"]
            asked[action] = live.round_trips - before
    assert asked == {"approve": 2, "block": 2}
    names = names_of(alice.tenant.handle, True)
    for role, name in (("nameOrig", "C8"), ("nameDest", "C9")):
        past = valkey.command("GET", names.party("paysim", role, party_hash(recognised(name))))
        events = np.frombuffer(past, past_events.EVENT_COLUMNS)
        assert len(events) == 2 and (events["flags"] & past_events.REFUSED).all()


def test_black_hole_is_blocked_by_the_rule_and_scored_all_the_same(alice: Api) -> None:
    told = decide(alice, asking(VANISHED))
    assert told["decisive"] == {"kind": "rule", "id": "black_hole"}
    assert {"id": "black_hole", "outcome": "hit"} in told["rules"]
    assert (told["recommended_action"], told["risk_level"]) == ("block", "critical")
    assert told["fraud_probability"] is not None
    assert told["reasons"][0]["code"] == "BLACK_HOLE"


def test_a_decision_is_billed_and_stored_once(alice: Api, counted: Count, stored: Count) -> None:
    assert decide(alice)["billed_units"] == 1
    assert counted(alice) == 1
    assert stored(alice) == 1
    assert [event.units for event in UsageEvent.objects.all()] == [1]


def test_a_decision_can_be_read_before_and_after_it_is_recorded(alice: Api, drain: Callable[[], int]) -> None:
    answer = alice.post("/v1/decisions", HONEST)
    address = f"/v1/decisions/{answer.json()['id']}"
    assert alice.get(address).content == answer.content
    assert drain() == 1
    assert alice.get(address).content == answer.content


@pytest.mark.parametrize("versioned", [False, True])
def test_a_model_can_be_asked_for(alice: Api, versioned: bool) -> None:
    version = models()["paysim"]["lightgbm"].version
    told = decide(alice, asking(model=f"lightgbm@{version}" if versioned else "lightgbm"))
    assert told["model"].items() >= {"name": "lightgbm", "version": version, "threshold": 0.5}.items()


def test_the_ensemble_is_one_decision_with_its_votes(alice: Api, counted: Count) -> None:
    told = decide(alice, asking(DRAINED, model="ensemble"))
    votes = told["ensemble"]["models"]
    assert [vote["name"] for vote in votes] == list(models()["paysim"])
    assert (told["model"]["name"], told["ensemble"]["agreement"]) == ("ensemble", 1.0)
    mean = sum(vote["probability"] for vote in votes) / len(votes)
    assert told["fraud_probability"] == pytest.approx(mean, abs=2e-6)
    assert (told["billed_units"], counted(alice)) == (1, 1)


def test_an_ensembles_decision_is_explained_by_its_champion(alice: Api) -> None:
    told = decide(alice, asking(DRAINED, model="ensemble"))
    champion = alice.get(f"/v1/decisions/{told['id']}/explanation").json()
    largest = champion["contributions"][0]
    assert champion["model"] == {"name": "ensemble", "version": told["model"]["version"]}
    assert told["reasons"][0]["contribution"] == pytest.approx(largest["contribution"], abs=1e-3)


def test_what_looks_like_fraud_is_given_its_kind(alice: Api) -> None:
    assert decide(alice, asking(DRAINED))["fraud_type"] == "account_takeover"
    assert decide(alice, asking(VANISHED))["fraud_type"] == "black_hole_transfer"
    assert decide(alice)["fraud_type"] is None


def test_unknown_type_is_scored_with_a_warning(alice: Api) -> None:
    told = decide(alice, asking(TRANSFER | {"type": "GIFT"}))
    assert told["decisive"]["kind"] == "model"
    assert "accuracy may be lower" in told["warnings"][0]


def test_unknown_fields_are_named_in_a_warning(alice: Api) -> None:
    told = decide(alice, asking(TRANSFER | {"isFraud": 1, "colour": "red"}))
    assert told["warnings"] == ["Unknown fields were ignored: isFraud, colour."]


@pytest.mark.parametrize("path", ["/v1/decisions/", "/v1/decisions"])
def test_a_trailing_slash_makes_no_difference(alice: Api, path: str) -> None:
    told = alice.post(path, HONEST).json()
    assert alice.get(f"/v1/decisions/{told['id']}/").json() == told


def test_history_counts(alice: Api) -> None:
    first = decide(alice, asking(NAMED | {"transaction_id": None}))
    for _ in range(30):
        decide(alice, asking(NAMED | {"transaction_id": None}))
    last = decide(alice, asking(NAMED | {"transaction_id": None}))
    assert last["fraud_probability"] != first["fraud_probability"]


# --- headers ---


def test_request_id_is_given_back_or_made(alice: Api) -> None:
    assert alice.post("/v1/decisions", HONEST, x_request_id="mine-1")["X-Request-Id"] == "mine-1"
    made = alice.post("/v1/decisions", HONEST, x_request_id="<script>")["X-Request-Id"]
    assert made.startswith("req_")


def test_rate_limit_and_timing_are_told(charlie: Api) -> None:
    answer = charlie.post("/v1/decisions", HONEST)
    assert answer["RateLimit-Policy"] == '"minute";q=10;w=60'
    assert answer["RateLimit"] == '"minute";r=9;t=6'
    assert (answer["X-RateLimit-Limit"], answer["X-RateLimit-Remaining"], answer["X-RateLimit-Reset"]) == (
        "10",
        "9",
        "6",
    )
    assert answer["Server-Timing"].startswith("total;dur=")
    assert answer.json()["timing_ms"]["total"] > 0


# --- the same transaction again ---


def test_same_id_and_facts_is_a_duplicate(alice: Api, counted: Count, stored: Count) -> None:
    first = decide(alice, asking(NAMED))
    again = decide(alice, asking(dict(reversed(NAMED.items()))))
    assert again == first | {"status": "duplicate", "billed_units": 0}
    assert (counted(alice), stored(alice)) == (1, 1)


def test_duplicate_is_known_after_it_was_recorded(alice: Api, counted: Count, drain: Callable[[], int]) -> None:
    first = decide(alice, asking(NAMED))
    drain()
    assert decide(alice, asking(NAMED)) == first | {"status": "duplicate", "billed_units": 0}
    assert counted(alice) == 1


def test_same_id_and_new_facts_supersede(alice: Api, counted: Count, stored: Count) -> None:
    first = decide(alice, asking(NAMED))
    newer = decide(alice, asking(NAMED | {"amount": 4999.0}))
    assert (newer["status"], newer["supersedes"], newer["billed_units"]) == ("superseding", first["id"], 1)
    assert (counted(alice), stored(alice)) == (2, 2)
    assert decide(alice, asking(NAMED | {"amount": 4999.0}))["id"] == newer["id"]


def test_same_id_of_another_tenant_or_mode_is_new(alice: Api, bob: Api) -> None:
    assert decide(alice, asking(NAMED))["status"] == "new"
    assert decide(bob, asking(NAMED))["status"] == "new"
    assert decide(alice.in_test_mode(), asking(NAMED))["status"] == "new"


def test_transactions_without_an_id_are_all_new(alice: Api, stored: Count) -> None:
    made = {decide(alice)["transaction_id"] for _ in range(3)}
    assert len(made) == stored(alice) == 3


# --- dry runs and test keys ---


def test_dry_run_scores_and_leaves_no_trace(alice: Api, nothing_happened: Callable[[Api], bool]) -> None:
    told = decide(alice, asking(NAMED, dry_run=True))
    assert told["billed_units"] == 0
    assert told["fraud_probability"] is not None
    assert alice.get(f"/v1/decisions/{told['id']}").status_code == 404
    assert nothing_happened(alice)
    assert decide(alice, asking(NAMED))["status"] == "new"


def test_dry_runs_leave_no_history(alice: Api) -> None:
    first = decide(alice, asking(NAMED, dry_run=True))
    for _ in range(30):
        decide(alice, asking(NAMED | {"transaction_id": None}, dry_run=True))
    assert decide(alice, asking(NAMED))["fraud_probability"] == first["fraud_probability"]


def test_test_keys_score_really_and_are_never_billed(alice: Api, counted: Count, stored: Count) -> None:
    live, test = decide(alice), decide(alice.in_test_mode())
    assert (test["livemode"], test["billed_units"]) == (False, 0)
    assert test["fraud_probability"] == live["fraud_probability"]
    assert (counted(alice), stored(alice)) == (1, 2)


def test_test_and_live_decisions_are_apart(alice: Api, drain: Callable[[], int]) -> None:
    live, test = decide(alice), decide(alice.in_test_mode())
    for _ in range(2):
        assert alice.get(f"/v1/decisions/{test['id']}").status_code == 404
        assert alice.in_test_mode().get(f"/v1/decisions/{live['id']}").status_code == 404
        drain()
    assert [row["id"] for row in alice.get("/v1/decisions").json()["data"]] == [live["id"]]
    assert [row["id"] for row in alice.in_test_mode().get("/v1/decisions").json()["data"]] == [test["id"]]


def test_test_keys_go_on_when_the_included_volume_is_used_up(charlie: Api, use_up: Callable[[Api], None]) -> None:
    use_up(charlie)
    assert charlie.post("/v1/decisions", HONEST).status_code == 429
    assert decide(charlie.in_test_mode())["billed_units"] == 0
