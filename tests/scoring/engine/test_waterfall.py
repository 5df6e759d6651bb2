import math
from xml.etree import ElementTree

import pytest

from apps.scoring.engine.explain import explanation
from apps.scoring.engine.waterfall import MOST_BARS, waterfall_svg
from tests.scoring.engine.conftest import DRAINED

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def explained(engine, model, paysim, policy):
    decision = engine.decide("paysim", paysim(**DRAINED), {}, policy)
    return explanation(model.card, decision.features, decision.contributions)


def drawn(explained, title="Decision"):
    items = [(item.feature, item.value, item.contribution) for item in explained.items]
    return ElementTree.fromstring(waterfall_svg(title, explained.base_value, explained.log_odds, items))  # noqa: S314


def test_an_explanation_sums_and_is_ordered(explained):
    added = [item.contribution for item in explained.items]
    assert math.isclose(explained.base_value + sum(added), explained.log_odds)
    assert added == sorted(added, key=lambda one: -abs(one))
    assert explained.items[0].feature == "share_left"
    assert {item.feature: item.value for item in explained.items}["type"] == "TRANSFER"


def test_stored_vectors_of_another_model_are_refused(model):
    with pytest.raises(ValueError, match="not of this model"):
        explanation(model.card, b"\0" * 8, b"\0" * 8)


def test_the_picture_shows_the_largest_and_the_rest_as_one(explained):
    picture = drawn(explained)
    assert len(picture.findall(f"{SVG}path")) == MOST_BARS + 1
    words = [text.text or "" for text in picture.findall(f"{SVG}text")]
    assert any("others" in word for word in words)
    assert any(word.startswith("f(x)") for word in words)
    assert any(word.startswith("E[f(x)]") for word in words)


def test_the_picture_speaks_to_a_screen_reader(explained):
    picture = drawn(explained)
    assert picture.get("role") == "img"
    assert picture.find(f"{SVG}title").text == "Decision"
    assert "log-odds" in picture.find(f"{SVG}desc").text


def test_hostile_text_is_only_text(explained):
    assert drawn(explained, '<script>&"\x00').find(f"{SVG}title").text == '<script>&"?'
    assert ElementTree.fromstring(waterfall_svg("t", 0.0, 0.0, []))  # noqa: S314
    assert ElementTree.fromstring(waterfall_svg("t", 0.0, 0.5, [("<a>", None, 0.5)]))  # noqa: S314
