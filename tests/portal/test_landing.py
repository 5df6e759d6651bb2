"""The portal's first page: its call works, its prices are the plans', and it loads nothing from elsewhere."""

import html
import json
import re

import pytest
from django.test import Client, override_settings

from apps.billing.rating.plans import CURRENT, PLANS, Plan
from tests.cast import Api
from tests.faces import as_the_api

pytestmark = pytest.mark.django_db(transaction=True)


def page(**environ: str) -> str:
    answer = Client().get("/", **environ)  # type: ignore[arg-type]
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_call_on_the_page_works_and_is_answered_as_the_page_says(alice: Api) -> None:
    call = html.unescape(page())
    body = json.loads(re.search(r"-d '(.*?)'</pre>", call, re.DOTALL)[1])  # type: ignore[index]
    with as_the_api():
        told = alice.post("/v1/decisions", body).json()
    assert (told["recommended_action"], told["risk_level"], told["billed_units"]) == ("block", "critical", 1)
    assert told["reasons"][0]["code"] == "ACCOUNT_EMPTIED"
    assert told["reasons"][0]["text"] == "Nothing to speak of is left of what the origin held."


@pytest.mark.parametrize("demo", [False, True])
def test_a_key_is_asked_for_unless_this_is_the_demo(demo: bool) -> None:
    with override_settings(DEMO_MODE=demo):
        assert ("YOUR_KEY" in page()) != demo


@pytest.mark.parametrize("plan", [PLANS[code] for code in CURRENT.values()], ids=lambda plan: plan.name)
def test_every_plan_stands_with_its_numbers(plan: Plan) -> None:
    shown = page()
    assert f"${plan.monthly:,.0f}<" in shown
    assert f">{plan.included:,}<" in shown
    assert f">{plan.rate_per_minute:,}<" in shown
    assert all(f"${price}" in shown for _, price in plan.overage)


def test_nothing_is_loaded_from_elsewhere() -> None:
    assert re.findall(r'(?:src|stylesheet"|icon") href="?(http[^"]*)', page()) == []


@pytest.mark.parametrize(
    ("host", "api"),
    [
        ("127.0.0.1:8501", "http://127.0.0.1:8000"),
        ("localhost", "http://localhost:8000"),
        ("[::1]:8501", "http://[::1]:8000"),
        ("[::1]", "http://[::1]:8000"),
    ],
)
def test_the_api_is_looked_for_on_the_same_machine(host: str, api: str) -> None:
    assert f'href="{api}/docs"' in page(HTTP_HOST=host)
