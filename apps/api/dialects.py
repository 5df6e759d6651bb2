"""The doors of the older, published interfaces: apps/scoring/dialects says what they take and answer."""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from django.http import HttpRequest, HttpResponse

from apps.api import problems
from apps.api.decisions import BatchView, ScoringView
from apps.api.endpoint import json_answer
from apps.api.openapi import examples
from apps.api.operation import (
    DETECT_PROBLEM,
    DIALECT_PROBLEM,
    IDEMPOTENCY_KEY,
    REPLAYED,
    REQUEST_ID,
    TO_SCORE,
    Answer,
    Body,
    Operation,
    parameter,
)
from apps.api.parameters import query_of
from apps.decoding import decode
from apps.errors import Problem
from apps.scoring.dialects import commercial, detect, enterprise, gateway, multimodel
from apps.scoring.dialects.commercial import (
    CommercialAnswer,
    CommercialBatchAnswer,
    CommercialBatchRequest,
    CommercialRequest,
)
from apps.scoring.dialects.enterprise import EnterpriseAnswer, EnterpriseBatchAnswer, EnterpriseBatchRequest
from apps.scoring.dialects.gateway import GatewayAnswer, GatewayRequest
from apps.scoring.dialects.hybrid import HybridAnswer, HybridRequest
from apps.scoring.dialects.multimodel import AvailableModels, Detection, EnsembleDetection
from apps.scoring.dialects.requests import Asked, AskedMany, Many, Single
from apps.scoring.engine.engine import ENSEMBLE
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving import decision_formats, model_cards
from apps.scoring.serving.decision_formats import MOST_A_BATCH
from apps.scoring.serving.requests import Item, ScoringRequest, item_of


class DialectView(ScoringView):
    """What they share: errors are {"detail": …} and nothing else."""

    problem_content_type = "application/json"

    def render_problem(self, problem: Problem) -> bytes:
        return problems.detail_only(problem)

    def require_model(self, schema: str, model: str | None) -> None:
        """Raises `Problem` (400) naming the models there are."""
        try:
            super().require_model(schema, model)
        except Problem as unknown:
            raise Problem("model_not_available", unknown.detail, unknown.param) from unknown


