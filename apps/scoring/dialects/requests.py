"""Requests of a dialect: transactions of one schema, checked, and the model that shall answer."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple, Protocol

from msgspec import Meta

from apps.errors import Problem, read_all
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import InvalidTransaction, Parsed, TransactionSchema
from apps.scoring.serving.decision_formats import MOST_A_BATCH, Decision
from apps.scoring.serving.requests import errors_of

Rows = Annotated[list[Any], Meta(min_length=1, max_length=MOST_A_BATCH)]


class Asked(NamedTuple):
    """One transaction in a dialect; `model` None means the champion."""

    schema: TransactionSchema
    parsed: Parsed
    model: str | None = None


class AskedMany(NamedTuple):
    """Transactions in their order, and the model for all of them."""

    schema: TransactionSchema
    parsed: tuple[Parsed, ...]
    model: str | None = None


class Single(Protocol):
    """A dialect with one transaction a request. Both raise `Problem`."""

    def parse(self, body: dict[str, Any], received_ms: int) -> Asked: ...

    def render(self, asked: Asked, decision: Decision) -> Any: ...


class Many(Protocol):
    """A dialect with a list of transactions a request. `elapsed_ms`: ms since the request came."""

    def parse_many(self, body: dict[str, Any], received_ms: int) -> AskedMany: ...

    def render_many(self, asked: AskedMany, decisions: Sequence[Decision], elapsed_ms: float) -> Any: ...


def transaction(schema: str, value: Any, received_ms: int, at: str = "") -> Parsed:
    """A transaction checked by its schema; `at` is where it stands in the body. Raises `Problem` (422)."""
    place = f"{at}: " if at else ""
    if not isinstance(value, dict):
        raise Problem("field_invalid", f"{place}A transaction is a JSON object.", at)
    try:
        return SCHEMAS[schema].parse(value, received_ms)
    except InvalidTransaction as wrong:
        errors = errors_of(SCHEMAS[schema], value, wrong, at)
        raise Problem("field_invalid", f"{place}{wrong.detail}", errors[0].param, errors=errors) from wrong


def transactions(schema: str, body: dict[str, Any], received_ms: int) -> tuple[Parsed, ...]:
    """The body's `transactions`. One that is wrong refuses all of them: these interfaces know no errors of a row."""
    rows = body.get("transactions")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_A_BATCH:
        raise Problem(
            "field_invalid", f"'transactions' must be a list of 1 to {MOST_A_BATCH:,} transactions.", "transactions"
        )
    checks = (partial(transaction, schema, row, received_ms, f"transactions[{i}]") for i, row in enumerate(rows))
    return tuple(read_all(*checks))
