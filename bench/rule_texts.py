"""A hundred live rules, twenty shadows and twenty aggregates such as people write, for the benchmarks. Pure."""

from collections.abc import Iterator, Sequence
from itertools import islice, product
from random import Random

import msgspec

from apps.scoring.engine.aggregates import UP_TO_LOOKED_AT, WANTS, Aggregate, Window
from apps.scoring.engine.rules import Outcome, Rule

LIVE, SHADOWS = 100, 20
#: Conditions on PaySim's fields, with places for a number and for a list of a million.
PAYSIM = (
    "amount > {high}.0 && oldbalanceOrg < {low}.0",
    "type in ['TRANSFER', 'CASH_OUT'] && amount > {high}.0 && origin.count_1h >= {few}",
    "origin.sum_24h > {high}.0 || destination.distinct_origins_24h >= {few}0",
    "amount % 100 == 0 && newbalanceOrig == 0 && amount > {high}.0",
    "!(type == 'PAYMENT') && amount / oldbalanceOrg > 0.9{few} && destination.count_24h > {few}",
    "nameDest.startsWith('M{few}') && amount > {high}.0",
    "origin.since_last < {few} && amount > {low}.0 && destination.since_last < {few}",
    "(amount > {high}.0 ? oldbalanceDest : newbalanceDest) < {few} && nameOrig != null",
)
ON_THE_LIST = ("nameOrig in lists.mules && amount > {low}.0", "!(nameDest in lists.mules) && amount > {high}.0")
#: By whom is counted, of which transactions, and how far back: one past each of the first two, for all windows.
BY = (("nameOrig",), ("nameDest",), ("nameOrig", "nameDest"), ("nameOrig", "type"))
WHERE = ("", "amount > 1000.0", "type == 'TRANSFER'")
BACK: tuple[Window, ...] = ("1h", "24h", "7d", "30d")
COUNTED_OF = {"": "", "number": "amount", "name": "nameDest"}
OUTCOMES: tuple[Outcome, ...] = ("review", "challenge", "note")


def rules(lists: bool, seed: int = 16) -> tuple[Rule, ...]:
    """100 live and 20 shadow rules, none of which hits often; of those with `lists` a tenth asks for a list."""
    random = Random(seed)
    return tuple(
        Rule(f"own_{number}", random.choice(OUTCOMES), when=when, schema="paysim",
             state="live" if number < LIVE else "shadow")
        for number, when in enumerate(_texts(lists, random))
    )  # fmt: skip


def _texts(lists: bool, random: Random) -> Iterator[str]:
    for number in range(LIVE + SHADOWS):
        texts = ON_THE_LIST if lists and number % 10 == 0 else PAYSIM
        yield texts[number // 10 % len(texts) if texts is ON_THE_LIST else number % len(texts)].format(
            high=10_000_000 + number, low=number + 1, few=random.randrange(3, 10)
        )


def aggregates(count: int, seed: int = 16) -> tuple[Aggregate, ...]:
    """As many aggregates, of any function, by payer, payee or both; some share a past."""
    random = Random(seed)
    chosen = [one for one in product(BY, WHERE, BACK, WANTS) if "nameDest" not in one[0] or WANTS[one[3]] != "name"]
    random.shuffle(chosen)
    return tuple(
        Aggregate(f"a{number}", "paysim", by, function, window, of=COUNTED_OF[WANTS[function]], where=where)
        for number, (by, where, window, function) in enumerate(islice(chosen, count))
    )


def asking_each(rules: Sequence[Rule], aggregates: Sequence[Aggregate]) -> tuple[Rule, ...]:
    """The rules, of which the last ask for an aggregate each beside; they hit no more often."""
    begin = len(rules) - len(aggregates)
    asking = [
        msgspec.structs.replace(rule, when=f"({rule.when}) || {one.asked_as} > {limit}")
        for rule, one in zip(rules[begin:], aggregates, strict=True)
        for limit in ("250" if one.function in UP_TO_LOOKED_AT else "1e12",)
    ]
    return (*rules[:begin], *asking)
