"""Which cases a queue takes. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

Names = Annotated[list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(max_length=50)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Amount = Annotated[float, Meta(ge=0, le=1e15)]


class Criteria(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a case must be; what is left out does not matter, and nothing at all takes every case."""

    rules: Annotated[Names, Meta(description="One of these rules was hit.")] | None = None
    schemas: Annotated[Names, Meta(description="It is of one of these kinds of transaction.")] | None = None
    amount_from: Annotated[Amount, Meta(description="At least, in the transaction's currency.")] | None = None
    amount_to: Annotated[Amount, Meta(description="At most.")] | None = None
    probability_from: Annotated[Probability, Meta(description="Fraud probability at least.")] | None = None
    probability_to: Annotated[Probability, Meta(description="Fraud probability at most.")] | None = None
    older_than_minutes: (
        Annotated[int, Meta(ge=1, le=525_600, description="It waited so long: cases move here by themselves.")] | None
    ) = None


class Waiting(Protocol):
    """A case as far as queues look at it."""

    schema: str
    amount: float
    fraud_probability: float | None
    rules_hit: Sequence[str]
    created_at: datetime


def takes(criteria: Criteria, case: Waiting, now: datetime) -> bool:
    """Whether a queue with these criteria takes the case. Without a probability no bound on it holds."""
    return (
        (not criteria.rules or not set(criteria.rules).isdisjoint(case.rules_hit))
        and (not criteria.schemas or case.schema in criteria.schemas)
        and _within(case.amount, criteria.amount_from, criteria.amount_to)
        and _within(case.fraud_probability, criteria.probability_from, criteria.probability_to)
        and _waited(criteria, case, now)
    )


def _within(value: float | None, least: float | None, most: float | None) -> bool:
    if least is None and most is None:
        return True
    return value is not None and (least is None or value >= least) and (most is None or value <= most)


def _waited(criteria: Criteria, case: Waiting, now: datetime) -> bool:
    minutes = criteria.older_than_minutes
    return minutes is None or now - case.created_at >= timedelta(minutes=minutes)
