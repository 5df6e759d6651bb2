"""Burn rates: how fast failures use up what the promise leaves for them, and when that calls a person. Pure.

The promise of 99.9 % leaves a budget of 0.1 % failures. A burn rate of 1 uses exactly that in a month; one of 14.4 uses
2 % of it in an hour. A rule calls when all its windows burn:
the long one says that it matters, the short one that it goes on (Site Reliability Workbook, chapter 5).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from apps.sla.credits import TARGET

MINUTE, HOUR, DAY = 60, 3_600, 86_400
BUDGET = 1 - TARGET


class Counts(NamedTuple):
    """Requests and probes of a window: well answered, and failed."""

    well: int = 0
    failed: int = 0


@dataclass(frozen=True)
class BurnRule:
    """Call when failures burn the budget at `rate` over each window (seconds); `pages`: at once, day and night.

    Fewer failures than `fewest` in the first window call nobody: of few requests a handful is chance.
    """

    name: str
    rate: Fraction
    windows: tuple[int, ...]
    pages: bool
    fewest: int


RULES: Sequence[BurnRule] = (
    BurnRule("fast", Fraction(144, 10), (HOUR, 5 * MINUTE), True, 3),  # 2 % of a month's budget in an hour
    BurnRule("slow", Fraction(6), (6 * HOUR, 30 * MINUTE), True, 6),  # 5 % in six hours
    BurnRule("creeping", Fraction(1), (3 * DAY,), False, 30),  # 10 % in three days
)
WINDOWS = tuple(sorted({window for rule in RULES for window in rule.windows}))


def burn_rate(counts: Counts) -> Fraction:
    """How many times faster than the budget allows; 0 of nothing."""
    total = sum(counts)
    return Fraction(counts.failed, total) / BUDGET if total else Fraction(0)


def calls(rule: BurnRule, counted: Callable[[int], Counts]) -> bool:
    """Whether a rule calls. `counted`: a window's length in seconds → its counts up to now."""
    counts = [counted(window) for window in rule.windows]
    return counts[0].failed >= rule.fewest and all(burn_rate(one) >= rule.rate for one in counts)
