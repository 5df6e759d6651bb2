"""Reasons: at most five, the weightiest first, in the sender's words, and none that contradicts itself."""

from math import log1p, nan

import numpy as np
import pytest

from apps.scoring.engine.explain import LEAST_CONTRIBUTION, MOST_REASONS, NOTHING_UNUSUAL, Reason, reasons
from apps.scoring.engine.features import Feature
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.wording import say, shown
from tests.scoring.engine.conftest import EXAMPLES

IEEE = SCHEMAS["ieee_cis"]
PAID = IEEE.parse({"TransactionAmt": 150, "ProductCD": "W", "C1": 3}).transaction


def told(moved: dict[str, float], values: dict[str, float] | None = None) -> list[tuple[str, float]]:
    """(code, contribution) of the reasons when these features moved a score and all others are 1."""
    row = [(values or {}).get(name, 1.0) for name in IEEE.feature_names]
    added = np.array([moved.get(name, 0.0) for name in IEEE.feature_names], dtype="<f4")
    return [(reason.code, reason.contribution) for reason in reasons(IEEE, PAID, row, added)]


def test_the_weightiest_come_first_and_no_more_than_five() -> None:
    found = told({f"C{number}": number / 4 for number in range(1, 9)})
    assert [code for code, _ in found] == ["COUNT_C8", "COUNT_C7", "COUNT_C6", "COUNT_C5", "COUNT_C4"]
    assert len(found) == MOST_REASONS


def test_what_is_small_beside_the_largest_did_not_move_the_decision() -> None:
    assert told({"C1": 4.0, "C2": 0.39, "C3": -0.41}) == [("COUNT_C1", 4.0), ("COUNT_C3", -0.41)]


def test_when_nothing_moved_it_that_is_the_reason() -> None:
    assert told({"C1": LEAST_CONTRIBUTION / 2}) == [(NOTHING_UNUSUAL.code, 0.0)]


def test_what_was_not_sent_is_one_reason_that_names_what_to_send() -> None:
    row = [nan if name in ("C9", "V307", "C2") else 1.0 for name in IEEE.feature_names]
    moved = {"C9": 0.5, "V307": -1.5, "C2": 0.2, "C1": 0.3}
    added = np.array([moved.get(name, 0.0) for name in IEEE.feature_names], dtype="<f4")
    found = reasons(IEEE, PAID, row, added)
    assert [one.code for one in found] == ["NOT_SENT", "COUNT_C1"]
    assert found[0].text == "Not sent, and so weighed as unknown: V307, C9, C2."
    assert (found[0].field, found[0].direction, found[0].contribution) == ("V307", "down", pytest.approx(-0.8))


def test_what_one_code_says_twice_is_told_once() -> None:
    activity = SCHEMAS["card_activity"]
    failed = [feature.name for feature in activity.features if feature.code == "FAILED_BEFORE"]
    added = np.array([0.4 if name in failed else 0.0 for name in activity.feature_names], dtype="<f4")
    found = reasons(activity, None, [1.0] * len(added), added)
    assert [(one.code, one.contribution) for one in found] == [("FAILED_BEFORE", pytest.approx(0.8))]


def test_a_value_that_excuses_is_no_reason_for_a_higher_risk() -> None:
    assert told({"C1": 0.5, "C2": 0.4}) == [("COUNT_C1", 0.5), ("COUNT_C2", 0.4)]
    feature = Feature("against", "A", "amount", "Above.", "Below.", up_above=1.0, shown_as="exp")
    assert say(feature, "up", 3.0) == "Above."
    assert say(feature, "up", 0.5) == "Below."


def test_a_logarithm_is_shown_as_what_it_was_taken_of() -> None:
    money = Feature("money", "A", "amount", "{value}.", "{value}.", shown_as="expm1")
    assert shown(IEEE, money, log1p(300.0)) == 300.0
    assert shown(IEEE, money, nan) is None
    assert shown(IEEE, money, 1e6) > 1e300


def test_the_usual_stands_beside_the_value() -> None:
    feature = Feature("against", "A", "amount", "The amount is {factor} the usual{usual}.", "", shown_as="exp")
    assert say(feature, "up", 45.2, 950.0, "usually 21") == "The amount is 45 times the usual (usually 21)."
    assert say(feature, "up", 45.2) == "The amount is 45 times the usual."


def test_a_rules_reason_comes_first_and_is_not_repeated() -> None:
    row = [1.0] * len(IEEE.feature_names)
    added = np.array([1.0 if name in ("C1", "C2") else 0.0 for name in IEEE.feature_names], dtype="<f4")
    rule = Reason("RULE", "C1", 3.0, None, "up", "Too many.")
    assert [reason.code for reason in reasons(IEEE, PAID, row, added, rule, "C1")] == ["RULE", "COUNT_C2"]


def test_what_is_unknown_for_a_reason_of_its_own_says_it() -> None:
    paysim = SCHEMAS["paysim"]
    payment = paysim.parse({**EXAMPLES["paysim"], "nameOrig": "C1", "nameDest": "M1"}).transaction
    row = [nan if name == "share_of_balance" else 1.0 for name in paysim.feature_names]
    added = np.array([-2.0 if name == "share_of_balance" else 0.0 for name in paysim.feature_names], dtype="<f4")
    (reason,) = reasons(paysim, payment, row, added)
    assert (reason.code, reason.text) == ("SHARE_OF_BALANCE", "The origin held nothing before.")
