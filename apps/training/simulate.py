"""Rows PaySim's log lacks, made with a seed: what they are and why is in docs/model-quality.md.

Frauds: an origin that loses more than the amount (a tampered ledger), and a thief who leaves a little behind (the log's
take the balance to the last cent, so that a model fitted on them alone learns one comparison). Honest: small accounts
that are closed, fees, ledgers that reconcile in every type, amounts of 0, payments of everything an account holds.
"""

from typing import Any

import numpy as np
import pandas as pd

KNOWN_TYPES = np.array(["TRANSFER", "CASH_OUT", "PAYMENT", "DEBIT"])
ANY_TYPE = np.array(["TRANSFER", "CASH_OUT", "PAYMENT", "DEBIT", "OTHER"])
OUTGOING = np.array(["TRANSFER", "CASH_OUT"])
LEFT_BEHIND = ((0.0, 0.001), (0.001, 0.06), (0.06, 0.15))  # shares of a balance


def tampered(count: int, random: np.random.Generator) -> pd.DataFrame:
    """The origin loses 1.02 to 20 times the amount; the destination gets the amount, the loss, or nothing."""
    amount = _amounts(count, random)
    lost = _cents(amount * (1 + np.exp(random.uniform(np.log(0.02), np.log(19), count))))
    left = np.where(random.random(count) < 0.25, 0.0, _cents(lost * np.exp(random.uniform(-4, 3, count))))
    credit = np.select([(way := random.random(count)) < 0.45, way < 0.8], [amount, lost], 0.0)
    kinds = random.choice(ANY_TYPE, count, p=[0.35, 0.35, 0.12, 0.08, 0.1])
    return _frame(random, kinds, amount, left + lost, left, credit, fraud=True)


def thieves_who_leave_some(count: int, random: np.random.Generator) -> pd.DataFrame:
    """A quarter leave less than a thousandth behind, two thirds up to 6 %, the rest 6 to 15 %; the money arrives.

    Amounts are spread as the log's thefts are: half of them between 150,000 and 1,200,000.
    """
    before = _cents(np.clip(np.exp(random.normal(np.log(430_000), 1.5, count)), 2_000.0, 1e7))
    way = random.random(count)
    few, some, more = (random.uniform(*of, count) for of in LEFT_BEHIND)
    left = _cents(before * np.select([way < 0.25, way < 0.92], [few, some], more))
    amount = _cents(before - left)
    kinds = random.choice(OUTGOING, count, p=[0.25, 0.75])
    return _frame(random, kinds, amount, before, left, amount, fraud=True)


def closers(count: int, random: np.random.Generator) -> pd.DataFrame:
    """Honest: an account of up to 5,000 is emptied, or all but emptied, as often one of 10 as one of 1,000."""
    before = _cents(np.exp(random.uniform(np.log(0.5), np.log(5_000), count)))
    left = np.where(random.random(count) < 0.7, 0.0, _cents(before * random.uniform(0.0, 0.05, count)))
    amount = _cents(before - left)
    return _frame(random, random.choice(OUTGOING, count, p=[0.3, 0.7]), amount, before, left, amount, fraud=False)


def fees(count: int, random: np.random.Generator) -> pd.DataFrame:
    """Honest: the origin loses up to 8 % more than is sent, as a fee."""
    amount = _amounts(count, random)
    lost = _cents(amount * (1.0 + random.uniform(0.001, 0.08, count)))
    left = _cents(amount * np.exp(random.uniform(-1, 4, count)))
    return _frame(random, random.choice(ANY_TYPE, count), amount, left + lost, left, amount, fraud=False)


def reconciling(count: int, random: np.random.Generator) -> pd.DataFrame:
    """Honest: the origin keeps something, both ledgers agree; a few round amounts, as people send them."""
    amount = _amounts(count, random)
    amount = np.where(random.random(count) < 0.4, np.maximum(np.round(amount, -2), 100.0), amount)
    left = _cents(amount * np.exp(random.uniform(-2, 4, count)))
    kinds = random.choice(ANY_TYPE, count, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    return _frame(random, kinds, amount, left + amount, left, amount, fraud=False)


def nothing_moved(count: int, random: np.random.Generator) -> pd.DataFrame:
    """Honest: amount 0, no balance changes."""
    left = _amounts(count, random)
    zero = np.zeros(count)
    return _frame(random, random.choice(ANY_TYPE, count), zero, left, left, zero, fraud=False)


def paid_in_full(count: int, random: np.random.Generator) -> pd.DataFrame:
    """Honest: a payment or debit of exactly all the account holds, to a merchant without a ledger."""
    amount = _amounts(count, random)
    frame = _frame(
        random, random.choice(["PAYMENT", "DEBIT"], count), amount, amount, np.zeros(count), amount, fraud=False
    )
    frame[["oldbalanceDest", "newbalanceDest"]] = 0.0
    return frame


def _amounts(count: int, random: np.random.Generator) -> np.ndarray:
    """From 10 to 10 million, evenly over the orders of magnitude."""
    return _cents(np.exp(random.uniform(np.log(10), np.log(1e7), count)))


def _cents(amount: np.ndarray) -> np.ndarray:
    return np.round(amount, 2)


def _frame(
    random: np.random.Generator, kinds: Any, amount: Any, before: Any, after: Any, credit: Any, *, fraud: bool
) -> pd.DataFrame:
    count = len(amount)
    held = np.where(random.random(count) < 0.3, 0.0, _amounts(count, random))
    return pd.DataFrame(
        {
            "step": random.integers(1, 400, count), "type": kinds, "amount": amount,
            "oldbalanceOrg": _cents(before), "newbalanceOrig": _cents(after),
            "oldbalanceDest": held, "newbalanceDest": _cents(held + credit),
            "isFraud": int(fraud),
        }
    )  # fmt: skip
