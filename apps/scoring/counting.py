"""Decisions in columns → what is added to each roll-up. Pure.

Every roll-up is bounded by what it is keyed by, never by the number of decisions: days or hours, the few words of a
dimension, a policy's rules and their pairs; parties only of risky decisions, in a sketch (`heavy_hitters.py`).
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from operator import itemgetter
from typing import Any, NamedTuple

from apps.scoring import heavy_hitters
from apps.scoring.heavy_hitters import Sketch

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
#: Levels at which a decision counts as fraud found.
RISKY = frozenset(("high", "critical"))
#: Lower bounds of the bands amounts are counted in, in the transactions' own currency; each reaches to the next.
BANDS = (0, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
_BAND_WORDS = tuple(map(str, BANDS))
_HOURS = tuple(f"{hour:02d}" for hour in range(24))
#: What decisions of a day are counted by, one word each. A decision without the word is not counted there.
DIMENSIONS = ("category", "country", "hour", "amount", "level", "model", "fraud_type")
#: Those whose words come in few combinations are looked at together, each other one alone.
_TOGETHER = (("hour", "level", "model", "fraud_type"), ("category",), ("country",), ("amount",))
RULE = "rule:"


class Columns(NamedTuple):
    """n decisions, a list of n values each. `created_us` is µs since 1970; `model` is name@version, "" without one."""

    created_us: Sequence[int]
    livemode: Sequence[bool]
    schema: Sequence[str]
    fraud_probability: Sequence[float | None]
    risk_level: Sequence[str]
    recommended_action: Sequence[str]
    decisive: Sequence[str]
    model: Sequence[str]
    amount: Sequence[float]
    parties: Sequence[Sequence[str]]
    party_fields: Sequence[Sequence[str]]
    rules_hit: Sequence[Sequence[str]]
    category: Sequence[str]
    country: Sequence[str]
    fraud_type: Sequence[str]
    features: Sequence[bytes]

    def where(self, rows: Sequence[int]) -> "Columns":
        """Only these rows."""
        if len(rows) < 2:  # of one `itemgetter` tells the value itself
            return Columns._make([column[row] for row in rows] for column in self)
        return Columns._make(map(itemgetter(*rows), self))

    @property
    def risky(self) -> list[bool]:
        return [level in RISKY for level in self.risk_level]


#: Key → the sums that are added to its row.
Sums = Mapping[tuple[Any, ...], Sequence[float]]


def by_kind(columns: Columns) -> Iterable[tuple[bool, str, Columns]]:
    """Decisions apart by mode and kind of transaction."""
    kinds = list(zip(columns.livemode, columns.schema, strict=True))
    different = sorted(set(kinds))
    if len(different) == 1:
        yield *different[0], columns
        return
    for kind in different:
        yield *kind, columns.where([row for row, one in enumerate(kinds) if one == kind])


def outcomes(columns: Columns) -> Sums:
    """(hour since 1970, action) → decisions, of them risky."""
    sums: dict[tuple[Any, ...], tuple[int, int]] = {}
    hours = _numbers(columns.created_us, HOUR_US)
    for (hour, action, risky), count in _together(hours, columns.recommended_action, columns.risky):
        decisions, fraud = sums.get((hour, action), (0, 0))
        sums[hour, action] = (decisions + count, fraud + count * risky)
    return sums


def scores(columns: Columns) -> Sums:
    """(day since 1970, whole percent of fraud probability) → decisions; 100 counts as 99."""
    percents = [None if score is None else min(int(100 * score), 99) for score in columns.fraud_probability]
    counted = _together(_numbers(columns.created_us, DAY_US), percents)
    return {key: (count,) for key, count in counted if key[1] is not None}


def _together(*columns: Sequence[Any]) -> Iterable[tuple[tuple[Any, ...], int]]:
    """Every combination of what columns say, and of how many rows."""
    return Counter(zip(*columns, strict=True)).items()


def _numbers(created_us: Sequence[int], unit_us: int) -> list[int]:
    """The number of each time's hour or day since 1970: mostly all are of one, and then it is reckoned once."""
    first = min(created_us) // unit_us
    same = first == max(created_us) // unit_us
    return [first] * len(created_us) if same else [us // unit_us for us in created_us]


def patterns(columns: Columns) -> Sums:
    """(day, dimension, word) → decisions, of them risky, amount, of it in risky decisions."""
    days = _numbers(columns.created_us, DAY_US)
    hours = [_HOURS[hour % 24] for hour in _numbers(columns.created_us, HOUR_US)]
    bands = [_BAND_WORDS[max(bisect_right(BANDS, amount) - 1, 0)] for amount in columns.amount]
    told = (columns.category, columns.country, hours, bands, columns.risk_level, columns.model, columns.fraud_type)
    words, risky = dict(zip(DIMENSIONS, told, strict=True)), columns.risky
    sums: dict[tuple[Any, ...], list[float]] = {}
    for dimensions in _TOGETHER:
        keys = zip(days, risky, *(words[dimension] for dimension in dimensions), strict=True)
        for (day, bad, *said), count, amount in _alike(keys, columns.amount):
            for dimension, word in zip(dimensions, said, strict=True):
                if word:
                    row = sums.setdefault((day, dimension, word), [0, 0, 0.0, 0.0])
                    row[0] += count
                    row[1] += count if bad else 0
                    row[2] += amount
                    row[3] += amount if bad else 0.0
    return sums


def _alike(keys: Iterable[tuple[Any, ...]], amounts: Sequence[float]) -> Iterable[tuple[tuple[Any, ...], int, float]]:
    """Decisions that share all their words, how many they are, their amount: of a thousand there are some dozens."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for key, amount in zip(keys, amounts, strict=True):
        one = found.get(key)
        if one is None:
            found[key] = [amount]
        else:
            one.append(amount)
    for key, same in found.items():
        yield key, len(same), sum(same)


def rules(columns: Columns) -> Sums:
    """(day, rule, "" or a second rule that was hit with it) → decisions, of them risky, of them decided by the rule."""
    hits: Counter[tuple[Any, ...]] = Counter()
    risky: Counter[tuple[Any, ...]] = Counter()
    decided: Counter[tuple[Any, ...]] = Counter()
    days = _numbers(columns.created_us, DAY_US)
    alike = Counter(zip(days, map(tuple, columns.rules_hit), columns.decisive, columns.risky, strict=True))
    for (day, hit, decisive, bad), count in alike.items():
        names = sorted(hit)
        keys = [*((day, name, "") for name in names), *((day, *pair) for pair in combinations(names, 2))]
        hits.update(dict.fromkeys(keys, count))
        if bad:
            risky.update(dict.fromkeys(keys, count))
        if decisive.startswith(RULE):
            decided[day, decisive.removeprefix(RULE), ""] += count
    return {key: (count, risky[key], decided[key]) for key, count in hits.items()}


def parties(columns: Columns) -> Mapping[tuple[int, str], Sketch]:
    """(day, field) → the parties it named in risky decisions."""
    named: dict[tuple[int, str], tuple[list[str], list[int]]] = {}
    for row, risky in enumerate(columns.risky):
        if risky:
            day = columns.created_us[row] // DAY_US
            for field, party in zip(columns.party_fields[row], columns.parties[row], strict=True):
                names, rows = named.setdefault((day, field), ([], []))
                names.append(party)
                rows.append(row)
    return {key: _sketch(columns, *of_field) for key, of_field in named.items()}


def _sketch(columns: Columns, names: Sequence[str], rows: Sequence[int]) -> Sketch:
    """Parties by the rows that name them; sums are made only for those that stay."""
    counted = Counter(names)
    taken = heavy_hitters.taken(counted.values())
    sums: dict[str, list[float]] = {}
    for party, row in zip(names, rows, strict=True):
        if counted[party] > taken:
            one = sums.setdefault(party, [0, 0.0, 0.0])
            one[0] += 1
            one[1] += columns.fraud_probability[row] or 0.0
            one[2] += columns.amount[row]
    return heavy_hitters.of(sums, taken)


def sampled(count: int) -> slice:
    """Which of so many decisions stand for all in the histograms of features: each of few, every tenth of many."""
    return slice(0, count, 1 if count <= FEW else EVERY)


FEW, EVERY = 50, 10
