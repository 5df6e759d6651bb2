"""The doors of transactions that are sent to be stored: `/v1/transactions` and Gateway's `/transactions`.

A transaction is validated, scored and stored in one; the answer says what the checks of its data found, and these are
added up by day (`/v1/data-quality`). What is refused is counted, too, and nothing of it is kept.
"""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps import card_numbers
from apps.api import operation as described
from apps.api.decision_filters import FILTERS
from apps.api.decisions import ScoringView
from apps.api.dialects import DialectView
from apps.api.endpoint import MEGABYTE, json_answer
from apps.api.list_filters import Filter, Filters, asked_for, named
from apps.api.list_filters import described as parameters_of
from apps.api.operation import (
    DIALECT_PROBLEM,
    IDEMPOTENCY_KEY,
    REPLAYED,
    REQUEST_ID,
    TO_SCORE,
    Answer,
    Operation,
    operation,
    page_of,
)
from apps.api.transaction_answers import (
    GatewayTransactionPage,
    Pair,
    Refused,
    StoredTransaction,
    StoredTransactions,
    TransactionPage,
    as_csv,
    findings_of,
    many_told,
    of_row,
    one_told,
)
from apps.decoding import decode
from apps.errors import Problem
from apps.ingest import quality, quality_days, transactions
from apps.ingest.quality_days import Checked
from apps.scoring.engine.parties import party_name
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.serving import decision_formats
from apps.scoring.serving.decision_formats import MOST_A_BATCH
from apps.scoring.serving.decision_requests import parse, schema_named
from apps.scoring.serving.requests import Item, ScoringRequest, item_of
from apps.scoring.serving.stored_answers import Answered

GATEWAY_SCHEMA = "paysim"
#: Rows of one exported file.
MOST_EXPORTED = 10_000


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError as wrong:
        raise ValueError("a number") from wrong
    if not abs(number) < 1e15:
        raise ValueError("a number")
    return number


def _party(text: str) -> list[str]:
    if not text or len(text) > 128:
        raise ValueError("1 to 128 characters")
    return [party_name(card_numbers.mask_id(text))]


_A_NUMBER = {"type": "number"}
TRANSACTION_FILTERS: Filters = {
    **{name: one for name, one in FILTERS.items() if name != "transaction_id"},
    "transaction_id": named("transaction_id", "Only this transaction."),
    "party": Filter(
        "parties__contains",
        _party,
        "Only those of somebody: an account, a user, a merchant, a device, by its id.",
        {"type": "string", "minLength": 1, "maxLength": 128},
    ),
    "amount_from": Filter("amount__gte", _number, "Of at least this amount.", _A_NUMBER),
    "amount_to": Filter("amount__lte", _number, "Of at most this amount.", _A_NUMBER),
}


class NewTransaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One transaction, or up to 1,000 of one schema."""

    schema: Annotated[str, Meta(description="Which kind of transaction this is.", examples=["paysim"])]
    transaction: (
        Annotated[
            dict[str, Any],
            Meta(description="The transaction's fields.", extra_json_schema={"additionalProperties": True}),
        ]
        | UnsetType
    ) = UNSET
    transactions: Annotated[list[Any], Meta(min_length=1, max_length=MOST_A_BATCH)] | UnsetType = UNSET


class GatewayTransactions(msgspec.Struct, frozen=True):
    """Up to 1,000 transactions of the Gateway interface."""

    transactions: Annotated[list[Any], Meta(min_length=1, max_length=MOST_A_BATCH)]


class Sent(NamedTuple):
    """What a body asks to store. `single`: one by itself."""

    request: ScoringRequest
    schema: TransactionSchema
    rows: list[Item | Refused]
    single: bool


class TransactionsView(ScoringView):
    """POST: validate, score and store. GET: what is stored."""

    endpoint = "transactions"
    scopes: ClassVar = {"POST": "predict", "GET": "read"}
    body_limit = 25 * MEGABYTE
    needed = "predict"

    def scope(self, request: HttpRequest) -> str:
        return self.needed if request.method == "POST" else super().scope(request)

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor, filters = self.understood(request, lambda request: asked_for(request, TRANSACTION_FILTERS))
        admission = self.admit_only(request)
        page = transactions.page(admission.tenant_schema, self.key.livemode, filters, cursor, limit)
        return json_answer(self.listed([of_row(row) for row in page.rows], page.next_cursor))

    def post(self, request: HttpRequest) -> HttpResponse:
        sent = self.understood(request, self._sent)
        items = [row for row in sent.rows if isinstance(row, Item)]
        if not items:
            return self._refused(request, sent)
        admission, answers, replay = self.scoring.decide_many(sent.request, items, self.elapsed_ms)
        if replay:
            return _created(self.answered(Answered(replay, admission, replayed=True)))
        decisions = iter([decision_formats.decode(one) for one in answers])
        pairs = [(row, None if isinstance(row, Refused) else next(decisions)) for row in sent.rows]
        self._count(admission.tenant_schema, sent, pairs)
        body = one_told(pairs[0]) if sent.single else many_told(pairs)
        self.scoring.settle_batch(sent.request, admission, body)
        return _created(self.answered(Answered(body, admission)))

    def listed(self, rows: list[StoredTransaction], next_cursor: str | None) -> msgspec.Struct:
        return TransactionPage("list", rows, next_cursor is not None, next_cursor)

    def content(self, body: bytes) -> tuple[TransactionSchema, list[Any], bool]:
        """The schema, the transactions, and whether it is one by itself. Raises `Problem`."""
        asked = decode(body, NewTransaction)
        if (asked.transaction is UNSET) == (asked.transactions is UNSET):
            raise Problem("field_invalid", "Send either 'transaction' or 'transactions'.", "transaction")
        schema = schema_named(asked.schema)
        if asked.transactions is UNSET:
            return schema, [asked.transaction], True
        return schema, list(asked.transactions or ()), False

    def _sent(self, request: HttpRequest) -> Sent:
        body = self.read_body(request)
        schema, contents, single = self.content(body)
        if not single and len(contents) > 1:
            self.needed = "batch"
        scoring_request = self.scoring_request(request, body, many=True)
        rows = [
            _row(scoring_request, schema, content, "" if single else f"transactions[{index}]", index)
            for index, content in enumerate(contents)
        ]
        return Sent(scoring_request, schema, rows, single)

    def _refused(self, request: HttpRequest, sent: Sent) -> HttpResponse:
        """The answer when nothing can be stored: counted all the same."""
        admission = self.admit_only(request)
        pairs: list[Pair] = [(row, None) for row in sent.rows]
        self._count(admission.tenant_schema, sent, pairs)
        first = sent.rows[0]
        if sent.single and isinstance(first, Refused):
            raise first.problem
        return _created(json_answer(many_told(pairs)))

    def _count(self, tenant_schema: str, sent: Sent, pairs: Sequence[Pair]) -> None:
        checked = [
            Checked(row.findings, {}, refused=True)
            if isinstance(row, Refused)
            else Checked(findings_of(row, decision), quality.comparable(row.schema, row.parsed))
            for row, decision in pairs
        ]
        quality_days.add(tenant_schema, self.key.livemode, self.now.date(), sent.schema.name, checked)


class GatewayTransactionsView(DialectView, TransactionsView):
    """The same for Gateway's clients: PaySim transactions, flat or a list of them."""

    def content(self, body: bytes) -> tuple[TransactionSchema, list[Any], bool]:
        content = decode(body, dict[str, Any])
        if "transactions" in content:
            return SCHEMAS[GATEWAY_SCHEMA], decode(body, GatewayTransactions).transactions, False
        return SCHEMAS[GATEWAY_SCHEMA], [content], True

    def listed(self, rows: list[StoredTransaction], next_cursor: str | None) -> msgspec.Struct:
        return GatewayTransactionPage(rows, len(rows), next_cursor is not None, next_cursor)


class TransactionExportView(ScoringView):
    """GET: what is stored, as a CSV file."""

    endpoint = "transactions_export"

    def get(self, request: HttpRequest) -> HttpResponse:
        _, cursor, filters = self.understood(request, lambda request: asked_for(request, TRANSACTION_FILTERS))
        admission = self.admit_only(request)
        page = transactions.page(admission.tenant_schema, self.key.livemode, filters, cursor, MOST_EXPORTED)
        headers = {"Content-Disposition": 'attachment; filename="transactions.csv"'}
        if page.next_cursor:
            headers["X-Next-Cursor"] = page.next_cursor
        return HttpResponse(as_csv(map(of_row, page.rows)), content_type="text/csv; charset=utf-8", headers=headers)


