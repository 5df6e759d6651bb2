"""Ranges of values: what the conditions of a rule leave of a field's values, so that a rule that never holds is found.

Bounds, a choice of some values, and some left out. Pure, over numbers, texts, bools or instants.
"""

from collections.abc import Iterable
from math import ceil, floor
from typing import Any, NamedTuple

#: Whole numbers are looked at one by one up to so many.
FEW = 10_000


class Range(NamedTuple):
    """Values from `least` to `most` (None: no bound; `above`, `below`: without the bound itself), of these only those
    `chosen` (None: any), and none of those `without`. `whole`: whole numbers alone."""

    least: Any = None
    above: bool = False
    most: Any = None
    below: bool = False
    chosen: frozenset[Any] | None = None
    without: frozenset[Any] = frozenset()
    whole: bool = False

    @classmethod
    def within(cls, gt: Any, ge: Any, lt: Any, le: Any, *, whole: bool = False) -> "Range":
        """The range of a field declared with these bounds, each None or a number."""
        least, most = (ge if gt is None else gt), (le if lt is None else lt)
        return cls(least, gt is not None, most, lt is not None, whole=whole)

    def after(self, op: str, values: Iterable[Any]) -> "Range":
        """What is left when a condition holds as well: an operation of `rules.COMPARE` and what it compares with."""
        values = tuple(values)
        if op in ("eq", "in"):
            chosen = frozenset(values)
            return self._replace(chosen=chosen if self.chosen is None else self.chosen & chosen)
        if op in ("ne", "not_in"):
            return self._replace(without=self.without | frozenset(values))
        (bound,) = values
        if op in ("gt", "ge"):
            return self._from(bound, op == "gt")
        return self._up_to(bound, op == "lt")

    def _from(self, bound: Any, above: bool) -> "Range":
        if self.least is not None and (bound, above) <= (self.least, self.above):
            return self
        return self._replace(least=bound, above=above)

    def _up_to(self, bound: Any, below: bool) -> "Range":
        if self.most is not None and (bound > self.most or (bound == self.most and below <= self.below)):
            return self
        return self._replace(most=bound, below=below)

    def holds(self, value: Any) -> bool:
        """Whether a value is inside the bounds."""
        low = self.least is None or value > self.least or (value == self.least and not self.above)
        high = self.most is None or value < self.most or (value == self.most and not self.below)
        return low and high

    def is_empty(self) -> bool:
        """Whether no value is left."""
        values = self._one_by_one()
        if values is not None:
            return not values
        if self.least is None or self.most is None:
            return False
        return bool(self.least > self.most or (self.least == self.most and (self.above or self.below)))

    def same_as(self, other: "Range") -> bool:
        """Whether another range, which is left of this one, leaves out nothing."""
        ours, theirs = self._one_by_one(), other._one_by_one()
        if ours is not None and theirs is not None:
            return ours == theirs
        return self == other

    def relations(self, other: "Range") -> frozenset[str]:
        """How values of two ranges can stand to each other: "<", "=", ">"."""
        apart = (
            ("<", other.most, self.least, True),
            (">", self.most, other.least, True),
            ("=", other.most, self.least, other.below or self.above),
            ("=", self.most, other.least, self.below or other.above),
        )  # fmt: skip
        never = {
            sign
            for sign, most, least, touching in apart
            if most is not None and least is not None and (most < least or (most == least and touching))
        }
        return frozenset("<=>") - never

    def in_words(self) -> str:
        """The bounds in words, "" when there are none."""
        low = "" if self.least is None else f"{'above' if self.above else 'from'} {self.least:,.15g}"
        high = "" if self.most is None else f"{'below' if self.below else 'up to'} {self.most:,.15g}"
        return f"the field's values are {' '.join(filter(None, (low, high)))}" if low or high else ""

    def _one_by_one(self) -> frozenset[Any] | None:
        """The values that are left, where they can be told one by one."""
        if self.chosen is not None:
            return frozenset(value for value in self.chosen - self.without if self.holds(value))
        if self.whole and self.least is not None and self.most is not None and self.most - self.least <= FEW:
            every = range(ceil(self.least), floor(self.most) + 1)
            return frozenset(value for value in every if self.holds(value) and value not in self.without)
        if self.least is not None and self.least == self.most and not (self.above or self.below):
            return frozenset((self.least,)) - self.without
        return None


ANYTHING = Range()
