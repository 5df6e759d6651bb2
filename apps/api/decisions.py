"""The doors of the native scoring API, `/v1/decisions…`. Each translates, makes one call, translates back."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api.decision_filters import FILTERS, filters_of
from apps.api.endpoint import MEGABYTE, ApiView, client_address, idempotency_key, json_answer
from apps.api.list_filters import described
from apps.api.openapi import examples
from apps.api.operation import (
    IDEMPOTENCY_KEY,
    REPLAYED,
    REQUEST_ID,
    TO_SCORE,
    Answer,
    Body,
    Operation,
    id_in_path,
    page_of,
)
from apps.api.problem_bodies import Errors
from apps.api.problems import errors_of
from apps.api_keys.gate import names_of
from apps.errors import Problem
from apps.scoring.engine.engine import UnknownModel
from apps.scoring.engine.explain import Contribution
from apps.scoring.serving import decision_formats, decision_requests, decisions, explanations, ids
from apps.scoring.serving.decision_formats import MOST_A_BATCH, Decision, Timing
from apps.scoring.serving.decision_requests import BatchRequest, DecisionRequest
from apps.scoring.serving.explanations import Explained
from apps.scoring.serving.requests import Item, ScoringRequest, item_of
from apps.scoring.serving.runtime import get_scoring
from apps.scoring.serving.service import Scoring
from apps.scoring.serving.stored_answers import Answered


class RowProblem(msgspec.Struct, frozen=True):
    """Why a row was refused."""

    code: str
    title: str
    detail: str
    param: Annotated[str, Meta(description="Such as transactions[3].amount.")]
    errors: Errors


class RefusedRow(msgspec.Struct, frozen=True):
    """A row of a batch that could not be processed; it is not billed."""

    object: Literal["error"]
    row: Annotated[int, Meta(description="Its place in `transactions`, from 0.")]
    status: Literal["error"]
    billed_units: int
    error: RowProblem


class Counts(msgspec.Struct, frozen=True):
    """Rows by status."""

    new: int = 0
    duplicate: int = 0
    superseding: int = 0
    error: int = 0


class DecisionBatch(msgspec.Struct, frozen=True):
    """A batch answered: `data` in the order of `transactions`."""

    object: Literal["decision_batch"]
    total: int
    counts: Counts
    billed_units: Annotated[int, Meta(description="Billed units.")]
    timing_ms: Timing
    data: list[msgspec.Raw]


class DecisionPage(msgspec.Struct, frozen=True):
    """Decisions, newest first."""

    object: Literal["list"]
    data: list[msgspec.Raw]
    has_more: bool
    next_cursor: Annotated[str | None, Meta(description="Send it as `cursor` for the next page.")]


class ModelVersion(msgspec.Struct, frozen=True):
    """A model, exactly."""

    name: str
    version: str


class Explanation(msgspec.Struct, frozen=True):
    """base_value + all contributions = log_odds; probability is their sigmoid."""

    object: Literal["explanation"]
    decision: str
    transaction_id: str
    schema: str
    model: ModelVersion
    unit: Literal["log-odds"]
    base_value: Annotated[float, Meta(description="Of the schema's typical legitimate transaction.")]
    log_odds: float
    probability: float
    contributions: Annotated[tuple[Contribution, ...], Meta(description="All of them, the largest first.")]


class ScoringView(ApiView):
    """What all scoring endpoints share: understanding the request, and who may hear that it was wrong."""

    @property
    def scoring(self) -> Scoring:
        return get_scoring()

    def scoring_request(
        self, request: HttpRequest, body: bytes, *, model: str | None = None, dry_run: bool = False, many: bool = False
    ) -> ScoringRequest:
        value = idempotency_key(request.META)
        return ScoringRequest(
            key=self.key,
            digest=self.digest,
            address=client_address(request.META),
            endpoint=self.endpoint,
            scope=self.scope(request),
            received_us=self.received_us,
            idempotency_key=ids.text_hash(value) if value else "",
            fingerprint=ids.fingerprint(request.path, request.META.get("QUERY_STRING", ""), body) if value else "",
            model=model,
            dry_run=dry_run,
            many=many,
        )

    def require_model(self, schema: str, model: str | None) -> None:
        """Raises `Problem` naming the models there are."""
        try:
            self.scoring.engine.require(schema, model)
        except UnknownModel as unknown:
            raise Problem("model_unknown", f"{unknown}.", "model") from unknown

    def answered(self, answered: Answered, body: bytes | None = None) -> HttpResponse:
        self.admitted(answered.admission)
        replayed = {"Idempotent-Replayed": "true"} if answered.replayed else None
        return json_answer(answered.body if body is None else body, replayed)


class DecisionsView(ScoringView):
    """POST: decide on one transaction. GET: the decisions made, newest first."""

    endpoint = "decisions"
    in_company = True
    scopes: ClassVar = {"POST": "predict", "GET": "read"}

    def post(self, request: HttpRequest) -> HttpResponse:
        scoring_request, item = self.understood(request, self._item)
        return self.answered(self.scoring.decide(scoring_request, item, self.elapsed_ms))

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor, filters = self.understood(request, filters_of)
        admission = self.admit_only(request)
        page = decisions.page(admission.tenant_schema, self.key.livemode, filters, cursor, limit)
        answers = [msgspec.Raw(decision_formats.answer_of(row)) for row in page.rows]
        return json_answer(DecisionPage("list", answers, page.next_cursor is not None, page.next_cursor))

    def _item(self, request: HttpRequest) -> tuple[ScoringRequest, Item]:
        body = self.read_body(request)
        asked, noticed = decision_requests.understood(body, DecisionRequest)
        schema = decision_requests.schema_named(asked.schema)
        self.require_model(schema.name, asked.model)
        scoring_request = self.scoring_request(request, body, model=asked.model, dry_run=asked.dry_run)
        parsed = decision_requests.parse(
            schema, asked.transaction, scoring_request.received_us // 1000, noticed=noticed
        )
        return scoring_request, item_of(scoring_request, schema, parsed)


class Row(msgspec.Struct):
    """What a batch's tally needs of a row."""

    status: str
    billed_units: int = 0


