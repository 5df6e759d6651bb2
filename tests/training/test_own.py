"""What an own model learns from and is measured by: maturity, censoring, what was known by then, too little of it; and
the figures it is compared by."""

from pathlib import Path

import numpy as np
import pytest

from apps.scoring.engine.own_decisions import Asked, Decisions
from apps.scoring.engine.own_past import DAY_SECONDS, FOR_GOOD
from apps.scoring.engine.schemas import SCHEMAS
from apps.training.data import UnusableData
from apps.training.own import compare
from apps.training.own.compare import Rows
from apps.training.own.material import material

DAY_MS = 1000 * DAY_SECONDS
BEGIN_MS = 1_522_540_800_000  # April 2018
ASKED = Asked("payments", "mdl_1", ("lightgbm",), Path())


def decisions(
    days: int = 120, a_day: int = 40, frauds_a_day: int = 4, known_after: float = 7.0, labels_until: float = 1e9
) -> Decisions:
    """Every so manieth a fraud, known some days later; those not known by `labels_until` (days) were not labelled."""
    count = days * a_day
    at_ms = BEGIN_MS + np.arange(count) * (DAY_MS // a_day)
    is_fraud = np.arange(count) % a_day < frauds_a_day
    known = at_ms // 1000 + int(known_after * DAY_SECONDS)
    is_fraud &= known <= BEGIN_MS // 1000 + labels_until * DAY_SECONDS
    rows = np.flatnonzero(is_fraud)
    return Decisions(
        features=np.zeros((count, len(SCHEMAS["payments"].features)), np.float32),
        at_ms=at_ms,
        hundredths=np.full(count, 1000.0),
        parties=np.tile(np.arange(count)[:, None] % 7, (1, 4)),
        is_fraud=is_fraud,
        fraud_known=np.where(is_fraud, known, FOR_GOOD),
        frauds=np.column_stack([rows, known[rows], np.full(len(rows), FOR_GOOD)]),
    )


def test_the_last_four_weeks_are_measured_and_the_maturity_lies_before_them() -> None:
    split = material(ASKED, decisions()).split
    assert split.maturity_days == pytest.approx(7.0)
    days = {name: [(at - BEGIN_MS) / DAY_MS for at in bounds] for name, bounds in split.bounds.items()}
    assert days["measured"] == pytest.approx([91.1, 119.1], abs=0.1)  # until a week before the last label
    assert days["held_out"][1] == pytest.approx(84.1, abs=0.1)
    assert days["fit"][1] < days["held_out"][0]
    assert split.censored == 36  # what came after the last fraud may be one yet


def test_decisions_too_young_to_be_known_are_left_out() -> None:
    made = material(ASKED, decisions(labels_until=120.0))
    assert made.split.censored == pytest.approx(7 * 40, abs=2)
    used = made.split.fit | made.split.held_out | made.split.measured
    assert not used[-7 * 40 + 2 :].any()


def test_what_is_learned_from_is_labelled_as_it_was_known_when_the_measured_weeks_began() -> None:
    late = decisions()
    late.fraud_known[late.at_ms < BEGIN_MS + 20 * DAY_MS] += 80 * DAY_SECONDS  # told of when it is measured
    late.fraud_known[~late.is_fraud] = FOR_GOOD
    made = material(ASKED._replace(maturity_days=7.0), late)
    early = made.decisions.at_ms < BEGIN_MS + 5 * DAY_MS
    assert made.label[early].any()
    begins_s = made.split.bounds["measured"][0] // 1000
    assert np.array_equal(made.label_then, late.is_fraud & (late.fraud_known <= begins_s))


REFUSED = {
    "no decisions": (decisions(days=0), {}, "There are no decisions"),
    "a short time": (decisions(days=9), {}, "Too short a time: nothing is left to learn from"),
    "few frauds": (decisions(frauds_a_day=1), {}, "Too few known frauds to learn from: 7"),
    "none honest": (decisions(frauds_a_day=40), {}, "There are no honest decisions to learn from."),
    "labels without their time": (decisions(known_after=3000.0), {"maturity_days": 7.0}, "more were known only later"),
}


@pytest.mark.parametrize(("log", "asked", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_too_little_is_refused_with_a_sentence(log: Decisions, asked: dict[str, float], sentence: str) -> None:
    with pytest.raises(UnusableData, match=sentence):
        material(ASKED._replace(**asked), log)


def test_decisions_dated_before_a_moment_keep_their_frauds() -> None:
    whole = decisions()
    half = whole.dated_before(int(whole.at_ms[2000]))
    assert len(half.at_ms) == len(half.features) == 2000
    assert half.frauds[:, 0].max() < 2000
    assert len(half.frauds) == half.is_fraud.sum()


def test_the_riskiest_of_a_day_are_parties_and_once_found_leave_the_list() -> None:
    at_ms = BEGIN_MS + np.array([0, 0, 0, 0, 1, 1, 1]) * DAY_MS
    party = np.array([1, 1, 2, 3, 1, 2, 3])
    label = np.array([False, True, False, False, True, False, True])
    probability = np.array([0.9, 0.1, 0.8, 0.7, 0.9, 0.2, 0.1])
    rows = Rows(label, at_ms, party)
    # day 1: cards 1 and 2, of which 1 was defrauded. Day 2: 1 and 2 again; without 1, which was found, 2 and 3.
    assert compare.riskiest_a_day(rows, probability, 2).tolist() == [0.5, 0.5]
    assert compare.riskiest_a_day(rows, probability, 2, once=True).tolist() == [0.5, 0.5]
    assert compare.riskiest_a_day(rows, probability, 1).tolist() == [1.0, 1.0]
    assert compare.riskiest_a_day(rows, probability, 1, once=True).tolist() == [1.0, 0.0]


def test_as_many_stand_above_any_risk_score_as_before() -> None:
    random = np.random.default_rng(3)
    margins, shared = random.normal(size=200_000), np.rint(1000 * random.random(200_000) ** 2).astype(int)
    reference, scores = compare.reference_of(margins[::2]), compare.risk_scores_of(shared[::2])
    mapped = compare.ranked(reference, scores, margins[1::2])
    for threshold in (100, 500, 900, 990, 998):
        assert (mapped >= threshold).mean() == pytest.approx((shared[1::2] >= threshold).mean(), abs=0.005)
