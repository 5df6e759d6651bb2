"""422: a policy that asks for a list there is not, by whichever door it comes: the place, and the nearest name."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.api_keys.services import get_gate
from apps.scoring import rule_life
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import InvalidRules, Rule
from apps.scoring.policies import publish
from apps.scoring.policy_file import InvalidPolicy
from tests.cast import Api

pytestmark = pytest.mark.django_db(transaction=True)

RULE = {"id": "mule", "outcome": "block", "when": "user_id in lists.mule", "state": "live"}
PLACE, MEANT = "line 1, column 12", "Did you mean lists.mules?"
#: Doors of the API: the call, and the parameter that is told.
DOORS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "publish": ("POST", "/v1/policies", {"policy": {"rules": [RULE]}}, "policy.rules[0].when"),
    "dry run": ("POST", "/v1/policies", {"policy": {"rules": [RULE]}, "dry_run": True}, "policy.rules[0].when"),
    "simulate": ("POST", "/v1/policies/simulate", {"rules": [RULE], "days": 1}, "rules[0].when"),
    "rule": ("POST", "/v1/rules", RULE | {"state": "draft"}, "when"),
    "validate": ("POST", "/v1/rules/validate", {"when": RULE["when"]}, "when"),
}


def version_of(api: Api) -> int:
    return Tenant.objects.get(pk=api.tenant.pk).policy_version


@pytest.mark.parametrize("door", DOORS)
def test_every_call_refuses_it_with_its_place_and_the_nearest_name(alice: Api, door: str) -> None:
    alice.post("/v1/lists", {"name": "mules", "item_type": "user"})
    method, path, body, param = DOORS[door]
    answer = alice.call(method, path, json.dumps(body).encode())
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["param"]) == (422, "field_invalid", param)
    assert MEANT in problem["detail"]
    assert PLACE in problem["detail"] or (problem["line"], problem["column"]) == (1, 12)
    assert version_of(alice) == 0


def test_a_file_refuses_it(alice: Api, tmp_path: Path) -> None:
    alice.post("/v1/lists", {"name": "mules", "item_type": "user"})
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"rules": [RULE]}))
    with pytest.raises(CommandError, match=f"rules\\[0\\].when .*{PLACE}.*{MEANT[:-1]}"):
        call_command("policy_publish", "--tenant", "alice", "--file", str(file), stdout=StringIO())
    assert version_of(alice) == 0


def by_publishing(api: Api) -> None:
    publish(tenant=api.tenant, policy=Policy(rules=(_rule(),)), gate=get_gate(), now=timezone.now())


def by_a_rule_s_life(api: Api) -> None:
    rule_life.create(tenant=api.tenant, rule=RULE, gate=get_gate(), now=timezone.now(), actor="test", reason="")


def _rule() -> Rule:
    return Rule("mule", "block", when="user_id in lists.mule")


@pytest.mark.parametrize(("door", "refusal"), [(by_publishing, InvalidRules), (by_a_rule_s_life, InvalidPolicy)])
def test_behind_every_door_it_is_refused_too(alice: Api, door: Callable[[Api], None], refusal: type[Exception]) -> None:
    alice.post("/v1/lists", {"name": "mules", "item_type": "user"})
    with pytest.raises(refusal, match=MEANT[:-1]):
        door(alice)
    assert version_of(alice) == 0


def test_one_whose_list_was_deleted_meanwhile_does_not_come_back(alice: Api) -> None:
    """Not by rolling back, nor by letting the draft decide; what does not ask for it is published all the same."""
    alice.post("/v1/lists", {"name": "mule", "item_type": "user"})
    alice.post("/v1/policies", {"policy": {"rules": [RULE]}})
    draft = [RULE | {"id": "draft", "state": "draft"}]
    assert alice.post("/v1/policies", {"policy": {"rules": draft}}).status_code == 200
    assert alice.call("DELETE", "/v1/lists/mule").status_code == 200
    alice.post("/v1/lists", {"name": "mules", "item_type": "user"})
    back = alice.post("/v1/policies/1/rollback", {})
    assert (back.status_code, back.json()["param"]) == (422, "rules[0].when")
    assert PLACE in back.json()["detail"] and MEANT in back.json()["detail"]
    live = alice.call("PATCH", "/v1/rules/draft", b'{"state": "live"}')
    assert live.status_code == 422 and MEANT in live.json()["detail"]
    assert version_of(alice) == 2
    assert alice.post("/v1/policies", {"policy": {"medium": 0.31}}).status_code == 200
    assert alice.call("PATCH", "/v1/rules/draft", b'{"state": "retired"}').status_code == 200