def _row(request: ScoringRequest, schema: TransactionSchema, content: Any, at: str, index: int) -> Item | Refused:
    try:
        return item_of(request, schema, parse(schema, content, request.received_us // 1000, at), index)
    except Problem as wrong:
        return Refused(wrong, quality.refused(schema, content))


def _created(response: HttpResponse) -> HttpResponse:
    response.status_code = 201
    return response


TAG = "Transactions"
_EXAMPLE = {
    "transaction_id": "txn_901", "step": 1, "type": "PAYMENT", "amount": 1000.0, "nameOrig": "C123456789",
    "oldbalanceOrg": 5000.0, "newbalanceOrig": 4000.0, "nameDest": "M987654321", "oldbalanceDest": 0.0,
    "newbalanceDest": 0.0,
}  # fmt: skip
_NATIVE = {
    "one": {"summary": "One", "value": {"schema": "paysim", "transaction": _EXAMPLE}},
    "many": {"summary": "Some", "value": {"schema": "paysim", "transactions": [_EXAMPLE, _EXAMPLE | {"amount": -1}]}},
}
_GATEWAY = {
    "one": {"summary": "One", "value": _EXAMPLE},
    "many": {"summary": "Some", "value": {"transactions": [_EXAMPLE]}},
}
_STORES = (
    "Each is validated, scored, stored and billed as a decision is; `data_quality` says what the checks of its data "
    f"found. One, or up to {MOST_A_BATCH:,} as `transactions`: each has its own status then."
)
_SCOPES = "Scope: `predict` for one transaction; `batch`, and a plan with batches, for more."
_QUERY = ("field_invalid", "query_invalid", "cursor_invalid")
_PAGE = (*page_of("Transactions"), *parameters_of(TRANSACTION_FILTERS))
OPERATIONS: Sequence[Operation] = (
    Operation(
        "POST",
        "/v1/transactions",
        "createTransactions",
        TAG,
        "Send transactions to be stored",
        f"{_STORES} {_SCOPES}",
        Answer(StoredTransaction | StoredTransactions, "What was stored.", statuses=("201",), headers=REPLAYED),
        scope="predict",
        parameters=(IDEMPOTENCY_KEY, REQUEST_ID),
        body=described.Body(NewTransaction, _NATIVE),
        problems=(*TO_SCORE, "field_invalid", "schema_unknown", "plan_lacks_feature"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/transactions",
        "listTransactions",
        "List stored transactions",
        "Those of every endpoint that scores, newest first, with what was decided.",
        Answer(TransactionPage, "A page of transactions."),
        parameters=_PAGE,
        problems=_QUERY,
    ),
    operation(
        TAG,
        "GET",
        "/v1/transactions/export",
        "exportTransactions",
        "Stored transactions as a file",
        f"CSV, at most {MOST_EXPORTED:,} rows; where there are more, `X-Next-Cursor` names the next file.",
        Answer({"type": "string"}, "A line a transaction.", "text/csv; charset=utf-8"),
        parameters=(page_of("Transactions")[1], *parameters_of(TRANSACTION_FILTERS)),
        problems=_QUERY,
    ),
    Operation(
        "POST",
        "/transactions",
        "ingestTransactions",
        TAG,
        "Gateway: send transactions to be stored",
        f"PaySim transactions. {_STORES} {_SCOPES}",
        Answer(StoredTransaction | StoredTransactions, "What was stored.", statuses=("201",), headers=REPLAYED),
        scope="predict",
        parameters=(IDEMPOTENCY_KEY, REQUEST_ID),
        body=described.Body(SCHEMAS[GATEWAY_SCHEMA].struct | GatewayTransactions, _GATEWAY),
        problems=(*TO_SCORE, "field_invalid", "plan_lacks_feature"),
        problem=DIALECT_PROBLEM,
    ),
    operation(
        TAG,
        "GET",
        "/transactions",
        "gatewayTransactions",
        "Gateway: list stored transactions",
        "Those of every endpoint that scores, newest first.",
        Answer(GatewayTransactionPage, "A page of transactions."),
        parameters=_PAGE,
        problems=_QUERY,
        problem=DIALECT_PROBLEM,
    ),
)
