"""What is told of transactions that were stored, or refused: one, many, pages, and a file of them."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from apps import card_numbers, spreadsheets
from apps.api.fields import Moment, NextCursor
from apps.api.problem_bodies import FieldError
from apps.api.problems import errors_of
from apps.errors import Problem
from apps.ingest import quality
from apps.ingest.quality import Finding
from apps.scoring.dialects import outcomes
from apps.scoring.engine.decide import Action
from apps.scoring.models import Decision as StoredDecision
from apps.scoring.serving import decision_formats
from apps.scoring.serving.decision_formats import Decision
from apps.scoring.serving.requests import Item


class QualityIssue(msgspec.Struct, frozen=True):
    """What a check found."""

    check: Annotated[str, Meta(description=f"One of {', '.join(quality.CHECKS)}.")]
    field: Annotated[str, Meta(description='The field; "" for the whole transaction.')]
    detail: str


class DataQuality(msgspec.Struct, frozen=True):
    """What the checks of a transaction's data found."""

    status: Annotated[
        Literal["ok", "issues", "refused"],
        Meta(description="ok: nothing. issues: stored and scored all the same. refused: neither."),
    ]
    issues: list[QualityIssue]


class StoredTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A stored transaction with what was decided on it."""

    object: Literal["transaction"] = "transaction"
    transaction_id: str
    decision_id: Annotated[str, Meta(description="Read the decision at /v1/decisions/{id}.")]
    livemode: bool
    created_at: Moment
    schema: str
    status: Annotated[str, Meta(description="new, superseding, or duplicate: it was stored before.")]
    transaction: Annotated[dict[str, Any], Meta(description="Its fields, as they are stored.")]
    fraud_probability: float | None
    is_fraud: bool
    risk_level: str
    recommended_action: Action
    model_version: Annotated[str | None, Meta(description="model@version.")]
    warnings: tuple[str, ...]
    billed_units: int
    data_quality: DataQuality | UnsetType = UNSET


class RefusedTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """One of many that could not be stored; it is not billed."""

    object: Literal["error"] = "error"
    row: int
    status: Literal["error"] = "error"
    detail: str
    errors: list[FieldError]
    data_quality: DataQuality


class TransactionCounts(msgspec.Struct, frozen=True):
    """Rows by status."""

    new: int = 0
    duplicate: int = 0
    superseding: int = 0
    error: int = 0


class StoredTransactions(msgspec.Struct, frozen=True, kw_only=True):
    """Many that were sent, in their order; a refused one has `status` error."""

    object: Literal["transaction_batch"] = "transaction_batch"
    transactions: Annotated[list[Any], Meta(description="Stored transactions; or why one was refused.")]
    count: int
    counts: TransactionCounts
    data_quality: Annotated[dict[str, int], Meta(description="Transactions by check that found something.")]
    billed_units: int


class TransactionPage(msgspec.Struct, frozen=True):
    """Stored transactions, newest first."""

    object: Literal["list"]
    data: list[StoredTransaction]
    has_more: bool
    next_cursor: NextCursor


class GatewayTransactionPage(msgspec.Struct, frozen=True):
    """Stored transactions, newest first."""

    transactions: list[StoredTransaction]
    count: int
    has_more: bool
    next_cursor: NextCursor


class Refused(NamedTuple):
    """A transaction that can't be stored, and what was found."""

    problem: Problem
    findings: list[Finding]


#: A row as it was sent, and the decision on it.
Pair = tuple[Item | Refused, Decision | None]


def findings_of(item: Item, decision: Decision | None) -> list[Finding]:
    """What the checks of a transaction's data found."""
    duplicate = decision is not None and decision.status == "duplicate"
    return quality.found(item.schema, item.parsed, duplicate=duplicate)


def one_told(pair: Pair) -> bytes:
    """The answer to one by itself, as JSON."""
    row, decision = pair
    if isinstance(row, Refused) or decision is None:
        raise Problem("internal")
    return msgspec.json.encode(_stored(row, decision))


def many_told(pairs: Sequence[Pair]) -> bytes:
    """The answer to many, as JSON."""
    rows = [
        _refusal(row, index) if isinstance(row, Refused) or decision is None else _stored(row, decision)
        for index, (row, decision) in enumerate(pairs)
    ]
    issues = [{issue.check for issue in row.data_quality.issues} for row in rows if row.data_quality]
    return msgspec.json.encode(
        StoredTransactions(
            transactions=rows,
            count=len(rows),
            counts=TransactionCounts(**Counter(row.status for row in rows)),
            data_quality=dict(Counter(check for checks in issues for check in checks)),
            billed_units=sum(row.billed_units for row in rows if isinstance(row, StoredTransaction)),
        )
    )


def _stored(item: Item, decision: Decision) -> StoredTransaction:
    found = findings_of(item, decision)
    return _transaction(decision, item.parsed.facts, DataQuality("issues" if found else "ok", _issues(found)))


def of_row(row: StoredDecision) -> StoredTransaction:
    """A transaction as it is stored."""
    return _transaction(decision_formats.decode(decision_formats.answer_of(row)), row.facts, UNSET)


def _transaction(
    decision: Decision, facts: Mapping[str, Any], data_quality: DataQuality | UnsetType
) -> StoredTransaction:
    return StoredTransaction(
        transaction_id=decision.transaction_id,
        decision_id=decision.id,
        livemode=decision.livemode,
        created_at=decision.created_at,
        schema=decision.schema,
        status=decision.status,
        transaction=dict(facts),
        fraud_probability=decision.fraud_probability,
        is_fraud=outcomes.is_fraud(decision),
        risk_level=decision.risk_level,
        recommended_action=decision.recommended_action,  # type: ignore[arg-type]  # the engine's word
        model_version=outcomes.model_name(decision.model),
        warnings=decision.warnings,
        billed_units=decision.billed_units,
        data_quality=data_quality,
    )


def _refusal(row: Any, index: int) -> RefusedTransaction:
    problem = row.problem
    return RefusedTransaction(
        row=index,
        detail=problem.detail,
        errors=errors_of(problem),
        data_quality=DataQuality("refused", _issues(row.findings)),
    )


def _issues(findings: Sequence[Finding]) -> list[QualityIssue]:
    return [QualityIssue(one.check, one.field, card_numbers.mask(one.detail)) for one in findings]


def as_csv(rows: Iterable[StoredTransaction]) -> str:
    """A line a transaction: what was decided, then its fields, the union of all in the order they first came."""
    told = [msgspec.to_builtins(row) for row in rows]
    own = [name for name in StoredTransaction.__struct_fields__ if name not in ("object", "transaction", "warnings")]
    own.remove("data_quality")
    fields = list(dict.fromkeys(name for row in told for name in row["transaction"] if name not in own))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*own, *fields])
    for row in told:
        writer.writerow(
            [spreadsheets.cell(value) for value in (*map(row.get, own), *map(row["transaction"].get, fields))]
        )
    return out.getvalue()