class PredictView(DialectView):
    """POST /predict: Commercial, Hybrid or Enterprise, by the body's wrapper."""

    endpoint = "predict"
    in_company = True
    scopes: ClassVar = {"POST": "predict"}

    def post(self, request: HttpRequest) -> HttpResponse:
        dialect, asked, scoring_request, item = self.understood(request, self._item)
        answered = self.scoring.decide(scoring_request, item, self.elapsed_ms)
        answer = dialect.render(asked, decision_formats.decode(answered.body))
        return self.answered(answered, msgspec.json.encode(answer))

    def _item(self, request: HttpRequest) -> tuple[Single, Asked, ScoringRequest, Item]:
        body = self.read_body(request)
        content = decode(body, dict[str, Any])
        dialect = detect.dialect_of(content)
        asked = dialect.parse(content, self.received_us // 1000)
        self.require_model(asked.schema.name, asked.model)
        scoring_request = self.scoring_request(request, body, model=asked.model)
        return dialect, asked, scoring_request, item_of(scoring_request, asked.schema, asked.parsed)


class DialectBatchView(DialectView, BatchView):
    """A list of transactions, all of them answered or none."""

    dialect: ClassVar[Many]
    asked: AskedMany

    def _rows(self, request: HttpRequest) -> tuple[ScoringRequest, list[Item | Problem]]:
        body = self.read_body(request)
        self.asked = asked = self.dialect.parse_many(decode(body, dict[str, Any]), self.received_us // 1000)
        self.require_model(asked.schema.name, asked.model)
        scoring_request = self.scoring_request(request, body, model=asked.model, many=True)
        return scoring_request, [
            item_of(scoring_request, asked.schema, parsed, row) for row, parsed in enumerate(asked.parsed)
        ]

    def _answer(self, rows: list[Item | Problem], answers: list[bytes]) -> bytes:
        decisions = [decision_formats.decode(one) for one in answers]
        return msgspec.json.encode(self.dialect.render_many(self.asked, decisions, round(self.elapsed_ms(), 3)))


class CommercialBatchView(DialectBatchView):
    """POST /predict/batch."""

    endpoint = "predict_batch"
    dialect: ClassVar[Many] = commercial


class EnterpriseBatchView(DialectBatchView):
    """POST /batch-predict."""

    endpoint = "batch_predict"
    dialect: ClassVar[Many] = enterprise


class GatewayView(DialectBatchView):
    """POST /api/v1/score. One transaction is no batch: it needs neither that scope nor a plan with batches."""

    endpoint = "score"
    dialect: ClassVar[Many] = gateway
    needed = "predict"

    def scope(self, request: HttpRequest) -> str:
        return self.needed

    def _rows(self, request: HttpRequest) -> tuple[ScoringRequest, list[Item | Problem]]:
        scoring_request, rows = super()._rows(request)
        if len(rows) > 1:
            self.needed = "batch"
        return scoring_request._replace(scope=self.needed), rows


class DetectView(DialectView):
    """POST /detect?model=…: one model, the champion when none is named."""

    endpoint = "detect"
    in_company = True
    scopes: ClassVar = {"POST": "predict"}

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, scoring_request, item = self.understood(request, self._item)
        answered = self.scoring.decide(scoring_request, item, self.elapsed_ms)
        return self.answered(answered, msgspec.json.encode(self.render(asked, decision_formats.decode(answered.body))))

    def render(self, asked: Asked, decision: decision_formats.Decision) -> multimodel.Detection:
        return multimodel.render(asked, decision)

    def model(self, request: HttpRequest) -> str | None:
        """The model asked for. Raises `Problem` (400) naming those there are."""
        wanted = query_of(request.META).get("model")
        if wanted is not None:
            multimodel.require(wanted, self.models)
        return wanted

    @property
    def models(self) -> list[str]:
        return multimodel.published(self.scoring.engine.models.get(multimodel.SCHEMA, {}))

    def render_problem(self, problem: Problem) -> bytes:
        if problem.code == "inference_failed":
            return msgspec.json.encode({"detail": problem.kind.title})
        errors = problem.extra.get("errors")
        return msgspec.json.encode({"detail": errors}) if errors else super().render_problem(problem)

    def _item(self, request: HttpRequest) -> tuple[Asked, ScoringRequest, Item]:
        body = self.read_body(request)
        asked = multimodel.parse(decode(body, Any), self.received_us // 1000)
        scoring_request = self.scoring_request(request, body, model=self.model(request))._replace(model_required=True)
        return asked, scoring_request, item_of(scoring_request, asked.schema, asked.parsed)


class EnsembleView(DetectView):
    """POST /detect/ensemble: all models, by majority."""

    endpoint = "detect_ensemble"

    def render(self, asked: Asked, decision: decision_formats.Decision) -> multimodel.Detection:
        return multimodel.render_ensemble(asked, decision)

    def model(self, request: HttpRequest) -> str | None:
        if not self.models:
            raise Problem("inference_failed")
        return ENSEMBLE


class AvailableModelsView(DialectView):
    """GET /models: the Multi-model interface's models."""

    endpoint = "models"

    def get(self, request: HttpRequest) -> HttpResponse:
        self.admit_only(request)
        return json_answer(_available(model_cards.of_schema(multimodel.SCHEMA, self.scoring.engine.models)))


def _available(models: list[model_cards.ModelCard]) -> multimodel.AvailableModels:
    by_name = {card.name: card for card in models}
    available = {
        name: multimodel.AvailableModel(name, by_name[name].file, by_name[name].family, by_name[name].status)
        for name in multimodel.published(by_name)
    }
    champion = next((card.name for card in models if card.champion), None)
    return multimodel.AvailableModels(available, len(available), champion)


TAG = "Older interfaces"
_MODEL = parameter(
    "model",
    "query",
    "The model that shall score; the champion when left out.",
    {"enum": list(multimodel.PUBLISHED)},
)

OPERATIONS: Sequence[Operation] = (
    Operation(
        "POST",
        "/predict",
        "predict",
        TAG,
        "Commercial, Hybrid, Enterprise: score a transaction",
        "Three published interfaces, told apart by the body's wrapper.\n\n"
        "* **Commercial** (schema `ieee_cis`): `transaction_data` with any of the IEEE-CIS columns. `model_version` "
        "`v1` is the champion; a model's name or name@version asks for that one.\n"
        "* **Hybrid** (schema `paysim`): `payload` in, `fraud` out. By rule: `model_used` is false and `reason` names "
        "the rule. By model: `model_prob` and `decision_threshold`. An unknown `type` is scored, with a warning.\n"
        "* **Enterprise** (schema `payments`): the fields at the top, with `amount`, `user_id` and `merchant_id`.\n\n"
        "Scope: `predict`.",
        Answer(
            CommercialAnswer | HybridAnswer | EnterpriseAnswer,
            "The answer of the interface that was asked.",
            headers=REPLAYED,
        ),
        scope="predict",
        parameters=(IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(CommercialRequest | HybridRequest | SCHEMAS["payments"].struct, examples.PREDICT),
        problems=(*TO_SCORE, "field_invalid", "payload_invalid", "shape_unknown", "model_not_available"),
        problem=DIALECT_PROBLEM,
    ),
    Operation(
        "POST",
        "/predict/batch",
        "predictBatch",
        TAG,
        "Commercial: score many transactions",
        f"Up to {MOST_A_BATCH:,} transactions, 25 MB, a unit each. The interface knows no errors of a row: one that is "
        "wrong refuses the whole, names itself, and nothing is scored. Scope: `batch`.",
        Answer(CommercialBatchAnswer, "The predictions, in the order of `transactions`.", headers=REPLAYED),
        scope="batch",
        parameters=(IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(CommercialBatchRequest, examples.COMMERCIAL_BATCH),
        problems=(*TO_SCORE, "field_invalid", "model_not_available", "plan_lacks_feature"),
        problem=DIALECT_PROBLEM,
    ),
    Operation(
        "POST",
        "/batch-predict",
        "batchPredict",
        TAG,
        "Enterprise: score many transactions",
        f"Up to {MOST_A_BATCH:,} transactions, 25 MB, a unit each. The interface knows no errors of a row: one that is "
        "wrong refuses the whole, names itself, and nothing is scored. Scope: `batch`.",
        Answer(EnterpriseBatchAnswer, "The results, in the order of `transactions`.", headers=REPLAYED),
        scope="batch",
        parameters=(IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(EnterpriseBatchRequest, examples.ENTERPRISE_BATCH),
        problems=(*TO_SCORE, "field_invalid", "plan_lacks_feature"),
        problem=DIALECT_PROBLEM,
    ),
    Operation(
        "POST",
        "/api/v1/score",
        "score",
        TAG,
        "Gateway: score transactions",
        f"Up to {MOST_A_BATCH:,} PaySim transactions, 25 MB, a unit each. One that is wrong refuses the whole and "
        "names itself. Scope: `predict` for one transaction; `batch`, and a plan with batches, for more.",
        Answer(GatewayAnswer, "The results, in the order of `transactions`.", headers=REPLAYED),
        scope="predict",
        parameters=(IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(GatewayRequest, examples.GATEWAY),
        problems=(*TO_SCORE, "field_invalid", "plan_lacks_feature"),
        problem=DIALECT_PROBLEM,
    ),
    Operation(
        "GET",
        "/models",
        "listAvailableModels",
        TAG,
        "Multi-model: the models",
        "The models of the Multi-model interface. Scope: `read`.",
        Answer(AvailableModels, "The models by name."),
        scope="read",
        parameters=(REQUEST_ID,),
        problem=DIALECT_PROBLEM,
    ),
    Operation(
        "POST",
        "/detect",
        "detect",
        TAG,
        "Multi-model: score by one model",
        "Card activity (schema `card_activity`) by the model named in the query. Every wrong field is told at once. "
        "When the model can't score: 500, nothing stored, nothing billed. Scope: `predict`.",
        Answer(Detection, "What that model says, and the signals.", headers=REPLAYED),
        scope="predict",
        parameters=(_MODEL, IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(SCHEMAS["card_activity"].struct, examples.DETECT),
        problems=(*TO_SCORE, "field_invalid", "model_not_available", "inference_failed"),
        problem=DETECT_PROBLEM,
    ),
    Operation(
        "POST",
        "/detect/ensemble",
        "detectEnsemble",
        TAG,
        "Multi-model: score by all models",
        "Card activity by every model; the majority decides, and on a tie the mean probability. A model that fails has "
        "the label `Error` and the rest decide. One unit. Scope: `predict`.",
        Answer(EnsembleDetection, "What they say together, and each of them.", headers=REPLAYED),
        scope="predict",
        parameters=(IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(SCHEMAS["card_activity"].struct, examples.DETECT),
        problems=(*TO_SCORE, "field_invalid", "inference_failed"),
        problem=DETECT_PROBLEM,
    ),
)
