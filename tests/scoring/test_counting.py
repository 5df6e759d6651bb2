"""What is counted of a batch is what is counted of each of its decisions, added up."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.scoring import counting, tallies
from apps.scoring.counting import BANDS, DAY_US, HOUR_US, RISKY, Columns, Sums, grouped

Row = Mapping[str, Any]
ROWS = st.fixed_dictionaries(
    {
        "created_us": st.sampled_from([0, HOUR_US - 1, HOUR_US, DAY_US - 1, DAY_US, 40 * DAY_US + 5]),
        "livemode": st.booleans(),
        "schema": st.sampled_from(["paysim", "payments"]),
        "fraud_probability": st.none() | st.sampled_from([0.0, 0.009, 0.29, 0.57, 0.58, 0.999, 1.0]),
        "risk_level": st.sampled_from(["minimal", "high", "critical"]),
        "recommended_action": st.sampled_from(["approve", "block"]),
        "decisive": st.sampled_from(["model:xgboost", "rule:a", "rule:b"]),
        "model": st.sampled_from(["", "xgboost@1"]),
        "amount": st.sampled_from([-1.0, 0.0, 9.99, 10.0, 55.5, 2e6, float("inf")]),
        "parties": st.just(("ann", "bob")),
        "party_fields": st.just(("from", "to")),
        "rules_hit": st.sampled_from([(), ("a",), ("b", "a"), ("a", "b", "c")]),
        "category": st.sampled_from(["", "x", "y"]),
        "country": st.sampled_from(["", "Germany"]),
        "fraud_type": st.sampled_from(["", "theft"]),
        "features": st.just(b""),
    }
)
ONE: Row = {
    "created_us": 0, "livemode": True, "schema": "paysim", "fraud_probability": 0.5, "risk_level": "low",
    "recommended_action": "approve", "decisive": "model:xgboost", "model": "xgboost@1", "amount": 1.0, "parties": (),
    "party_fields": (), "rules_hit": (), "category": "", "country": "", "fraud_type": "", "features": b"",
}  # fmt: skip
BATCHES = st.lists(ROWS, max_size=80)


def columns_of(rows: list[Row]) -> Columns:
    return Columns(**{name: [row[name] for row in rows] for name in Columns._fields})


def day_of(row: Row) -> tuple[Any, ...]:
    return row["livemode"], row["schema"], row["created_us"] // DAY_US


def outcomes(row: Row) -> Iterator[tuple[Any, ...]]:
    key = (row["livemode"], row["schema"], row["created_us"] // HOUR_US, row["recommended_action"])
    yield key, (1, row["risk_level"] in RISKY)


def scores(row: Row) -> Iterator[tuple[Any, ...]]:
    if row["fraud_probability"] is not None:
        yield (*day_of(row), min(int(100 * row["fraud_probability"]), 99)), (1,)


def patterns(row: Row) -> Iterator[tuple[Any, ...]]:
    risky, amount = row["risk_level"] in RISKY, row["amount"]
    words = {
        "category": row["category"],
        "country": row["country"],
        "hour": f"{row['created_us'] // HOUR_US % 24:02d}",
        "amount": str(BANDS[max(bisect_right(BANDS, amount) - 1, 0)]),
        "level": row["risk_level"],
        "model": row["model"],
        "fraud_type": row["fraud_type"],
    }
    for dimension, word in words.items():
        if word:
            yield (*day_of(row), dimension, word), (1, risky, amount, amount if risky else 0.0)


def rules(row: Row) -> Iterator[tuple[Any, ...]]:
    risky = row["risk_level"] in RISKY
    for name in row["rules_hit"]:
        yield (*day_of(row), name, ""), (1, risky, row["decisive"] == f"rule:{name}")
    for pair in combinations(sorted(row["rules_hit"]), 2):
        yield (*day_of(row), *pair), (1, risky, 0)


@pytest.mark.parametrize("of_row", [outcomes, scores, patterns, rules])
@settings(max_examples=60)
@example(rows=[])
@given(rows=BATCHES)
def test_a_batch_counts_what_its_decisions_count(of_row: Any, rows: list[Row]) -> None:
    expected: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in rows:
        for key, values in of_row(row):
            known = expected[key] or [0] * len(values)
            expected[key] = [one + more for one, more in zip(known, values, strict=True)]
    found: Sums = getattr(counting, of_row.__name__)(grouped(columns_of(rows)))
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert list(found[key]) == pytest.approx(values)


@settings(max_examples=60)
@given(rows=BATCHES)
def test_parties_are_those_of_risky_decisions(rows: list[Row]) -> None:
    found = counting.parties(grouped(columns_of(rows)))
    expected: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        if row["risk_level"] in RISKY:
            one = expected.setdefault(day_of(row), [0, 0.0, 0.0])
            one[0] += 1
            one[1] += row["fraud_probability"] or 0.0
            one[2] += row["amount"]
    assert found.keys() == {(*day, field) for day in expected for field in ("from", "to")}
    for (*day, field), sketch in found.items():
        (party, one), told = next(iter(sketch.counters.items())), expected[tuple(day)]
        assert (party, len(sketch.counters)) == ({"from": "ann", "to": "bob"}[field], 1)
        assert (one.decisions, one.probability, one.amount) == pytest.approx(told)


def test_of_nothing_nothing_is_counted() -> None:
    nothing = tallies.counted(columns_of([]))
    assert not any(nothing)


@pytest.mark.parametrize(("count", "looked_at", "step"), [(1, 1, 1), (50, 50, 1), (51, 6, 10), (1_000, 100, 10)])
def test_of_each_kind_few_are_looked_at_whole_and_many_by_tenths(count: int, looked_at: int, step: int) -> None:
    rare = [{**ONE, "schema": "payments"}] * 7
    found = counting.sample(grouped(columns_of([*([ONE] * count), *rare])))
    assert {key[1]: (sample.step, len(sample.rows)) for key, sample in found.items()} == {
        "paysim": (step, looked_at),
        "payments": (1, 7),
    }
