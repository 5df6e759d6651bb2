"""From candidate to champion and back: each step by one call, in force at once, and only from where it may begin."""

import pytest

from apps.own_models import services
from tests.cast import Api
from tests.own_models.kept import an_own_model

pytestmark = pytest.mark.django_db(transaction=True)


def states(api: Api) -> dict[str, str]:
    return {one["id"]: one["state"] for one in api.get("/v1/models/own").json()["data"]}


def step(api: Api, model: str, verb: str) -> int:
    return int(api.post(f"/v1/models/{model}/{verb}", {}).status_code)


def test_who_is_replaced_goes_on_in_shadow_so_that_back_is_one_call(alice: Api) -> None:
    first, second = an_own_model(alice), an_own_model(alice)
    assert step(alice, first, "promote") == step(alice, second, "promote") == 200
    assert states(alice) == {first: "shadow", second: "champion"}
    assert step(alice, first, "promote") == 200
    assert states(alice) == {first: "champion", second: "shadow"}
    assert step(alice, first, "shadow") == 200  # now nobody of its own decides
    assert states(alice) == {first: "shadow", second: "shadow"}


def test_a_policy_rolled_back_puts_models_back(alice: Api) -> None:
    first = an_own_model(alice)
    step(alice, first, "shadow")
    version = alice.get("/v1/policies").json()["data"][0]["version"]
    step(alice, first, "promote")
    assert alice.post(f"/v1/policies/{version}/rollback", {}).status_code in (200, 201)
    assert states(alice) == {first: "shadow"}


@pytest.mark.parametrize(
    ("verbs", "refused"),
    [(["promote"], "promote"), (["retire"], "retire"), (["promote"], "delete")],
)
def test_a_step_that_makes_no_sense_is_refused(alice: Api, verbs: list[str], refused: str) -> None:
    model = an_own_model(alice)
    assert [step(alice, model, verb) for verb in verbs] == [200] * len(verbs)
    before = states(alice)
    if refused == "delete":
        assert alice.call("DELETE", f"/v1/models/{model}").status_code == 409
    else:
        assert step(alice, model, refused) == 409
    assert states(alice) == before


def test_more_models_in_shadow_than_allowed_are_refused(alice: Api) -> None:
    models = [an_own_model(alice) for _ in range(services.MOST_SHADOWS + 1)]
    assert [step(alice, model, "shadow") for model in models] == [200] * services.MOST_SHADOWS + [409]


def test_a_deleted_model_is_gone(alice: Api) -> None:
    model = an_own_model(alice)
    assert alice.call("DELETE", f"/v1/models/{model}").json()["deleted"]
    assert alice.get(f"/v1/models/{model}").status_code == 404
    assert states(alice) == {}
