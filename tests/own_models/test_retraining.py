"""Every week again: who is asked for, and when what comes of it decides."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.api_keys.services import get_gate
from apps.own_models import retraining, services
from apps.scoring.models import OwnModel
from tests.cast import Api
from tests.own_models.kept import enough_frauds, kept

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/v1/models/retraining"


def asked_for(api: Api) -> list[OwnModel]:
    with in_tenant(api.tenant):
        return list(OwnModel.objects.filter(state="training"))


def test_a_model_is_asked_for_once_a_week_of_who_set_it(alice: Api) -> None:
    now = timezone.now()
    enough_frauds(alice.tenant)
    first = kept(alice.tenant, livemode=True)
    assert retraining.ask_all(now + timedelta(days=8)) == 0  # nobody set it
    assert alice.post(URL, {"schema": "payments", "weekly": True, "promotes": False}).status_code == 200
    assert retraining.ask_all(now) == 0  # one of this week is there
    assert retraining.ask_all(now + timedelta(days=8)) == 1
    (asked,) = asked_for(alice)
    assert (asked.asked_by, asked.retrains, asked.families) == (retraining.ACTOR, first, ["lightgbm"])
    assert retraining.ask_all(now + timedelta(days=8, hours=1)) == 0


def test_without_enough_frauds_it_waits_for_the_next_week(alice: Api) -> None:
    alice.post(URL, {"schema": "payments", "weekly": True, "promotes": True})
    assert retraining.ask_all(timezone.now()) == 0
    assert not asked_for(alice)


BETTER = {"better_beyond_interval": True}
CASES: dict[str, tuple[str, bool, dict[str, Any], bool]] = {
    "better than the shared one, where none decides": (retraining.ACTOR, True, BETTER, True),
    "better than the own champion": (retraining.ACTOR, True, {**BETTER, "better_than_champion": True}, True),
    "no better than the own champion": (retraining.ACTOR, True, {**BETTER, "better_than_champion": False}, False),
    "no better than the shared one": (retraining.ACTOR, True, {"better_beyond_interval": False}, False),
    "promotion not set": (retraining.ACTOR, False, BETTER, False),
    "asked for by hand": ("key:1", True, BETTER, False),
}


@pytest.mark.parametrize(("actor", "promotes", "comparison", "promoted"), CASES.values(), ids=CASES.keys())
def test_it_decides_when_it_is_better_and_that_is_set(
    alice: Api, actor: str, promotes: bool, comparison: dict[str, Any], promoted: bool
) -> None:
    alice.post(URL, {"schema": "payments", "weekly": True, "promotes": promotes})
    with in_tenant(alice.tenant):
        model = OwnModel.objects.get(pk=kept(alice.tenant, livemode=True))
    model.asked_by, model.comparison = actor, comparison
    assert retraining.promoted_if_better(alice.tenant, model, get_gate()) is promoted
    found = services.find(alice.tenant.schema_name, True, model.pk)
    assert found is not None and found.state == ("champion" if promoted else "candidate")
