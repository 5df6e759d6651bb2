"""Every operation of the API, one row each. A new address in config/urls_api.py gets its row here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.api.decision_filters import DEFAULT_A_PAGE, FILTERS
from apps.api.openapi import examples
from apps.api.openapi.schemas import ref, transaction_ref
from apps.api_keys import tokens
from apps.scoring.dialects.multimodel import PUBLISHED
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.decision_formats import MOST_A_BATCH
from apps.scoring.serving.decisions import MOST_A_PAGE

Json = dict[str, Any]

TAGS = {
    "Keys": "Short-lived tokens in a key's place.",
    "Decisions": "Score transactions and read the decisions.",
    "Models": "Who decides, and what it is worth.",
    "Usage": "What was used, and what the plan includes.",
    "Older interfaces": 'Published earlier, kept working. Their errors are {"detail": …}.',
    "Service": "For load balancers, monitoring and readers. No key.",
}


@dataclass(frozen=True)
class Body:
    schema: Json
    examples: Json
    required: bool = True


@dataclass(frozen=True)
class Answer:
    """What is answered when nothing is refused; `headers` beside those every answer carries."""

    schema: Json
    description: str
    media_type: str = "application/json"
    statuses: tuple[str, ...] = ("200",)
    examples: Json = field(default_factory=dict)
    headers: Json = field(default_factory=dict)


#: The forms of a refusal, by the names of their schemas: ours, the older interfaces', and Multi-model's.
PROBLEM, DIALECT_PROBLEM, DETECT_PROBLEM = "Problem", "DialectProblem", "DetectProblem"


@dataclass(frozen=True)
class Operation:
    """One row. `scope` "" means it needs no key; `problems` are those beyond what the gate says to everybody, told in
    the form `problem`."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    description: str
    answer: Answer
    scope: str = ""
    parameters: tuple[Json, ...] = ()
    body: Body | None = None
    problems: tuple[str, ...] = ()
    problem: str = PROBLEM


def parameter(name: str, where: str, description: str, schema: Json, **more: Any) -> Json:
    return {"name": name, "in": where, "description": description, "schema": schema} | more


