"""Burn rates over simulated days: who is called, how soon, and who never is."""

import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from apps.sla.burn import DAY, RULES, WINDOWS, Counts, burn_rate, calls

EVERY = 30
#: Requests a second, failing share of them at a second.
Share = Callable[[int], float]


def called(per_second: float, share: Share, seconds: int, seed: int = 0) -> Iterator[tuple[int, str]]:
    """(second, rule) of each round of probes in which a rule calls. Two probes a minute are well but in an outage."""
    random_ = np.random.default_rng(seed)
    rounds = seconds // EVERY
    shares = np.array([share(number * EVERY) for number in range(rounds)])
    asked = random_.poisson(per_second * EVERY, rounds)
    failed = random_.binomial(asked, shares) + (shares == 1.0)
    well = asked + 1 - failed
    sums = np.cumsum([well, failed], axis=1, dtype=np.int64)
    for number in map(int, np.flatnonzero(failed)):  # nobody is called by what goes well

        def counted(window: int, number: int = number) -> Counts:
            before = number - window // EVERY
            counts = sums[:, number] - (sums[:, before] if before >= 0 else 0)
            return Counts(int(counts[0]), int(counts[1]))

        for rule in RULES:
            if calls(rule, counted):
                yield (number + 1) * EVERY, rule.name


def paged_after(per_second: float, share: float, well_before: int = DAY) -> float:
    """Seconds from the begin of failures until a page."""
    pages = {rule.name for rule in RULES if rule.pages}
    begins = called(per_second, lambda second: share if second >= well_before else 0.0, well_before + 7_200)
    return next((second - well_before for second, rule in begins if rule in pages), float("inf"))


@pytest.mark.parametrize("per_second", [0.0, 0.02, 1.0, 500.0])
def test_a_full_outage_pages_within_two_minutes(per_second: float) -> None:
    assert paged_after(per_second, 1.0) <= 120


@pytest.mark.parametrize("per_second", [1.0, 20.0, 500.0])
def test_five_percent_of_failures_page_within_half_an_hour(per_second: float) -> None:
    assert paged_after(per_second, 0.05) <= 1_800


@pytest.mark.parametrize("per_second", [0.02, 0.2, 2.0, 20.0])
def test_a_steady_half_of_the_budget_never_calls_in_thirty_days(per_second: float) -> None:
    assert list(called(per_second, lambda _: 0.0005, 30 * DAY, seed=random.Random(per_second).randrange(2**32))) == []


def test_the_creeping_rule_calls_for_what_uses_up_the_budget() -> None:
    begun = next(called(20.0, lambda _: 0.002, 4 * DAY))
    assert begun[1] == "creeping"


def test_nothing_burns_nothing() -> None:
    assert burn_rate(Counts()) == 0
    assert not any(calls(rule, lambda _: Counts(0, 2)) for rule in RULES)
    assert max(WINDOWS) == 3 * DAY
