"""Aggregates are what a plain loop over all events counts; what can't be counted is refused with its place."""

import random
from typing import Any

import numpy as np
import pytest

from apps.scoring.engine import made_on
from apps.scoring.engine.aggregate_check import (
    check_aggregates,
    naming_fields,
    number_fields,
    problem_of_aggregate,
)
from apps.scoring.engine.aggregate_plan import parts_of_block, plan_of
from apps.scoring.engine.aggregates import MOST_COUNTED, WANTS, WINDOWS, Aggregate, asked_of, event, values_of
from apps.scoring.engine.block import block_of
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.past_events import LOOKED_AT, placed, seen_at
from apps.scoring.engine.rule_fields import names_of
from apps.scoring.engine.rules import InvalidRules, Rule
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.when_check import problem_of

PAYMENTS = SCHEMAS["payments"]
OF = {"": "", "number": "amount", "name": "merchant_id"}
NOW = 1_767_225_600_000


def aggregate(name: str = "it", **said: Any) -> Aggregate:
    usual: dict[str, Any] = {"schema": "payments", "by": ("card_bin",), "function": "count", "window": "1h"}
    return Aggregate(name, **{**usual, **said})


def every(window: str) -> list[Aggregate]:
    return [aggregate(name, function=name, of=OF[wants], window=window) for name, wants in WANTS.items()]


def plainly(one: Aggregate, known: dict[int, tuple[int, float, str]], at_ms: int, present: int) -> float:
    """The definition, word by word."""
    inside = [
        (at, number, name) for transaction, (at, number, name) in known.items()
        if at_ms - WINDOWS[one.window] < at <= at_ms and transaction != present
    ]  # fmt: skip
    numbers, times = [number for _, number, _ in inside], [at for at, _, _ in inside]
    return {
        "count": float(len(inside)),
        "sum": sum(numbers, 0.0),
        "max": max(numbers, default=np.nan),
        "average": sum(numbers) / len(numbers) if numbers else np.nan,
        "distinct": float(len({name for _, _, name in inside})),
        "since_last": (at_ms - max(times)) / 1000 if times else np.nan,
    }[one.function]


@pytest.mark.parametrize("seed", range(6))
def test_each_function_is_what_a_plain_loop_counts(seed: int) -> None:
    """Events on time, late and in any order, some repeated with other numbers, none more than are looked at."""
    chance, past = random.Random(seed), b""
    known: dict[int, tuple[int, float, str]] = {}
    for _ in range(LOOKED_AT - 6):
        transaction, at_ms = chance.randrange(400), NOW + chance.randrange(-40 * 86_400_000, 0) // 1000 * 1000
        number, name = chance.randrange(1, 900) / 4, f"M{chance.randrange(9)}"
        for window in chance.sample(list(WINDOWS), 3):
            asked = every(window)
            told = values_of(asked_of(asked), seen_at(past, at_ms), at_ms, transaction)
            expected = [plainly(one, known, at_ms, transaction) for one in asked]
            assert np.allclose(told, expected, rtol=0, atol=1e-9, equal_nan=True), (window, told, expected)
        past = placed(past, event(at_ms, transaction, number, name))
        known[transaction] = (at_ms, number, name)


def test_of_more_than_are_looked_at_the_newest_count() -> None:
    past = b""
    for number in range(LOOKED_AT + 50):
        past = placed(past, event(NOW + number, number + 1, 1.0, ""))
    count, *_ = values_of(asked_of([aggregate()]), seen_at(past, NOW + 10_000), NOW + 10_000, 0)
    assert count == LOOKED_AT


PAYMENT = {"amount": 20.0, "user_id": "Ann", "merchant_id": "M1", "card_bin": "424242", "country": "US"}
SOME = (
    aggregate("by_bin"), aggregate("sum_by_bin", function="sum", of="amount", window="24h"),
    aggregate("large", where="amount > 100.0"), aggregate("abroad", where="country != 'US'"),
    aggregate("merchants", by=("user_id", "country"), function="distinct", of="merchant_id"),
    aggregate("ratio", by=("user_id",), function="max", of="ratio_to_median_purchase_price", window="7d"),
)  # fmt: skip


def test_a_block_has_the_parts_each_of_its_rows_has_alone() -> None:
    chance, plan = random.Random(7), plan_of(Policy(aggregates=SOME), "payments")
    rows = []
    for number in range(200):
        said = PAYMENT | {
            "amount": chance.choice([5.0, 180.0, 1e6]), "transaction_id": f"t{number}",
            "country": chance.choice(["US", "us", "Fr"]), "user_id": chance.choice(["Ann", " ann", "4242424242424242"]),
            "card_bin": chance.choice(["424242", "555555"]),
            "ratio_to_median_purchase_price": chance.choice([0.5, 2.0]),
        }  # fmt: skip
        for name in ("card_bin", "country", "ratio_to_median_purchase_price"):
            if chance.random() < 0.2:
                del said[name]
        rows.append(PAYMENTS.parse(said, NOW + number))
    hashes = np.arange(1, len(rows) + 1, dtype=np.uint64)
    blocks = parts_of_block(plan, block_of(PAYMENTS, rows), hashes, str.upper)
    for number, parsed in enumerate(rows):
        alone = plan.parts(parsed, number + 1, str.upper)
        for one, block in zip(alone, blocks, strict=True):
            assert (one.party, one.adds) == (block.parties[number], bool(block.adds[number]))
            assert one.event == block.events[number].tobytes() or not one.adds


