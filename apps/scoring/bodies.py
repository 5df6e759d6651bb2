"""The bodies of the native API: what a request may say. Pure."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.errors import Problem
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import InvalidTransaction, Parsed, TransactionSchema

MOST_A_BATCH = 1_000

SchemaName = Annotated[str, Meta(description="Which kind of transaction this is.", examples=["paysim"])]
ModelName = Annotated[
    str,
    Meta(
        max_length=80,
        description="A model, or model@version; the champion when left out.",
        examples=["xgboost"],
    ),
]
DryRun = Annotated[bool, Meta(description="Score, but store and bill nothing.")]


class DecisionRequest(msgspec.Struct, frozen=True):
    """One transaction to decide on."""

    schema: SchemaName
    transaction: Annotated[dict[str, Any], Meta(description="The transaction's fields; see its schema.")]
    model: ModelName | None = None
    dry_run: DryRun = False


class BatchRequest(msgspec.Struct, frozen=True):
    """Up to 1,000 transactions of one schema. Each row has its own status."""

    schema: SchemaName
    transactions: Annotated[list[Any], Meta(min_length=1, max_length=MOST_A_BATCH)]
    model: ModelName | None = None
    dry_run: DryRun = False


def schema_named(name: str) -> TransactionSchema:
    """The schema of that name. Raises `Problem` naming those there are."""
    schema = SCHEMAS.get(name)
    if schema is None:
        raise Problem("schema_unknown", f"There is no schema '{name[:80]}'. Schemas: {', '.join(SCHEMAS)}.", "schema")
    return schema


def parse(schema: TransactionSchema, transaction: Any, received_ms: int, at: str = "transaction") -> Parsed:
    """A transaction checked by its schema. Raises `Problem` naming the field."""
    if not isinstance(transaction, dict):
        raise Problem("field_invalid", "A transaction is a JSON object.", at)
    try:
        return schema.parse(transaction, received_ms)
    except InvalidTransaction as wrong:
        raise Problem("field_invalid", wrong.detail, f"{at}.{wrong.param}" if wrong.param else at) from wrong
