"""The parties with the most risky decisions, in a bounded sketch that can be added to and merged. Pure.

Misra and Gries' summary as Agarwal et al. merge it (Mergeable Summaries, 2012): at most `MOST` counters; when there are
more, the largest that must go is taken from all, and those left with nothing go. A count is then too low by at most
`error`, which is at most n / (MOST + 1) of n counted; while no more parties than that were named, all counts are exact.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

#: Counters of one day, kind and field.
MOST = 100


class Counter(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Of one party: risky decisions, the sum of their probabilities, their amount."""

    decisions: float
    probability: float
    amount: float


class Sketch(msgspec.Struct, array_like=True, frozen=True):
    """Counters by party. `error`: by how many decisions a count may be too low; that of a party not here is 0."""

    counters: dict[str, Counter] = {}
    error: float = 0.0


pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(Sketch).decode


def merged(sketches: Iterable[Sketch], most: int = MOST) -> Sketch:
    """All of them as one of at most so many counters."""
    counters: dict[str, Counter] = {}
    error = 0.0
    for sketch in sketches:
        error += sketch.error
        for party, one in sketch.counters.items():
            known = counters.get(party)
            counters[party] = one if known is None else _both(known, one)
    less = taken([one.decisions for one in counters.values()], most)
    if less:
        counters = {party: _less(one, less) for party, one in counters.items() if one.decisions > less}
    return Sketch(counters, error + less)


def _both(one: Counter, other: Counter) -> Counter:
    return Counter(one.decisions + other.decisions, one.probability + other.probability, one.amount + other.amount)


def summed(sketches: Iterable[Sketch]) -> tuple[dict[str, list[float]], float]:
    """What all of them counted, by party: decisions, probabilities, amounts; and the sum of their errors."""
    sums: dict[str, list[float]] = {}
    error = 0.0
    for sketch in sketches:
        error += sketch.error
        for party, one in sketch.counters.items():
            known = sums.get(party)
            if known is None:
                sums[party] = [one.decisions, one.probability, one.amount]
            else:
                known[0] += one.decisions
                known[1] += one.probability
                known[2] += one.amount
    return sums, error


def leading(sketches: Sequence[Sketch], most: int) -> tuple[dict[str, list[float]], float]:
    """What `summed` tells of the parties counted most often: so many, and all that share the last one's count."""
    decisions: dict[str, float] = {}
    for sketch in sketches:
        for party, one in sketch.counters.items():
            decisions[party] = decisions.get(party, 0.0) + one.decisions
    least = sorted(decisions.values(), reverse=True)[most - 1] if len(decisions) > most else 0.0
    wanted = [party for party, count in decisions.items() if count >= least]
    return summed(_only(sketch, wanted) for sketch in sketches)


def _only(sketch: Sketch, parties: Iterable[str]) -> Sketch:
    counters = sketch.counters
    return Sketch({party: counters[party] for party in parties if party in counters}, sketch.error)


def without(sketch: Sketch, parties: Iterable[str]) -> Sketch:
    """The sketch with some parties forgotten."""
    gone = frozenset(parties)
    return Sketch({party: one for party, one in sketch.counters.items() if party not in gone}, sketch.error)


def of(sums: Mapping[str, Sequence[float]], less: float) -> Sketch:
    """A sketch of sums by party (decisions, probabilities, amounts), so many decisions being taken from each."""
    return Sketch({party: _less(Counter(*one), less) for party, one in sums.items()}, less)


def taken(decisions: Collection[float], most: int = MOST) -> float:
    """What is taken from every count, so that no more than so many are left."""
    return sorted(decisions, reverse=True)[most] if len(decisions) > most else 0.0


def _less(one: Counter, less: float) -> Counter:
    """So many decisions fewer, and as much of their sums."""
    if not less:
        return one
    share = (one.decisions - less) / one.decisions
    return Counter(one.decisions - less, one.probability * share, one.amount * share)