def test_aggregates_of_the_same_transactions_share_a_past() -> None:
    asked = (
        *every("1h"),
        *(aggregate(f"{one.name}_7d", function=one.function, of=one.of, window="7d") for one in every("7d")),
    )
    plan = plan_of(Policy(aggregates=asked), "payments")
    assert len(plan.aggregates) == 12 and len(plan.sources) == 2
    assert set(plan.life_seconds) == {8 * 86_400}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_kind_has_fields_to_count_by_and_to_sum(schema: str) -> None:
    assert naming_fields(SCHEMAS[schema]) and number_fields(SCHEMAS[schema])
    assert not set(naming_fields(SCHEMAS[schema])) & set(number_fields(SCHEMAS[schema]))
    assert "transaction_id" not in naming_fields(SCHEMAS[schema])


WRONG: dict[str, tuple[dict[str, Any], str, str, tuple[str, ...]]] = {
    "kind": ({"schema": "paymnets"}, "schema", "no kind of transaction", ("payments",)),
    "field": ({"by": ("card_bim",)}, "by", "no field of payments that names", ("card_bin",)),
    "number": ({"by": ("amount",)}, "by", "no field of payments that names", ()),
    "twice": ({"by": ("card_bin", "card_bin")}, "by", "twice", ()),
    "of missing": ({"function": "sum"}, "of", "is of a field; name one of amount", ()),
    "of too much": ({"of": "amount"}, "of", "leave 'of' out", ()),
    "of a text": ({"function": "max", "of": "country"}, "of", "that can be summed", ()),
    "of itself": ({"function": "distinct", "of": "card_bin"}, "of", "never another", ()),
    "syntax": ({"where": "amount >"}, "where", "It ends", ()),
    "no field": ({"where": "amout > 5.0"}, "where", "no field that is sent", ("amount",)),
    "counted": ({"where": "user.count_1h > 5"}, "where", "no field that is sent", ()),
    "home": ({"where": "country != home_country"}, "where", "no field that is sent", ()),
    "another": ({"where": "aggregates.other > 5"}, "where", "no field that is sent", ()),
    "list": ({"where": "merchant_id in lists.mules"}, "where", "A list is not asked here", ()),
    "type": ({"where": "amount == 'x'"}, "where", "never compared", ()),
    "never": ({"where": "amount < 0.0"}, "where", "never holds", ()),
    "always": ({"where": "amount >= 0.0"}, "where", "hits every transaction", ()),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cant_be_counted_is_refused_by_its_member(case: str) -> None:
    said, member, words, meant = WRONG[case]
    problem = problem_of_aggregate(aggregate(**said))
    assert problem is not None and problem.member == member and words in problem.said
    assert set(meant) <= set(problem.meant)
    assert (problem.place is not None) is (member == "where")
    with pytest.raises(InvalidRules, match=rf"aggregates\[0\]\.{member} \('it'\)"):
        check_aggregates([aggregate(**said)])


def test_there_are_no_more_than_so_many_and_each_name_once() -> None:
    many = [aggregate(f"a{number}") for number in range(MOST_COUNTED)]
    check_aggregates(many)
    check_aggregates([*many, aggregate("old", archived=True), aggregate("other", schema="paysim", by=("nameOrig",))])
    with pytest.raises(InvalidRules, match="at most 20"):
        check_aggregates([*many, aggregate("more")])
    with pytest.raises(InvalidRules, match="a name is given once"):
        check_aggregates([aggregate(), aggregate(archived=True)])


def test_rules_are_typed_against_them() -> None:
    known = (
        aggregate("by_bin"),
        aggregate("sum_by_bin", function="sum", of="amount"),
        aggregate("gone", archived=True),
    )
    assert names_of(PAYMENTS, known)["aggregates.by_bin"].kind == "a number"
    assert not any(name.startswith("aggregates.") for name in names_of(SCHEMAS["paysim"], known))

    def said(when: str, schema: str = "payments") -> str:
        problem = problem_of(Rule("r", "note", when=when, schema=schema), "", (), known)
        return "" if problem is None else f"{problem.place.column}: {problem.said} {', '.join(problem.meant)}"

    assert said("amount > 5.0 && aggregates.by_bin >= 3") == said("aggregates.sum_by_bin == null") == ""
    assert said("aggregates.by_bin > 3", schema="") == ""
    assert said("amount > 5.0 && aggregates.by_bim > 3") == (
        "17: You have no aggregate 'aggregates.by_bim' of this kind. aggregates.by_bin, aggregates.sum_by_bin"
    )
    assert "You have no aggregate" in said("aggregates.gone > 3")
    assert "You have no aggregate" in said("aggregates.by_bin > 3", schema="paysim")
    assert "never compared" in said("aggregates.by_bin == 'x'")
    assert "never holds" in said(f"aggregates.by_bin > {LOOKED_AT}")
    assert "stands a list" in said("merchant_id in aggregates.by_bin")


def test_what_was_kept_with_a_decision_is_read_again() -> None:
    known = {"aggregates.by_bin": 3.0, "aggregates.sum_by_bin": float("nan")}
    kept = made_on.aggregated(SOME[:2], known)
    told = made_on.known_aggregates(SOME[:2], 2, b"\x00\x01" + kept)
    assert told["aggregates.by_bin"] == 3.0 and np.isnan(told["aggregates.sum_by_bin"])
    assert np.isnan(made_on.known_aggregates(SOME[:2], 0, b"")["aggregates.by_bin"])