class BatchView(ScoringView):
    """POST: decide on up to 1,000 transactions; each row has its own status, a wrong one spoils no other."""

    endpoint = "decisions_batch"
    scopes: ClassVar = {"POST": "batch"}
    body_limit = 25 * MEGABYTE

    def post(self, request: HttpRequest) -> HttpResponse:
        scoring_request, rows = self.understood(request, self._rows)
        items = [row for row in rows if isinstance(row, Item)]
        admission, answers, replay = self.scoring.decide_many(scoring_request, items, self.elapsed_ms)
        if replay:
            return self.answered(Answered(replay, admission, replayed=True))
        body = self._answer(rows, answers)
        self.scoring.settle_batch(scoring_request, admission, body)
        return self.answered(Answered(body, admission))

    def _rows(self, request: HttpRequest) -> tuple[ScoringRequest, list[Item | Problem]]:
        body = self.read_body(request)
        asked, noticed = decision_requests.understood(body, BatchRequest)
        schema = decision_requests.schema_named(asked.schema)
        self.require_model(schema.name, asked.model)
        scoring_request = self.scoring_request(request, body, model=asked.model, dry_run=asked.dry_run, many=True)
        received_ms = scoring_request.received_us // 1000
        rows: list[Item | Problem] = []
        for index, transaction in enumerate(asked.transactions):
            try:
                parsed = decision_requests.parse(schema, transaction, received_ms, f"transactions[{index}]", noticed)
                rows.append(item_of(scoring_request, schema, parsed, index))
            except Problem as wrong:
                rows.append(wrong)
        return scoring_request, rows

    def _answer(self, rows: list[Item | Problem], answers: list[bytes]) -> bytes:
        remaining = iter(answers)
        data = [next(remaining) if isinstance(row, Item) else _row_problem(row, i) for i, row in enumerate(rows)]
        tally = [msgspec.json.decode(row, type=Row) for row in data]
        return msgspec.json.encode(
            DecisionBatch(
                object="decision_batch",
                total=len(data),
                counts=Counts(**Counter(row.status for row in tally)),
                billed_units=sum(row.billed_units for row in tally),
                timing_ms=Timing(round(self.elapsed_ms(), 3)),
                data=[msgspec.Raw(row) for row in data],
            )
        )


