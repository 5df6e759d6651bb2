"""Decisions in columns → what is added to each roll-up. Pure.

Of a thousand decisions most say the same in nearly all that is counted: they are grouped once, and each roll-up looks
at the groups. Only what differs from row to row, words of many and scores, is counted by row, by numpy.

Every roll-up is bounded by what it is keyed by, never by the number of decisions: days or hours, the few words of a
dimension, a policy's rules and their pairs; parties only of risky decisions, in a sketch (`heavy_hitters.py`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from apps.scoring import heavy_hitters
from apps.scoring.heavy_hitters import Sketch

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
#: Levels at which a decision counts as fraud found.
RISKY = frozenset(("high", "critical"))
#: Of a kind's decisions in one batch: so few are each looked at for histograms of features, of more every tenth.
FEW, EVERY = 50, 10
#: Whole percents of fraud probability.
PERCENTS = 100
#: Lower bounds of the bands amounts are counted in, in the transactions' own currency; each reaches to the next.
BANDS = (0, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
_BAND_WORDS = tuple(map(str, BANDS))
_HOURS = tuple(f"{hour:02d}" for hour in range(24))
#: What decisions of a day are counted by, one word each. A decision without the word is not counted there.
DIMENSIONS = ("category", "country", "hour", "amount", "level", "model", "fraud_type")
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


class Alike(NamedTuple):
    """What decisions that are counted together share. `hour` is its number since 1970."""

    livemode: bool
    schema: str
    hour: int
    risk_level: str
    recommended_action: str
    decisive: str
    model: str
    fraud_type: str
    rules_hit: tuple[str, ...]

    @property
    def day(self) -> int:
        return self.hour // 24

    @property
    def risky(self) -> bool:
        return self.risk_level in RISKY


class Kind(NamedTuple):
    """What words and scores are counted by."""

    livemode: bool
    schema: str
    day: int
    risky: bool


class Grouped(NamedTuple):
    """n decisions; of each the place of what it shares with others (`of_row`, int[n]), and of its kind (`kind_of_row`).

    `amount` is float64[n].
    """

    columns: Columns
    amount: np.ndarray
    alike: Sequence[Alike]
    of_row: np.ndarray
    kinds: Sequence[Kind]
    kind_of_row: np.ndarray

    @property
    def counted(self) -> Iterable[tuple[Alike, int, float]]:
        """What is shared, by how many decisions, and their amount."""
        counts, amounts = np.bincount(self.of_row), np.bincount(self.of_row, self.amount)
        return zip(self.alike, counts.tolist(), amounts.tolist(), strict=True)


#: Mode, kind of transaction, hour or day since 1970, … → the sums that are added to its row.
Sums = Mapping[tuple[Any, ...], Sequence[float]]


def grouped(columns: Columns) -> Grouped:
    """Decisions with those they are counted together with."""
    hours, hits = _numbers(columns.created_us, HOUR_US), map(tuple, columns.rules_hit)
    alike, of_row = _places(
        zip(
            columns.livemode,
            columns.schema,
            hours,
            columns.risk_level,
            columns.recommended_action,
            columns.decisive,
            columns.model,
            columns.fraud_type,
            hits,
            strict=True,
        )
    )
    shared = [Alike(*one) for one in alike]
    kinds, kind_of = _places((one.livemode, one.schema, one.day, one.risky) for one in shared)
    amount = np.array(columns.amount, np.float64)
    return Grouped(columns, amount, shared, of_row, [Kind(*one) for one in kinds], kind_of[of_row])


def _places(values: Iterable[Any]) -> tuple[Sequence[Any], np.ndarray]:
    """The different ones of n values, and the place of each value among them, int[n]."""
    places: dict[Any, int] = {}
    found = [places.setdefault(value, len(places)) for value in values]
    return list(places), np.array(found, np.intp)


def _numbers(created_us: Sequence[int], unit_us: int) -> list[int]:
    """The number of each time's hour or day since 1970: mostly all are of one, and then it is reckoned once."""
    first = min(created_us, default=0) // unit_us
    same = first == max(created_us, default=0) // unit_us
    return [first] * len(created_us) if same else [us // unit_us for us in created_us]


def _added(sums: Iterable[tuple[tuple[Any, ...], Sequence[float]]]) -> Sums:
    """Sums of one key become one."""
    found: dict[tuple[Any, ...], Sequence[float]] = {}
    for key, values in sums:
        known = found.get(key)
        found[key] = values if known is None else [one + more for one, more in zip(known, values, strict=True)]
    return found


def outcomes(grouped: Grouped) -> Sums:
    """(…, hour, action) → decisions, of them risky."""
    return _added(
        ((one.livemode, one.schema, one.hour, one.recommended_action), (count, count if one.risky else 0))
        for one, count, _ in grouped.counted
    )


def scores(grouped: Grouped) -> Sums:
    """(…, day, whole percent of fraud probability) → decisions; 100 counts as 99."""
    probability = np.array(grouped.columns.fraud_probability, np.float64)  # None is nan
    known = ~np.isnan(probability)
    percent = np.minimum(100 * probability[known], PERCENTS - 1).astype(np.intp)
    counts = np.bincount(PERCENTS * grouped.kind_of_row[known] + percent)
    cells = np.flatnonzero(counts)
    return _added(
        ((*grouped.kinds[cell // PERCENTS][:3], cell % PERCENTS), (count,))
        for cell, count in zip(cells.tolist(), counts[cells].tolist(), strict=True)
    )


def patterns(grouped: Grouped) -> Sums:
    """(…, day, dimension, word) → decisions, of them risky, amount, of it in risky decisions."""
    columns = grouped.columns
    bands = np.maximum(np.searchsorted(BANDS, grouped.amount, side="right") - 1, 0)
    by_row = {
        "category": _places(columns.category),
        "country": _places(columns.country),
        "amount": (_BAND_WORDS, bands),
    }
    rows = (one for dimension, said in by_row.items() for one in _by_word(grouped, dimension, *said))
    return _added(
        ((kind.livemode, kind.schema, kind.day, dimension, word), _with_risky(count, amount, kind.risky))
        for kind, dimension, word, count, amount in (*rows, *_by_group(grouped))
        if word
    )


def _with_risky(count: int, amount: float, risky: bool) -> Sequence[float]:
    return (count, count, amount, amount) if risky else (count, 0, amount, 0.0)


#: Of some decisions their kind, a dimension and its word; how many they are, their amount.
_Word = tuple[Kind | Alike, str, str, int, float]


def _by_word(grouped: Grouped, dimension: str, words: Sequence[str], of_row: np.ndarray) -> Iterable[_Word]:
    """Decisions by words of a dimension that differ from row to row; `of_row` is the place of each row's word."""
    of_cell = grouped.kind_of_row * len(words) + of_row
    counts, amounts = np.bincount(of_cell), np.bincount(of_cell, grouped.amount)
    cells = np.flatnonzero(counts)
    for cell, count, amount in zip(cells.tolist(), counts[cells].tolist(), amounts[cells].tolist(), strict=True):
        kind, word = divmod(cell, len(words))
        yield grouped.kinds[kind], dimension, words[word], count, amount


def _by_group(grouped: Grouped) -> Iterable[_Word]:
    """Decisions by words that those counted together share."""
    for one, count, amount in grouped.counted:
        yield one, "hour", _HOURS[one.hour % 24], count, amount
        yield one, "level", one.risk_level, count, amount
        yield one, "model", one.model, count, amount
        yield one, "fraud_type", one.fraud_type, count, amount


def rules(grouped: Grouped) -> Sums:
    """(…, day, rule, "" or a second rule that was hit with it) → decisions, of them risky, of them decided by it."""
    return _added(
        ((one.livemode, one.schema, one.day, *pair), (count, count if one.risky else 0, count if decided else 0))
        for one, count, _ in grouped.counted
        for pair, decided in _pairs(one)
    )


def _pairs(one: Alike) -> Iterable[tuple[tuple[str, str], bool]]:
    """The rules that were hit, alone and by two, and whether it was the one that decided."""
    names = sorted(one.rules_hit)
    yield from (((name, ""), one.decisive == f"{RULE}{name}") for name in names)
    yield from ((pair, False) for pair in combinations(names, 2))


def parties(grouped: Grouped) -> Mapping[tuple[Any, ...], Sketch]:
    """(mode, kind of transaction, day since 1970, field) → the parties it named in risky decisions."""
    named: dict[tuple[Any, ...], tuple[list[str], list[int]]] = {}
    columns = grouped.columns
    for row, kind in _risky_rows(grouped):
        for field, party in zip(columns.party_fields[row], columns.parties[row], strict=True):
            names, rows = named.setdefault((*kind[:3], field), ([], []))
            names.append(party)
            rows.append(row)
    return {key: _sketch(columns, *of_field) for key, of_field in named.items()}


def _risky_rows(grouped: Grouped) -> Iterable[tuple[int, Kind]]:
    """The risky decisions' rows and kinds, in their order."""
    is_risky = np.array([kind.risky for kind in grouped.kinds], np.bool_)
    rows = np.flatnonzero(is_risky[grouped.kind_of_row])
    return zip(rows.tolist(), (grouped.kinds[kind] for kind in grouped.kind_of_row[rows].tolist()), strict=True)


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


class Sample(NamedTuple):
    """Rows of which each stands for `step`."""

    step: int
    rows: list[int]


def sample(grouped: Grouped) -> Mapping[tuple[Any, ...], Sample]:
    """(mode, kind of transaction, day since 1970, model) → the rows that stand for all in the histograms of features:
    of each kind every one of few, every tenth of many."""
    found: dict[tuple[Any, ...], Sample] = {}
    named, of_kind = _places(kind[:2] for kind in grouped.kinds)
    of_row = of_kind[grouped.kind_of_row]
    for place, kind in enumerate(named):
        rows = np.flatnonzero(of_row == place)
        step = 1 if len(rows) <= FEW else EVERY
        for row in rows[::step].tolist():
            one = grouped.alike[grouped.of_row[row]]
            found.setdefault((*kind, one.day, one.model), Sample(step, [])).rows.append(row)
    return found
