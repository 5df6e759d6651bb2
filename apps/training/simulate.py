"""Rows PaySim's log lacks, made with a seed: what they are and why is in docs/model-quality.md.

Frauds: an origin that loses more than the amount (a tampered ledger), and an account drained by a TRANSFER whose
destination is credited (the log's drained TRANSFERs almost never credit it). Honest: ledgers that reconcile in every
type, amounts of 0, payments of everything an account holds.
"""

from typing import Any

import numpy as np
import pandas as pd

KNOWN_TYPES = np.array(["TRANSFER", "CASH_OUT", "PAYMENT", "DEBIT"])
ANY_TYPE = np.array(["TRANSFER", "CASH_OUT", "PAYMENT", "DEBIT", "OTHER"])
OUTGOING = np.array(["TRANSFER", "CASH_OUT"])


def tampered(count: int, random: np.random.Generator) -> pd.DataFrame:
    """The origin loses 1.02 to 20 times the amount; the destination gets the amount, the loss, or nothing."""
    amount = _amounts(count, random)
    lost = _cents(amount * (1 + np.exp(random.uniform(np.log(0.02), np.log(19), count))))
    left = np.where(random.random(count) < 0.25, 0.0, _cents(lost * np.exp(random.uniform(-4, 3, count))))
    credit = np.select([(way := random.random(count)) < 0.45, way < 0.8], [amount, lost], 0.0)
    kinds = random.choice(ANY_TYPE, count, p=[0.35, 0.35, 0.12, 0.08, 0.1])
    return _frame(random, kinds, amount, left + lost, left, credit, fraud=True)


def drained(count: int, random: np.random.Generator) -> pd.DataFrame:
    """Exactly all the origin holds goes out and arrives."""
    amount = _amounts(count, random)
    return _frame(random, random.choice(OUTGOING, count), amount, amount, np.zeros(count), amount, fraud=True)


def reconciling(count: int, random: np.random.Generator) -> pd.DataFrame:
    """Honest: the origin keeps something, both ledgers agree; a few round amounts, as people send them."""
    amount = _amounts(count, random)
    amount = np.where(random.random(count) < 0.4, np.maximum(np.round(amount, -2), 100.0), amount)
    left = _cents(amount * np.exp(random.uniform(-3, 4, count)))
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
