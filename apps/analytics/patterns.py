"""Where fraud is found: by category, country, hour of the day, band of amounts, kind of fraud and model."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from apps.analytics.added_up import added_up
from apps.analytics.asked import Asked
from apps.analytics.trends import Rate, rate
from apps.scoring.counting import BANDS
from apps.scoring.folds import PATTERN_MONTHS


class Pattern(msgspec.Struct, frozen=True):
    """Decisions that share a word. Amounts are added up in the transactions' own currencies."""

    value: str
    decisions: int
    share: Annotated[float, Meta(description="Of all decisions.")]
    fraud: int
    fraud_rate: Rate
    amount: float
    fraud_amount: Annotated[float, Meta(description="In decisions at level high or critical.")]


class Patterns(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions by what they have in common; those that did not say are in no list, unknown words are `other`."""

    object: Literal["patterns"] = "patterns"
    livemode: bool
    schema: str | None
    start: str
    end: str
    decisions: int
    by_category: Annotated[list[Pattern], Meta(description="The kind of payment: `type`, `merchant_category` …")]
    by_country: list[Pattern]
    by_hour: Annotated[list[Pattern], Meta(description="Of the day, UTC: 00 to 23.")]
    by_amount: Annotated[list[Pattern], Meta(description="From this amount to below the next.")]
    by_fraud_type: list[Pattern]
    by_model: Annotated[list[Pattern], Meta(description="name@version.")]


def patterns(asked: Asked) -> Patterns:
    """Hours and amounts in their order, everything else the most frequent first."""
    rows: dict[str, list[Pattern]] = {}
    found = words(asked)
    total = sum(count for dimension, _, count, *_ in found if dimension == "level")
    for dimension, word, decisions, fraud, amount, fraud_amount in found:
        one = Pattern(
            word, decisions, round(decisions / total, 6), fraud, rate(fraud, decisions), round(amount, 2),
            round(fraud_amount, 2),
        )  # fmt: skip
        rows.setdefault(dimension, []).append(one)
    by_size = {name: sorted(group, key=lambda one: (-one.decisions, one.value)) for name, group in rows.items()}
    return Patterns(
        livemode=asked.livemode, schema=asked.schema or None, start=str(asked.start), end=str(asked.end),
        decisions=total, by_category=by_size.get("category", []), by_country=by_size.get("country", []),
        by_hour=sorted(rows.get("hour", []), key=lambda one: one.value),
        by_amount=sorted(rows.get("amount", []), key=lambda one: BANDS.index(int(one.value))),
        by_fraud_type=by_size.get("fraud_type", []), by_model=by_size.get("model", []),
    )  # fmt: skip


def words(asked: Asked, dimensions: Sequence[str] = ()) -> list[tuple[str, str, int, int, float, float]]:
    """(dimension, word, decisions, of them risky, amount, of it risky) over the days; `dimensions`: only these."""
    return added_up(asked, PATTERN_MONTHS, ("dimension", "word"), {"dimension": dimensions} if dimensions else {})
