"""Which case comes first: one number a case, the largest first. Pure.

By expected money a case's urgency is log2(1 + probability x amount) + age / SLA: twice the money at stake weighs as
much as one SLA more of waiting. All cases of a queue age alike, so that the order between two of them never changes:
what is stored, `rank`, leaves the present moment out, and an index keeps a queue sorted.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Literal, Protocol, get_args

Order = Literal["money", "oldest", "amount", "score"]
ORDERS: tuple[Order, ...] = get_args(Order)
#: Of a decision that no model gave a probability, by a rule alone.
UNKNOWN_PROBABILITY = 0.5


class Ranked(Protocol):
    """A case as far as its rank depends on it."""

    amount: float
    fraud_probability: float | None
    expected_loss: float
    created_at: datetime


def expected_loss(probability: float | None, amount: float) -> float:
    """What is lost on average when the transaction goes through, in its own currency."""
    return (UNKNOWN_PROBABILITY if probability is None else probability) * amount


def urgency(case: Ranked, sla: timedelta, now: datetime) -> float:
    """How urgent a case is now; comparable between queues."""
    return math.log2(1 + max(case.expected_loss, 0.0)) + (now - case.created_at) / sla


def rank(order: Order, case: Ranked, sla: timedelta) -> float:
    """A case's place in a queue of this order."""
    return _RANKS[order](case, sla)


def _money(case: Ranked, sla: timedelta) -> float:
    return math.log2(1 + max(case.expected_loss, 0.0)) - case.created_at.timestamp() / sla.total_seconds()


def _score(case: Ranked, sla: timedelta) -> float:
    return -1.0 if case.fraud_probability is None else case.fraud_probability


_RANKS: Mapping[Order, Callable[[Ranked, timedelta], float]] = {
    "money": _money,
    "oldest": lambda case, sla: -case.created_at.timestamp(),
    "amount": lambda case, sla: case.amount,
    "score": _score,
}
