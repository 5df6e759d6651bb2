"""Conditions: numbers in, what is the matter out. Each kind by a table of what is and what is none."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.alerts import conditions
from apps.alerts.conditions import HourShare, poisson_tail
from apps.alerts.kinds import KINDS, defaults, refusals
from apps.alerts.readings import READINGS
from apps.alerts.timing import QuietHours, Step, due_step, is_quiet, may_send

HOUR = datetime(2026, 11, 25, 14, tzinfo=UTC)
USUAL = [HourShare(1_000, 10)] * 4


@pytest.mark.parametrize(
    ("now", "before", "found"),
    [
        (HourShare(1_000, 60), USUAL, True),
        (HourShare(1_000, 29), USUAL, False),  # not thrice the usual
        (HourShare(99, 99), USUAL, False),  # too few decisions
        (HourShare(120, 4), USUAL, False),  # thrice the usual, and still chance
        (HourShare(1_000, 60), USUAL[:1], False),  # one week says nothing
        (HourShare(1_000, 60), [HourShare(0, 0)] * 4, False),
        (HourShare(1_000, 60), [HourShare(1_000, 0)] * 4, True),  # never a fraud before
        (HourShare(1_000, 1), [HourShare(1_000, 0)] * 4, False),
    ],
)
def test_a_fraud_rate_is_a_spike_when_chance_does_not_explain_it(
    now: HourShare, before: list[HourShare], found: bool
) -> None:
    told = conditions.fraud_rate_spike(now, before, defaults("fraud_rate_spike"), HOUR)
    assert (told is not None) == found


@pytest.mark.parametrize(
    ("now", "before", "found"),
    [
        (0, [500, 400, 600, 500], True),
        (150, [500, 400, 600, 500], True),
        (151, [500, 400, 600, 500], False),
        (0, [50, 50, 50, 50], False),  # too little to miss
        (0, [500, 0, 0, 0], False),
        (0, [500, 500, 0, 0], True),
    ],
)
def test_a_drop_is_held_against_the_median_of_the_weeks(now: int, before: list[int], found: bool) -> None:
    assert (conditions.volume_drop(now, before, defaults("volume_drop"), HOUR) is not None) == found


@pytest.mark.parametrize(
    ("refused", "decided", "found"), [(20, 80, True), (9, 91, False), (50, 40, False), (0, 0, False)]
)
def test_an_error_rate_takes_enough_calls(refused: int, decided: int, found: bool) -> None:
    assert (conditions.error_rate(refused, decided, defaults("error_rate"), HOUR) is not None) == found


@pytest.mark.parametrize(("now", "busiest", "found"), [(5_000, 1_000, True), (4_999, 1_000, False), (999, 1, False)])
def test_a_key_is_held_against_its_busiest_hour(now: int, busiest: int, found: bool) -> None:
    told = conditions.key_unusual_rate("1", "shop", now, busiest, defaults("key_unusual_rate"), HOUR)
    assert (told is not None) == found


@pytest.mark.parametrize(("used", "limit", "found"), [(100.0, 100.0, True), (99.0, 100.0, False), (5.0, 0.0, False)])
def test_cost_is_a_share_of_a_budget(used: float, limit: float, found: bool) -> None:
    assert (conditions.cost("spend_cap", used, limit, "USD", defaults("cost"), HOUR) is not None) == found


@pytest.mark.parametrize(("found", "before", "told"), [(10, 0.01, True), (10, 0.05, False), (4, 0.0, False)])
def test_data_quality_takes_a_share_and_a_change(found: int, before: float, told: bool) -> None:
    said = conditions.data_quality("paysim", "missing", "amount", 100, found, before, defaults("data_quality"), HOUR)
    assert (said is not None) == told


@pytest.mark.parametrize(
    ("moved", "told"),
    [([], ""), ([("amount", 0.2)], ""), ([("amount", 0.3), ("score", 0.5), ("step", 0.1)], "score of paysim")],
)
def test_drift_is_of_what_moved_farthest(moved: list[tuple[str, float]], told: str) -> None:
    said = conditions.drift("paysim", "xgboost@1", moved, defaults("drift"), HOUR)
    assert (said.title if said else "").startswith(told) and bool(said) == bool(told)
    if said:
        assert (said.key, said.values["features"]) == ("paysim:xgboost@1", 2)


def test_the_tail_of_poisson_is_right() -> None:
    assert poisson_tail(0, 3.0) == 1.0
    assert poisson_tail(10, 3.0) == pytest.approx(0.001102, rel=1e-3)
    assert poisson_tail(1_100, 1_001.0) == pytest.approx(0.0011, rel=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_sound_thresholds_and_somebody_who_looks(kind: str) -> None:
    assert refusals(kind, defaults(kind)) == {}
    assert (kind in READINGS) == (KINDS[kind].pace != "told")
    for name, threshold in KINDS[kind].thresholds.items():
        wrong = "no such" if threshold.choices else threshold.most + 1
        said = refusals(kind, {name: wrong})[name]
        assert f"{threshold.most:g}" in said or threshold.choices[0] in said
        assert refusals(kind, {name: True})


@pytest.mark.parametrize(
    ("at", "quiet"),
    [("21:59", False), ("22:00", True), ("23:30", True), ("06:59", True), ("07:00", False), ("12:00", False)],
)
def test_quiet_hours_go_over_midnight_in_their_own_zone(at: str, quiet: bool) -> None:
    hours = QuietHours("22:00", "07:00", "America/New_York")
    local = datetime.fromisoformat(f"2026-11-25T{at}:00-05:00")
    assert is_quiet(hours, local.astimezone(UTC)) == quiet
    assert is_quiet(QuietHours("09:00", "17:00"), HOUR)
    assert not is_quiet(None, HOUR)


def test_steps_come_one_after_the_other() -> None:
    steps = (Step(30, ("a@example.com",)), Step(60, ("b@example.com",)))
    later = [HOUR + timedelta(minutes=minutes) for minutes in (29, 30, 60)]
    assert [due_step(steps, 0, HOUR, now) for now in later] == [None, steps[0], steps[0]]
    assert [due_step(steps, 1, HOUR, now) for now in later] == [None, None, steps[1]]
    assert due_step(steps, 2, HOUR, later[-1]) is None
    assert may_send(None, timedelta(hours=1), HOUR)
    assert not may_send(HOUR, timedelta(hours=1), later[0])
