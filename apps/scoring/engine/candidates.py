"""Candidates for a counterfactual: what else the customer could have sent, the smallest change first. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import floor, log10
from typing import Any, NamedTuple

import numpy as np

from apps.scoring.engine.levers import LEVERS, Way
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.wording import SHOWN

#: Amounts tried between the present one and the least that people pay; beside other ways.
STEPS, FEW_STEPS = 8, 4
#: Digits of an amount that is tried first: from there on it is looked for to the cent.
DIGITS = 2
#: Ways that are tried together, at most.
TOGETHER = 3
#: What another way to pay weighs against an amount that is lowered all the way.
A_WAY = 0.5


class Candidate(NamedTuple):
    """A transaction that could have been sent: all that is otherwise, and why: other ways to pay, a lower amount."""

    changes: Mapping[str, Any]
    ways: tuple[Way, ...] = ()
    amount: float | None = None


UNCHANGED = Candidate({})


class Candidates:
    """What else could have been sent in place of one transaction. `least`: the smallest amount that people pay; without
    it amounts are left alone."""

    def __init__(self, schema: TransactionSchema, transaction: Any, least: float | None) -> None:
        self._levers, self._transaction = LEVERS[schema.name], transaction
        self.before = float(getattr(transaction, self._levers.amount.field))
        self.least = least if least is not None and least < self.before else None
        self._spreads: dict[int, list[float]] = {}  # by how many steps

    def stages(self) -> Iterator[list[Candidate]]:
        """One change; several ways to pay together; ways and an amount."""
        ways = [(way,) for way in self._levers.ways if self._applies(way)]
        yield [self.changed(way) for way in ways] + [self.changed((), amount) for amount in self._amounts(STEPS)]
        alone = [way for (way,) in ways]
        together = [some for count in range(2, TOGETHER + 1) for some in combinations(alone, count) if _agree(some)]
        yield [self.changed(some) for some in together]
        yield [self.changed(some, amount) for some in [*ways, *together] for amount in self._amounts(FEW_STEPS)]

    def above(self, candidate: Candidate) -> float:
        """The next larger amount that was tried, or the present one."""
        amount, steps = candidate.amount or 0.0, FEW_STEPS if candidate.ways else STEPS
        return min((one for one in self._amounts(steps) if one > amount), default=self.before)

    def changed(self, ways: tuple[Way, ...], amount: float | None = None) -> Candidate:
        """The transaction paid in these ways, with this amount."""
        changes: dict[str, Any] = {}
        for way in ways:
            changes |= way.sets
        if amount is not None:
            lever = self._levers.amount
            changes |= {lever.field: amount, **lever.follow(self._transaction, amount)}
        return Candidate(changes, ways, amount)

    def cost(self, candidate: Candidate) -> tuple[int, float]:
        """How much is changed: the fields the customer sets otherwise, then how far."""
        fields = sum(len(way.sets) for way in candidate.ways) + (candidate.amount is not None)
        return fields, self._lowered(candidate.amount) + A_WAY * len(candidate.ways)

    def _lowered(self, amount: float | None) -> float:
        """How much of what the amount may be lowered by: 0 to 1."""
        return 0.0 if amount is None or self.least is None else (self.before - amount) / (self.before - self.least)

    def _applies(self, way: Way) -> bool:
        differs = any(getattr(self._transaction, name) != value for name, value in way.sets.items())
        return differs and way.of(self._transaction)

    def _amounts(self, steps: int) -> list[float]:
        if self.least is None:
            return []
        if steps not in self._spreads:
            spread = _spread(self.before, self.least, steps, DIGITS)
            self._spreads[steps] = [amount for amount in spread if self.least <= amount]
        return self._spreads[steps]


def least_amount(
    schema: TransactionSchema, transaction: Any, row: Sequence[float], lowest_tenth: float
) -> float | None:
    """The least that people pay, in the transaction's currency: `lowest_tenth` of the amount's feature in the model's
    reference; None where what the amount is worth is not known."""
    lever = LEVERS[schema.name].amount
    place = schema.place_of[lever.feature]
    shown = SHOWN[schema.features[place].shown_as][0]
    worth, amount = shown(float(row[place])), getattr(transaction, lever.field)
    return None if worth != worth or worth <= 0 or amount <= 0 else shown(lowest_tenth) * amount / worth


def _spread(most: float, least: float, steps: int, digits: int) -> list[float]:
    """Round amounts below `most` down to about `least`, the largest first, spread evenly by their ratio; at least 1."""
    if most <= 1.0:
        return []
    spread = np.geomspace(most, max(least, 1.0), steps + 1)[1:].tolist()
    return [amount for amount in dict.fromkeys(_rounded_down(one, digits) for one in spread) if 1.0 <= amount < most]


def _rounded_down(amount: float, digits: int) -> float:
    """An amount people would name: whole, with so many digits that tell."""
    unit = 10.0 ** max(floor(log10(amount)) + 1 - digits, 0)
    return floor(amount / unit + 1e-9) * unit


def _agree(ways: Iterable[Way]) -> bool:
    """Whether no two ways set a field differently, and none is part of another."""
    for one, other in combinations(ways, 2):
        shared = one.sets.keys() & other.sets.keys()
        if any(one.sets[name] != other.sets[name] for name in shared) or shared in (one.sets.keys(), other.sets.keys()):
            return False
    return True