REQUEST_ID = parameter(
    "X-Request-Id",
    "header",
    "Your name for this request, given back in the answer: up to 100 letters, digits and `_.:-`. Else we choose one.",
    {"type": "string"},
)
_IDEMPOTENCY_KEY = parameter(
    "Idempotency-Key",
    "header",
    "Repeat a request safely for 24 hours: the same key and body get the same answer, byte for byte, with "
    "`Idempotent-Replayed: true`; another body is refused.",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
)
_DECISION_ID = parameter(
    "decision_id",
    "path",
    "The decision's id.",
    {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    required=True,
    example="dec_0pc6m3fcl2g9t8k1q5v7n4rd",
)
_MODEL = parameter(
    "model",
    "query",
    "The model that shall score; the champion when left out.",
    {"enum": list(PUBLISHED)},
)
_TIME: Json = {"type": "string", "format": "date-time"}
#: What each filter of apps/api/decision_filters.py takes, as JSON Schema.
_FILTERS: Mapping[str, tuple[str, Json]] = {
    "schema": ("Only this kind of transaction.", {"enum": list(SCHEMAS)}),
    "status": ("Only these.", {"enum": ["new", "superseding"]}),
    "risk_level": ("Only this level.", {"enum": ["low", "medium", "high", "critical"]}),
    "recommended_action": ("Only this action.", {"enum": ["approve", "review", "challenge", "block"]}),
    "transaction_id": ("Only decisions on this transaction.", {"type": "string", "minLength": 1, "maxLength": 128}),
    "created_after": ("From this time on.", _TIME),
    "created_before": ("Before this time.", _TIME),
}
_PAGE = (
    parameter(
        "limit",
        "query",
        "Decisions a page.",
        {"type": "integer", "minimum": 1, "maximum": MOST_A_PAGE, "default": DEFAULT_A_PAGE},
    ),
    parameter("cursor", "query", "`next_cursor` of the page before.", {"type": "string"}),
    *(parameter(name, "query", *_FILTERS[name]) for name in FILTERS),
)
_DAY: Json = {"type": "string", "format": "date"}
_SPAN = (
    parameter("start", "query", "First day (default: 30 days before `end`).", _DAY),
    parameter("end", "query", "The day after the last (default: tomorrow).", _DAY),
)
_REPLAYED: Json = {
    "Idempotent-Replayed": {
        "description": "`true` when this Idempotency-Key was answered before and this is that answer.",
        "schema": {"const": "true"},
    }
}
_NOT_STORED: Json = {"Cache-Control": {"description": "`no-store`", "schema": {"const": "no-store"}}}
_SCORES = (
    "body_malformed",
    "header_invalid",
    "body_too_large",
    "media_type_unsupported",
    "idempotency_mismatch",
    "idempotency_in_progress",
    "quota_exceeded",
    "journal_full",
)
_BODY = (*_SCORES, "field_invalid", "schema_unknown", "model_unknown")


def _struct(name: str, description: str, **more: Any) -> Answer:
    return Answer(ref(name), description, **more)


def _page(path: str, operation_id: str, summary: str, description: str) -> Operation:
    answer = Answer({"type": "string"}, "An HTML page.", "text/html; charset=utf-8")
    return Operation("GET", path, operation_id, "Service", summary, description, answer)


OPERATIONS: Iterable[Operation] = (
    Operation(
        "POST",
        "/v1/decisions",
        "createDecision",
        "Decisions",
        "Decide on a transaction",
        "Scores one transaction and answers with a fraud probability, a risk level, a recommended action and the "
        "reasons. Every rule is evaluated and reported, and the model's score is given also when a rule decides.\n\n"
        "The same `transaction_id` with the same facts is answered with the stored decision, `status: duplicate`, and "
        "costs nothing; with new facts it is decided anew, `status: superseding`. Scope: `predict`.",
        _struct(
            "Decision",
            "The decision. A block is an answer like any other.",
            examples=examples.DECIDED,
            headers=_REPLAYED,
        ),
        scope="predict",
        parameters=(_IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(ref("DecisionRequest"), examples.DECISION),
        problems=_BODY,
    ),
    Operation(
        "GET",
        "/v1/decisions",
        "listDecisions",
        "Decisions",
        "List decisions",
        "The decisions made with live or test keys (whichever asks), newest first, as they were answered. Pages are "
        "stable while new decisions arrive. Scope: `read`.",
        _struct("DecisionPage", "A page of decisions."),
        scope="read",
        parameters=(*_PAGE, REQUEST_ID),
        problems=("field_invalid", "cursor_invalid"),
    ),
    Operation(
        "POST",
        "/v1/decisions/batch",
        "createDecisions",
        "Decisions",
        "Decide on many transactions",
        f"Up to {MOST_A_BATCH:,} transactions of one schema, up to 25 MB. Each row has its own status and a wrong one "
        "spoils no other; units are counted a row. The whole batch is one request of the rate limit. Scope: `batch`, "
        "and a plan that includes batches.",
        _struct("DecisionBatch", "One entry a transaction, in their order.", headers=_REPLAYED),
        scope="batch",
        parameters=(_IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(ref("BatchRequest"), examples.BATCH),
        problems=(*_BODY, "plan_lacks_feature"),
    ),
    Operation(
        "GET",
        "/v1/decisions/{decision_id}",
        "getDecision",
        "Decisions",
        "Read a decision",
        "One decision exactly as it was answered, at once after it was made. Scope: `read`.",
        _struct("Decision", "The decision.", examples=examples.DECIDED),
        scope="read",
        parameters=(_DECISION_ID, REQUEST_ID),
        problems=("not_found",),
    ),
    Operation(
        "GET",
        "/v1/decisions/{decision_id}/explanation",
        "getExplanation",
        "Decisions",
        "Explain a decision",
        "What every feature added to the score, in log-odds against the schema's typical legitimate transaction: "
        "exact Shapley values that sum with the base to the score. A decision made without a model has none (404). "
        "Scope: `read`.",
        _struct("Explanation", "All contributions, the largest first."),
        scope="read",
        parameters=(_DECISION_ID, REQUEST_ID),
        problems=("not_found",),
    ),
    Operation(
        "GET",
        "/v1/decisions/{decision_id}/explanation.svg",
        "drawExplanation",
        "Decisions",
        "Draw the explanation",
        "The explanation as a SHAP waterfall. Scope: `read`.",
        Answer({"type": "string"}, "An SVG drawing.", "image/svg+xml"),
        scope="read",
        parameters=(_DECISION_ID, REQUEST_ID),
        problems=("not_found",),
    ),
    Operation(
        "POST",
        "/v1/auth/token",
        "createToken",
        "Keys",
        "Get a token for a key",
        "A signed token (JWT, HS256) that works wherever the key does, for "
        f"{tokens.DEFAULT_SECONDS // 60} minutes unless `expires_in` says otherwise, and ends with it at once: "
        "revoked, expired, rotated away. It may carry fewer scopes than the key. Send the key itself: a token makes no "
        "token. The body may be left out. Scope: any.",
        _struct("Token", "Send `access_token` where the key would stand.", headers=_NOT_STORED),
        scope="any",
        parameters=(REQUEST_ID,),
        body=Body(ref("TokenRequest"), examples.TOKEN, required=False),
        problems=(
            "body_malformed",
            "body_too_large",
            "media_type_unsupported",
            "field_invalid",
            "key_required",
        ),
    ),
    Operation(
        "GET",
        "/v1/usage",
        "getUsage",
        "Usage",
        "Usage of this month",
        "Units used against the plan's and what they cost, by endpoint and by key, as recorded (a decision counts here "
        "within a second); what the month will come to; and the plan that would have been cheapest for the last three. "
        "Amounts are before credits and tax. Scope: `read`.",
        _struct("Usage", "The month so far, UTC."),
        scope="read",
        parameters=(REQUEST_ID,),
    ),
    Operation(
        "GET",
        "/v1/usage/daily",
        "listDailyUsage",
        "Usage",
        "Usage by day",
        "At most 366 days. Scope: `read`.",
        _struct("DailyUsage", "One row a day with anything on it, oldest first."),
        scope="read",
        parameters=(*_SPAN, REQUEST_ID),
        problems=("field_invalid",),
    ),
    Operation(
        "GET",
        "/v1/budgets",
        "getBudget",
        "Usage",
        "Read the budget",
        "The spend cap, the thresholds, how far the month has come and which of them were told. Scope: `read`.",
        _struct("Budget", "The budget of this month."),
        scope="read",
        parameters=(REQUEST_ID,),
    ),
    Operation(
        "POST",
        "/v1/budgets",
        "changeBudget",
        "Usage",
        "Change the budget",
        "`spend_cap` is exact and holds from the next request on: no call beyond it is answered. It counts the plan's "
        "fee and overage, before credits and tax; what the fee has paid for is never refused. At each of `thresholds` "
        "(80 and 100 unless you choose your own) of the included volume and of the cap you are told once a month, by "
        "e-mail and by the webhook `budget.reached`. What is left out stays. Scope: `admin`, with a live key.",
        _struct("Budget", "The budget as it is now."),
        scope="admin",
        parameters=(REQUEST_ID,),
        body=Body(ref("BudgetChange"), examples.BUDGET),
        problems=("body_malformed", "body_too_large", "media_type_unsupported", "field_invalid", "live_key_required"),
    ),
    Operation(
        "GET",
        "/account/usage",
        "getAccountUsage",
        "Older interfaces",
        "Commercial: usage of this month",
        "Requests, how many of them were answered, what they cost so far and will by the month's end. Scope: `read`.",
        _struct("AccountUsage", "The month so far, UTC."),
        scope="read",
        parameters=(REQUEST_ID,),
        problem=DIALECT_PROBLEM,
    ),
    Operation(
        "GET",
        "/v1/models",
        "listModels",
        "Models",
        "List models",
        "The models that can be asked for by name, the champion of each schema first: what each was trained on, under "
        "which licence, and what it is worth on later time, with intervals; and the ensemble of all of a schema's "
        "models. Scope: `read`.",
        _struct("ModelList", "Every schema's models and ensemble."),
        scope="read",
        parameters=(REQUEST_ID,),
    ),
    Operation(
        "POST",
        "/predict",
        "predict",
        "Older interfaces",
        "Commercial, Hybrid, Enterprise: score a transaction",
        "Three published interfaces, told apart by the body's wrapper.\n\n"
        "* **Commercial** (schema `ieee_cis`): `transaction_data` with any of the IEEE-CIS columns. `model_version` "
        "`v1` is the champion; a model's name or name@version asks for that one.\n"
        "* **Hybrid** (schema `paysim`): `payload` in, `fraud` out. By rule: `model_used` is false and `reason` names "
        "the rule. By model: `model_prob` and `decision_threshold`. An unknown `type` is scored, with a warning.\n"
        "* **Enterprise** (schema `payments`): the fields at the top, with `amount`, `user_id` and `merchant_id`.\n\n"
        "Scope: `predict`.",
        Answer(
            {"anyOf": [ref("CommercialAnswer"), ref("HybridAnswer"), ref("EnterpriseAnswer")]},
            "The answer of the interface that was asked.",
            headers=_REPLAYED,
        ),
        scope="predict",
        parameters=(_IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(
            {"anyOf": [ref("CommercialRequest"), ref("HybridRequest"), transaction_ref("payments")]}, examples.PREDICT
        ),
        problems=(*_SCORES, "field_invalid", "payload_invalid", "shape_unknown", "model_not_available"),
        problem=DIALECT_PROBLEM,
    ),
    Operation(
        "POST",
        "/predict/batch",
        "predictBatch",
        "Older interfaces",
        "Commercial: score many transactions",
        f"Up to {MOST_A_BATCH:,} transactions, 25 MB, a unit each. The interface knows no errors of a row: one that is "
        "wrong refuses the whole, names itself, and nothing is scored. Scope: `batch`.",
        _struct("CommercialBatchAnswer", "The predictions, in the order of `transactions`.", headers=_REPLAYED),
        scope="batch",
        parameters=(_IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(ref("CommercialBatchRequest"), examples.COMMERCIAL_BATCH),
        problems=(*_SCORES, "field_invalid", "model_not_available", "plan_lacks_feature"),
        problem=DIALECT_PROBLEM,
    ),
    Operation(
        "POST",
        "/batch-predict",
        "batchPredict",
        "Older interfaces",
        "Enterprise: score many transactions",
        f"Up to {MOST_A_BATCH:,} transactions, 25 MB, a unit each. The interface knows no errors of a row: one that is "
        "wrong refuses the whole, names itself, and nothing is scored. Scope: `batch`.",
        _struct("EnterpriseBatchAnswer", "The results, in the order of `transactions`.", headers=_REPLAYED),
        scope="batch",
        parameters=(_IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(ref("EnterpriseBatchRequest"), examples.ENTERPRISE_BATCH),
        problems=(*_SCORES, "field_invalid", "plan_lacks_feature"),
        problem=DIALECT_PROBLEM,
    ),
    Operation(
        "POST",
        "/api/v1/score",
        "score",
        "Older interfaces",
        "Gateway: score transactions",
        f"Up to {MOST_A_BATCH:,} PaySim transactions, 25 MB, a unit each. One that is wrong refuses the whole and "
        "names itself. Scope: `predict` for one transaction; `batch`, and a plan with batches, for more.",
        _struct("GatewayAnswer", "The results, in the order of `transactions`.", headers=_REPLAYED),
        scope="predict",
        parameters=(_IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(ref("GatewayRequest"), examples.GATEWAY),
        problems=(*_SCORES, "field_invalid", "plan_lacks_feature"),
        problem=DIALECT_PROBLEM,
    ),
    Operation(
        "GET",
        "/models",
        "listAvailableModels",
        "Older interfaces",
        "Multi-model: the models",
        "The models of the Multi-model interface. Scope: `read`.",
        _struct("AvailableModels", "The models by name."),
        scope="read",
        parameters=(REQUEST_ID,),
        problem=DIALECT_PROBLEM,
    ),
    Operation(
        "POST",
        "/detect",
        "detect",
        "Older interfaces",
        "Multi-model: score by one model",
        "Card activity (schema `card_activity`) by the model named in the query. Every wrong field is told at once. "
        "When the model can't score: 500, nothing stored, nothing billed. Scope: `predict`.",
        _struct("Detection", "What that model says, and the signals.", headers=_REPLAYED),
        scope="predict",
        parameters=(_MODEL, _IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(transaction_ref("card_activity"), examples.DETECT),
        problems=(*_SCORES, "field_invalid", "model_not_available", "inference_failed"),
        problem=DETECT_PROBLEM,
    ),
    Operation(
        "POST",
        "/detect/ensemble",
        "detectEnsemble",
        "Older interfaces",
        "Multi-model: score by all models",
        "Card activity by every model; the majority decides, and on a tie the mean probability. A model that fails has "
        "the label `Error` and the rest decide. One unit. Scope: `predict`.",
        _struct("EnsembleDetection", "What they say together, and each of them.", headers=_REPLAYED),
        scope="predict",
        parameters=(_IDEMPOTENCY_KEY, REQUEST_ID),
        body=Body(transaction_ref("card_activity"), examples.DETECT),
        problems=(*_SCORES, "field_invalid", "inference_failed"),
        problem=DETECT_PROBLEM,
    ),
    Operation(
        "GET",
        "/health",
        "getHealth",
        "Service",
        "Is the process up?",
        "Answers without asking the stores.",
        _struct("Health", "It is."),
    ),
    Operation(
        "GET",
        "/ready",
        "getReadiness",
        "Service",
        "Can it score?",
        "To operators also the state of each dependency.",
        _struct("Readiness", "200 while scoring is possible, else 503.", statuses=("200", "503")),
    ),
    Operation(
        "GET",
        "/metrics",
        "getMetrics",
        "Service",
        "Prometheus metrics",
        "Of all processes together; for operators, for others there is nothing here (404).",
        Answer({"type": "string"}, "Prometheus' text format.", "text/plain; version=1.0.0; charset=utf-8"),
    ),
    Operation(
        "GET",
        "/openapi.json",
        "getOpenAPI",
        "Service",
        "This description",
        "OpenAPI 3.1.",
        Answer({"type": "object"}, "This document."),
    ),
    _page("/docs", "getDocs", "Swagger UI", "Try the API in the browser."),
    _page("/docs/errors", "getErrorDocs", "Errors", "Every error code, what it means and what to do."),
    _page("/docs/models", "getModelDocs", "Models", "The models' cards: data, licence, metrics with intervals."),
    _page("/redoc", "getRedoc", "ReDoc", "The API's reference to read."),
)
