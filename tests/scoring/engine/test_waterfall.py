import math
from xml.etree import ElementTree

import numpy as np
import pytest

from apps.scoring.engine.explain import explanation
from apps.scoring.engine.history import unknown
from apps.scoring.engine.models import load_active
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.waterfall import MOST_BARS, waterfall_svg
from apps.scoring.engine.wording import number
from tests.scoring.engine.conftest import ARTIFACTS, DRAINED, EXAMPLES

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def explained(engine, model, paysim, policy):
    decision = engine.decide("paysim", paysim(**DRAINED), {}, policy)
    return explanation(model.card, decision.features, decision.contributions, DRAINED)


def drawn(explained, title="Decision"):
    items = [(item.feature, item.value, item.contribution) for item in explained.items]
    return ElementTree.fromstring(waterfall_svg(title, explained.base_value, explained.log_odds, items))  # noqa: S314


def test_an_explanation_sums_and_is_ordered(explained):
    added = [item.contribution for item in explained.items]
    assert math.isclose(explained.base_value + sum(added), explained.log_odds)
    assert added == sorted(added, key=lambda one: -abs(one))
    assert explained.items[0].feature == "share_left"
    assert {item.feature: item.value for item in explained.items}["type"] == "TRANSFER"


@pytest.mark.parametrize(
    ("schema", "facts", "amount"),
    [
        ("payments", {"amount": 275.5, "currency": "eur", "user_id": "u", "merchant_id": "m"}, (275.5, "EUR")),
        ("payments", {"amount": 3_000_000.0, "currency": "VND", "user_id": "u", "merchant_id": "m"}, (3e6, "VND")),
        ("payments", {"amount": 40.0, "user_id": "u", "merchant_id": "m"}, (40.0, None)),
        ("card_activity", EXAMPLES["card_activity"] | {"Transaction_Currency": "UZS"}, (None, "UZS")),
        ("paysim", DRAINED, (180_000.0, None)),
    ],
)
def test_amounts_are_told_as_they_were_sent(schema, facts, amount):
    kind = SCHEMAS[schema]
    parsed = kind.parse(facts, 1_760_000_000_000)
    row = kind.row(parsed.transaction, parsed.at_ms, [unknown(role) for role in kind.roles])
    model = next(iter(load_active(ARTIFACTS, schema).values()))
    vector = np.array(row, "<f4").tobytes()
    items = explanation(model.card, vector, vector, parsed.facts).items
    (of_amount,) = (item for item in items if item.code == "AMOUNT")
    sent = parsed.facts[kind.amount_field] if amount[0] is None else amount[0]
    assert (of_amount.value, of_amount.unit) == (sent, amount[1])
    assert number(sent) in of_amount.text
    assert {item.unit for item in items if item.code.startswith("AMOUNT_AGAINST")} <= {"times"}


def test_stored_vectors_of_another_model_are_refused(model):
    with pytest.raises(ValueError, match="not of this model"):
        explanation(model.card, b"\0" * 8, b"\0" * 8, {})


def test_the_picture_shows_the_largest_and_the_rest_as_one(explained):
    picture = drawn(explained)
    assert len(picture.findall(f"{SVG}path")) == MOST_BARS + 1
    words = [text.text or "" for text in picture.findall(f"{SVG}text")]
    assert any("others" in word for word in words)
    assert any(word.startswith("This transaction: ") for word in words)
    assert any(word.startswith("A typical honest one: ") for word in words)


def test_the_picture_speaks_to_a_screen_reader(explained):
    picture = drawn(explained)
    assert picture.get("role") == "img"
    assert picture.find(f"{SVG}title").text == "Decision"
    assert "log-odds" in picture.find(f"{SVG}desc").text


def test_hostile_text_is_only_text(explained):
    assert drawn(explained, '<script>&"\x00').find(f"{SVG}title").text == '<script>&"?'
    assert ElementTree.fromstring(waterfall_svg("t", 0.0, 0.0, []))  # noqa: S314
    assert ElementTree.fromstring(waterfall_svg("t", 0.0, 0.5, [("<a>", None, 0.5)]))  # noqa: S314
