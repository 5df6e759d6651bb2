"""GET /v1/models and the page of cards: who decides, what they were trained on, what they are worth."""

import json
import re
from html import unescape
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import ModelRefused, active
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.card_words import figure
from apps.scoring.serving.runtime import get_scoring
from apps.scoring.serving.transaction_fields import of_shelf
from tests.cast import Api

each_schema = pytest.mark.parametrize("schema", SCHEMAS)


def listed(api: Api) -> list[dict[str, Any]]:
    answer = api.get("/v1/models")
    assert answer.status_code == 200
    assert answer.json()["object"] == "list"
    return list(answer.json()["data"])


def card_of(schema: str, entry: str) -> dict[str, Any]:
    return dict(json.loads((settings.ARTIFACTS_DIR / schema / entry / "card.json").read_text()))


@each_schema
def test_active_models_are_listed_champion_first_and_the_ensemble_last(alice: Api, schema: str) -> None:
    told = [one for one in listed(alice) if one["schema"] == schema]
    models, ensemble = told[:-1], told[-1]
    assert [f"{model['name']}/{model['version']}" for model in models] == list(active(settings.ARTIFACTS_DIR, schema))
    assert [model["champion"] for model in models] == [True, False, False, False]
    assert (ensemble["object"], ensemble["name"]) == ("ensemble", "ensemble")
    assert ensemble["members"] == [model["name"] for model in models]


@each_schema
def test_what_is_told_stands_in_the_card(alice: Api, schema: str) -> None:
    for one in [one for one in listed(alice) if one["schema"] == schema and one["object"] == "model"]:
        card = card_of(schema, f"{one['name']}/{one['version']}")
        assert one["features"] == len(card["features"]) == len(SCHEMAS[schema].features)
        assert one["quality"]["metrics"] == card["quality"]["out_of_time"]["metrics"]
        assert one["trained_on"]["research_only"] == card["research_only"]
        assert (one["trained_on"]["rows"], one["trained_on"]["licence"]) == (
            card["data"]["rows"],
            card["data"]["licence"],
        )


def test_names_that_are_listed_can_be_asked(alice: Api) -> None:
    transaction = {"type": "TRANSFER", "step": 1, "amount": 1.0, "oldbalanceOrg": 1.0, "newbalanceOrig": 0.0}
    transaction |= {"oldbalanceDest": 0.0, "newbalanceDest": 1.0}
    for one in [one for one in listed(alice) if one["schema"] == "paysim"]:
        exactly = one["name"] if one["object"] == "ensemble" else f"{one['name']}@{one['version']}"
        asked = {"schema": "paysim", "transaction": transaction, "model": exactly, "dry_run": True}
        assert alice.post("/v1/decisions", asked).json()["model"]["name"] == one["name"]


def test_listing_needs_reading_and_costs_nothing(alice: Api) -> None:
    assert Api().get("/v1/models").status_code == 401
    token = alice.post("/v1/auth/token", {"scopes": ["predict"]}).json()["access_token"]
    assert alice.with_key(token).get("/v1/models").status_code == 403
    listed(alice)
    assert alice.get("/v1/usage").json()["used"] == 0


def test_a_refused_model_is_told_as_unavailable(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    models = get_scoring().engine.models
    broken = {**models["paysim"], "lightgbm": ModelRefused("for the test")}
    monkeypatch.setattr(get_scoring(), "engine", Engine({**models, "paysim": broken}))
    told = {one["name"]: one for one in listed(alice) if one["schema"] == "paysim"}
    assert (told["lightgbm"]["status"], told["lightgbm"]["quality"]) == ("unavailable", None)
    assert told["xgboost"]["status"] == "available"


@each_schema
def test_cards_are_a_page_of_the_documentation(schema: str) -> None:
    page = Client().get("/docs/models")
    text = page.content.decode()
    assert page.status_code == 200
    assert "default-src 'self'" in page["Content-Security-Policy"]
    assert not re.search(r"from \d{4,}|T\d\d:\d\d", text)  # days, not seconds of a log
    assert f'id="{schema}"' in text
    for entry in active(settings.ARTIFACTS_DIR, schema):
        card = card_of(schema, entry)
        assert card["data"]["licence"].split(";")[0] in text
        assert figure(card["quality"]["out_of_time"]["metrics"]["average_precision"]) in text
    assert ("For research only." in text) == any(
        card_of(s, active(settings.ARTIFACTS_DIR, s)[0])["research_only"] for s in SCHEMAS
    )


@each_schema
def test_fields_are_a_page_of_the_documentation(schema: str) -> None:
    """Page and description say the same: the models that decide are those on the shelf."""
    page = Client().get("/docs/fields")
    text = unescape(page.content.decode())
    assert page.status_code == 200
    assert "default-src 'self'" in page["Content-Security-Policy"]
    for field in of_shelf(settings.ARTIFACTS_DIR)[schema]:
        begin = text.index(f'id="{schema}-{field.name}"')
        row = re.sub(r"</?code>", "`", text[begin : text.index("</tr>", begin)])
        assert all(part in row for part in (field.meaning, field.takes, field.known_text, field.use)), field.name


@pytest.mark.parametrize("path", ["/docs/models", "/docs/fields"])
def test_documentation_leads_to_its_pages(path: str) -> None:
    assert f'href="{path}"' in Client().get("/docs/errors").content.decode()
