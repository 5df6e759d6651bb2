"""The doors of the native scoring API, `/v1/decisions…`. Each translates, makes one call, translates back."""

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from django.http import HttpRequest, HttpResponse

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api import decision_requests
from apps.api.decision_filters import filters_of, page_of
from apps.api.decision_requests import BatchRequest, DecisionRequest
from apps.api.endpoint import MEGABYTE, ApiView, client_address, idempotency_key, json_answer
from apps.api_keys.gate import names_of
from apps.errors import Problem
from apps.scoring.engine.engine import UnknownModel
from apps.scoring.serving import decision_formats, decisions, explanations, ids
from apps.scoring.serving.requests import Item, ScoringRequest, item_of
from apps.scoring.serving.runtime import get_scoring
from apps.scoring.serving.service import Answered, Scoring


class ScoringView(ApiView):
    """What all scoring endpoints share: understanding the request, and who may hear that it was wrong."""

    @property
    def scoring(self) -> Scoring:
        return get_scoring()

    def understood(self, request: HttpRequest, understand: Callable[[HttpRequest], Any]) -> Any:
        """What the request says; a problem with it is told only to those the gate lets in."""
        try:
            return understand(request)
        except Problem as wrong:
            return self.refuse(request, wrong)

    def scoring_request(
        self, request: HttpRequest, body: bytes, *, model: str | None = None, dry_run: bool = False, many: bool = False
    ) -> ScoringRequest:
        said = idempotency_key(request.META)
        return ScoringRequest(
            key=self.key,
            digest=self.digest,
            address=client_address(request.META),
            endpoint=self.endpoint,
            scope=self.scope(request),
            received_us=self.received_us,
            idempotency_key=ids.text_hash(said) if said else "",
            fingerprint=ids.fingerprint(request.path, request.META.get("QUERY_STRING", ""), body) if said else "",
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
        found = _from_postgres(
            lambda: decisions.page(admission.tenant_schema, self.key.livemode, filters, cursor, limit)
        )
        return json_answer(page_of(found))

    def _item(self, request: HttpRequest) -> tuple[ScoringRequest, Item]:
        body = self.read_body(request)
        said, noticed = decision_requests.understood(body, DecisionRequest)
        schema = decision_requests.schema_named(said.schema)
        self.require_model(schema.name, said.model)
        scoring_request = self.scoring_request(request, body, model=said.model, dry_run=said.dry_run)
        parsed = decision_requests.parse(schema, said.transaction, scoring_request.received_us // 1000, noticed=noticed)
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
        admission, told, replay = self.scoring.decide_many(scoring_request, items, self.elapsed_ms)
        if replay:
            return self.answered(Answered(replay, admission, replayed=True))
        body = self._answer(rows, told)
        self.scoring.settle_batch(scoring_request, admission, body)
        return self.answered(Answered(body, admission))

    def _rows(self, request: HttpRequest) -> tuple[ScoringRequest, list[Item | Problem]]:
        body = self.read_body(request)
        said, noticed = decision_requests.understood(body, BatchRequest)
        schema = decision_requests.schema_named(said.schema)
        self.require_model(schema.name, said.model)
        scoring_request = self.scoring_request(request, body, model=said.model, dry_run=said.dry_run, many=True)
        received_ms = scoring_request.received_us // 1000
        rows: list[Item | Problem] = []
        for index, transaction in enumerate(said.transactions):
            try:
                parsed = decision_requests.parse(schema, transaction, received_ms, f"transactions[{index}]", noticed)
                rows.append(item_of(scoring_request, schema, parsed, index))
            except Problem as wrong:
                rows.append(wrong)
        return scoring_request, rows

    def _answer(self, rows: list[Item | Problem], told: list[bytes]) -> bytes:
        remaining = iter(told)
        data = [next(remaining) if isinstance(row, Item) else _row_problem(row, i) for i, row in enumerate(rows)]
        tally = [msgspec.json.decode(one, type=Row) for one in data]
        statuses = ("new", "duplicate", "superseding", "error")
        return msgspec.json.encode(
            {
                "object": "decision_batch",
                "total": len(data),
                "counts": {status: sum(row.status == status for row in tally) for status in statuses},
                "billed_units": sum(row.billed_units for row in tally),
                "timing_ms": {"total": round(self.elapsed_ms(), 3)},
                "data": [msgspec.Raw(one) for one in data],
            }
        )


class DecisionView(ScoringView):
    """GET: one decision, at once after it was made."""

    endpoint = "decision"

    def get(self, request: HttpRequest, decision_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        names = names_of(self.key.handle, self.key.livemode)
        return json_answer(self.scoring.stored(names, admission, decision_id))


class ExplanationView(ScoringView):
    """GET: every contribution to a decision's score, as numbers or drawn as a SHAP waterfall."""

    endpoint = "decision_explanation"

    def get(self, request: HttpRequest, decision_id: str, drawn: str | None = None) -> Any:
        admission = self.admit_only(request)
        names = names_of(self.key.handle, self.key.livemode)
        stored = _from_postgres(lambda: explanations.find(self.scoring, names, admission, decision_id))
        if drawn:
            return HttpResponse(explanations.drawn(stored), content_type="image/svg+xml")
        return json_answer(explanations.as_json(stored))


def _row_problem(problem: Problem, row: int) -> bytes:
    error = {"code": problem.code, "title": problem.kind.title, "detail": problem.detail, "param": problem.param}
    return decision_formats.encode(
        {"object": "error", "row": row, "status": "error", "billed_units": 0, "error": error}
    )


def _from_postgres(read: Callable[[], Any]) -> Any:
    """Reads of what is stored need Postgres: its absence is a 503, never a 404."""
    try:
        return read()
    except POSTGRES_AWAY as failure:
        raise Problem("stores_away", "Decisions are read from Postgres, which is away.", retry_after=2.0) from failure