class DecisionView(ScoringView):
    """GET: one decision, at once after it was made."""

    endpoint = "decision"

    def get(self, request: HttpRequest, decision_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        names = names_of(self.key.handle, self.key.livemode)
        return json_answer(self.scoring.answers.find(names, admission, decision_id))


class ExplanationView(ScoringView):
    """GET: every contribution to a decision's score, as numbers or drawn as a SHAP waterfall."""

    endpoint = "decision_explanation"

    def get(self, request: HttpRequest, decision_id: str, drawn: str | None = None) -> Any:
        admission = self.admit_only(request)
        names = names_of(self.key.handle, self.key.livemode)
        stored = explanations.find(self.scoring, names, admission, decision_id)
        if drawn:
            return HttpResponse(explanations.drawn(stored), content_type="image/svg+xml")
        return json_answer(_explanation(stored))


def _row_problem(problem: Problem, row: int) -> bytes:
    error = RowProblem(problem.code, problem.kind.title, problem.detail, problem.param, errors_of(problem))
    return decision_formats.encode(RefusedRow("error", row, "error", 0, error))


def _explanation(explained: Explained) -> Explanation:
    """Log-odds that sum, and their sentences."""
    found = explained.explanation
    return Explanation(
        object="explanation",
        decision=explained.decision_id,
        transaction_id=explained.transaction_id,
        schema=explained.schema,
        model=ModelVersion(explained.model, explained.version),
        unit="log-odds",
        base_value=found.base_value,
        log_odds=found.log_odds,
        probability=found.probability,
        contributions=found.items,
    )


TAG = "Decisions"
DECISION_ID = id_in_path("decision_id", "The decision's id.", "dec_0pc6m3fcl2g9t8k1q5v7n4rd")
_FILTER_PARAMETERS = described(FILTERS)
_DECIDES = (*TO_SCORE, "field_invalid", "schema_unknown", "model_unknown")

OPERATIONS: Sequence[Operation] = (
    Operation(
        "POST",
        "/v1/decisions",
        "createDecision",
        TAG,
        "Decide on a transaction",
        "Scores one transaction and answers with a fraud probability, a risk level, a recommended action and the "
        "reasons. Every rule is evaluated and reported, and the model's score is given also when a rule decides.\n\n"
        "The same `transaction_id` with the same facts is answered with the stored decision, `status: duplicate`, and "
        "costs nothing; with new facts it is decided anew, `status: superseding`. Scope: `predict`.",
        Answer(
            Decision,
            "The decision. A block is an answer like any other.",
            examples=examples.DECIDED,
            headers=REPLAYED,
        ),
        scope="predict",
        parameters=(IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(DecisionRequest, examples.DECISION),
        problems=_DECIDES,
    ),
    Operation(
        "GET",
        "/v1/decisions",
        "listDecisions",
        TAG,
        "List decisions",
        "The decisions made with live or test keys (whichever asks), newest first, as they were answered. Pages are "
        "stable while new decisions arrive. Scope: `read`.",
        Answer(DecisionPage, "A page of decisions."),
        scope="read",
        parameters=(*page_of("Decisions"), *_FILTER_PARAMETERS, REQUEST_ID),
        problems=("field_invalid", "cursor_invalid"),
    ),
    Operation(
        "POST",
        "/v1/decisions/batch",
        "createDecisions",
        TAG,
        "Decide on many transactions",
        f"Up to {MOST_A_BATCH:,} transactions of one schema, up to 25 MB. Each row has its own status and a wrong one "
        "spoils no other; units are counted a row. The whole batch is one request of the rate limit. Scope: `batch`, "
        "and a plan that includes batches.",
        Answer(DecisionBatch, "One entry a transaction, in their order.", headers=REPLAYED),
        scope="batch",
        parameters=(IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(BatchRequest, examples.BATCH),
        problems=(*_DECIDES, "plan_lacks_feature"),
    ),
    Operation(
        "GET",
        "/v1/decisions/{decision_id}",
        "getDecision",
        TAG,
        "Read a decision",
        "One decision exactly as it was answered, at once after it was made. Scope: `read`.",
        Answer(Decision, "The decision.", examples=examples.DECIDED),
        scope="read",
        parameters=(DECISION_ID, REQUEST_ID),
        problems=("not_found",),
    ),
    Operation(
        "GET",
        "/v1/decisions/{decision_id}/explanation",
        "getExplanation",
        TAG,
        "Explain a decision",
        "What every feature added to the score, in log-odds against the schema's typical legitimate transaction: "
        "exact Shapley values that sum with the base to the score. A decision made without a model has none (404). "
        "Scope: `read`.",
        Answer(Explanation, "All contributions, the largest first."),
        scope="read",
        parameters=(DECISION_ID, REQUEST_ID),
        problems=("not_found",),
    ),
    Operation(
        "GET",
        "/v1/decisions/{decision_id}/explanation.svg",
        "drawExplanation",
        TAG,
        "Draw the explanation",
        "The explanation as a SHAP waterfall. Scope: `read`.",
        Answer({"type": "string"}, "An SVG drawing.", "image/svg+xml"),
        scope="read",
        parameters=(DECISION_ID, REQUEST_ID),
        problems=("not_found",),
    ),
)
