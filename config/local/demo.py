"""What the demo company was asked to decide on in the past weeks: customers with habits, and a few thefts. Pure."""

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

#: How far back the demo company goes.
DAYS = 70
#: Transactions on the first working day; they become more, and half as many come on weekends.
A_DAY, MORE_A_DAY = 10.0, 0.15
CUSTOMERS, SHOPS = 60, 25
#: One transaction in so many is made with the test key; one is a theft; one is a transfer of mobile money.
TEST_EVERY, THEFT_EVERY, TRANSFER_EVERY = 6, 24, 4
#: One honest transaction in so many is confirmed by its customer.
CONFIRMED_EVERY = 12
CATEGORIES = ("grocery_pos", "shopping_net", "gas_transport", "misc_net", "food_dining", "travel")


class Question(NamedTuple):
    """A transaction that was sent: when, in which mode, and in how many milliseconds it was answered."""

    at: datetime
    livemode: bool
    schema: str
    transaction: dict[str, Any]
    took_ms: float
    theft: bool


class Learned(NamedTuple):
    """What became of a transaction, who said so, and when."""

    label: str
    source: str
    at: datetime


def learned(chance: random.Random, question: Question) -> Learned | None:
    """A theft is charged back within weeks; of an honest payment the customer says so at times."""
    if question.theft:
        return Learned("fraud", "chargeback", question.at + timedelta(days=chance.uniform(4, 24)))
    if chance.randrange(CONFIRMED_EVERY) == 0:
        return Learned("legitimate", "customer", question.at + timedelta(days=chance.uniform(0.1, 2)))
    return None


def demo_transactions(chance: random.Random, begin: datetime, end: datetime) -> Iterator[Question]:
    """All of them, the oldest first."""
    for number in range((end - begin).days):
        day = begin + timedelta(days=number)
        busy = (A_DAY + MORE_A_DAY * number) * (0.5 if day.weekday() > 4 else 1.0)
        for second in sorted(chance.randrange(86_400) for _ in range(round(busy * chance.uniform(0.8, 1.2)))):
            yield _question(chance, day + timedelta(seconds=second))


def _question(chance: random.Random, at: datetime) -> Question:
    theft = chance.randrange(THEFT_EVERY) == 0
    schema = "paysim" if chance.randrange(TRANSFER_EVERY) == 0 else "payments"
    transaction = _transfer(chance, at, theft) if schema == "paysim" else _payment(chance, theft)
    transaction["transaction_id"] = f"order-{chance.randrange(10**6):06d}"
    livemode, took_ms = chance.randrange(TEST_EVERY) != 0, round(chance.uniform(0.6, 2.4), 3)
    return Question(at, livemode, schema, transaction, took_ms, theft)


def _payment(chance: random.Random, theft: bool) -> dict[str, Any]:
    """A purchase near home, or a dear one far from it on a device nobody knows."""
    customer = chance.randrange(CUSTOMERS)
    return {
        "user_id": f"customer-{customer}",
        "merchant_id": f"shop-{chance.randrange(SHOPS)}",
        "amount": round(math.exp(chance.gauss(6.6 if theft else 3.2, 0.7)), 2),
        "currency": "USD",
        "merchant_category": "shopping_net" if theft else chance.choice(CATEGORIES),
        "card_present": not theft and chance.random() < 0.6,
        "distance_from_home_km": round(chance.uniform(1_500, 6_000) if theft else chance.expovariate(0.1), 1),
    }


def _transfer(chance: random.Random, at: datetime, theft: bool) -> dict[str, Any]:
    """Mobile money: a part of what is there, or all of it."""
    held = round(math.exp(chance.gauss(8.5, 1.0)), 2)
    amount = held if theft else round(held * chance.uniform(0.02, 0.4), 2)
    there = round(math.exp(chance.gauss(8.0, 1.0)), 2)
    return {
        "step": 1 + int(at.timestamp()) // 3600 % 700,
        "type": "TRANSFER" if theft else chance.choice(("PAYMENT", "CASH_OUT", "TRANSFER")),
        "amount": amount,
        "nameOrig": f"C{1000 + chance.randrange(CUSTOMERS)}",
        "oldbalanceOrg": held,
        "newbalanceOrig": round(held - amount, 2),
        "nameDest": f"C{5000 + chance.randrange(SHOPS)}",
        "oldbalanceDest": 0.0 if theft else there,
        "newbalanceDest": round((0.0 if theft else there) + amount, 2),
    }
