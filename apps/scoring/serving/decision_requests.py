"""The bodies of the native API: what a request may say. Pure."""

import json
from itertools import islice
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from apps import card_numbers
from apps.decoding import check_members, decode
from apps.errors import MOST_TOLD, FieldError, Problem, fields_invalid
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import InvalidTransaction, Parsed, TransactionSchema, ignored
from apps.scoring.serving.decision_formats import MOST_A_BATCH
from apps.scoring.serving.requests import errors_of

Body = TypeVar("Body", bound=msgspec.Struct)

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


class _ExactDecisionRequest(DecisionRequest, frozen=True, forbid_unknown_fields=True):
    pass


class _ExactBatchRequest(BatchRequest, frozen=True, forbid_unknown_fields=True):
    pass


_EXACT: dict[type[msgspec.Struct], Any] = {DecisionRequest: _ExactDecisionRequest, BatchRequest: _ExactBatchRequest}


def understood(body: bytes, kind: type[Body]) -> tuple[Body, tuple[str, ...]]:
    """The body as `kind`, and a warning of fields that are none: "dryrun" would be scored and billed in silence.

    Such a field makes the exact twin refuse, so that bodies without one are read once. Raises `Problem`.
    """
    try:
        exact = msgspec.json.decode(body, type=_EXACT[kind])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        request = _decoded(body, kind)
    else:
        check_members(body, *_facts(exact))
        return exact, ()
    fields, known = msgspec.json.decode(body, type=dict[str, Any]), _EXACT[kind].__struct_fields__
    unknown = {name: value for name, value in fields.items() if name not in known}
    return request, ignored("Unknown fields of the request", unknown)


def _facts(request: Any) -> tuple[Any, int]:
    """A body's transaction or transactions, and its colons beside them: a member sent as what it is without being sent
    is not among those, so that such a body is looked at once more."""
    beside = 2 + (request.model is not None) + request.dry_run
    return (request.transaction if isinstance(request, DecisionRequest) else request.transactions), beside


def _decoded(body: bytes, kind: type[Body]) -> Body:
    """The body as `kind`. Raises `Problem` naming every wrong field, those of its transaction too."""
    try:
        return decode(body, kind)
    except Problem as problem:
        if problem.code == "field_invalid":
            problem = fields_invalid((*problem.errors, *_errors_within(body))[:MOST_TOLD])
        raise problem from problem.__cause__


def _errors_within(body: bytes) -> list[FieldError]:
    """The wrong fields of the transaction in a body that is wrong itself, where it can be read."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return []
    fields = content if isinstance(content, dict) else {}
    schema, transaction = SCHEMAS.get(str(fields.get("schema"))), fields.get("transaction")
    if schema is None or not isinstance(transaction, dict):
        return []
    found = islice(schema.problems(transaction), MOST_TOLD)
    return [FieldError(f"transaction.{wrong.param}", wrong.detail) for wrong in found]


def schema_named(name: str) -> TransactionSchema:
    """The schema of that name. Raises `Problem` naming those there are."""
    schema = SCHEMAS.get(name)
    if schema is None:
        raise Problem(
            "schema_unknown",
            f"There is no schema '{card_numbers.cut(name, 80)}'. Schemas: {', '.join(SCHEMAS)}.",
            "schema",
        )
    return schema


def parse(
    schema: TransactionSchema,
    transaction: Any,
    received_ms: int,
    at: str = "transaction",
    noticed: tuple[str, ...] = (),
) -> Parsed:
    """A transaction checked by its schema; `noticed` of the request goes first. Raises `Problem` naming every wrong
    field."""
    if not isinstance(transaction, dict):
        raise Problem("field_invalid", "A transaction is a JSON object.", at)
    try:
        parsed = schema.parse(transaction, received_ms)
    except InvalidTransaction as wrong:
        raise fields_invalid(errors_of(schema, transaction, wrong, at)) from wrong
    return msgspec.structs.replace(parsed, warnings=noticed + parsed.warnings) if noticed else parsed
