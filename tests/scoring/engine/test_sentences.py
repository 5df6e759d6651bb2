"""What reasons say: no name of ours, and nothing that its value belies."""

import re
from itertools import product
from math import inf

import pytest

from apps.scoring.engine.features import Feature
from apps.scoring.engine.habits import NO_HABITS
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.waterfall import LABEL_CUT
from apps.scoring.engine.windows import QUIET
from apps.scoring.engine.wording import Direction, say

BOTH: tuple[Direction, ...] = ("up", "down")
EVERY = [(schema, feature) for schema in SCHEMAS.values() for feature in schema.features]
VALUES = (None, -3.0, 0.0, 0.004, 1.0, 1.001, 2.5, 14.3, 104.17, 1e6, 1e30)
ACCUSES = re.compile(r"stolen|theft|thief|unusual|misused|as accounts do")


def told_of(schema: str, name: str, value: float | str | None, direction: Direction = "up") -> str:
    (feature,) = (one for one in SCHEMAS[schema].features if one.name == name)
    return say(feature, direction, value)


def test_whatever_the_value_a_whole_sentence_is_told_without_our_names() -> None:
    for feature, value, direction in product([feature for _, feature in EVERY], VALUES, BOTH):
        said = say(feature, direction, value)
        assert said.endswith(".") and "{" not in said
        assert "_" not in said.replace(feature.field, "")
        assert not ACCUSES.search(said)


def test_every_feature_has_a_label_a_picture_can_show() -> None:
    for schema, feature in EVERY:
        assert 0 < len(feature.label) <= LABEL_CUT
        assert "_" not in feature.label or feature.label in schema.fields


def test_no_new_user_is_accused() -> None:
    payments = SCHEMAS["payments"]
    payment = payments.parse({"amount": 20, "user_id": "u", "merchant_id": "m"}, 1_760_000_000_000)
    row = payments.row(payment.transaction, payment.at_ms, [NO_HABITS, *[QUIET] * (len(payments.roles) - 1)])
    said = [
        say(feature, "up", value if value == value else None)
        for feature, value in zip(payments.features, row, strict=True)
    ]
    assert "The user made no payments in the last 24 hours." in said
    assert "What the user pays as a rule is not known." in said
    assert not any(ACCUSES.search(one) or "unknown" in one for one in said)


@pytest.mark.parametrize(
    ("schema", "name", "value", "said"),
    [
        ("payments", "against_kind", None, "What the user pays in this category is not known."),
        ("payments", "count_24h", None, "Nothing is known of the user's payments in the last 24 hours."),
        ("payments", "count_24h", 1.0, "The user made 1 payment in the last 24 hours."),
        ("payments", "against_usual", 45.0, "The amount is 45 times what the user pays as a rule."),
        ("payments", "against_usual", 0.7, "The amount is 70% of what the user pays as a rule."),
        ("payments", "device_days", 0.0, "The user was never seen with this device until today."),
        ("payments", "card_present", "no", "The card was not there."),
        ("payments", "card_present", 1.0, "The card was there."),
        ("paysim", "orig_sum_24h", None, "Nothing is known of the origin's outflow in the last 24 hours."),
        ("paysim", "share_of_balance", 1.0, "The amount is equal to the origin's balance."),
        ("paysim", "share_of_balance", 2.5, "The amount is 2.50 times the origin's balance."),
        ("paysim", "share_left", 0.0, "Nothing to speak of is left of what the origin held."),
        ("paysim", "share_left", 0.055, "Of what the origin held 5.5% is left."),
        ("paysim", "hours_into_night", 1.0, "It is 1 hour into the night."),
        ("paysim", "type", "TRANSFER", "The type TRANSFER raises the risk."),
        ("card_activity", "speed_kmh", 104.17, "From one payment of the last 24 hours to the next it was 104 km/h."),
        (
            "card_activity",
            "speed_kmh",
            48_000.0,
            "From one payment of the last 24 hours to the next it was 48,000 km/h.",
        ),
        ("card_activity", "night", 0.0, "It is not night."),
        ("ieee_cis", "V307", None, "V307 was not sent."),
        ("ieee_cis", "V307", 3.0, "Vesta's sum V307 is 3, which raises the risk."),
    ],
)
def test_what_is_said(schema: str, name: str, value: float | str | None, said: str) -> None:
    assert told_of(schema, name, value) == said


def test_without_a_limit_any_value_may_be_a_reason() -> None:
    assert Feature("a", "A", "a", "Up.", "Down.").up_above == -inf
