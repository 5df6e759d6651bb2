"""One call of each operation, with objects that are there: every generated client makes all of them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.api.documentation import OPENAPI
from apps.batches.models import Batch
from apps.billing.subscriptions.services import subscription_of
from apps.scoring.lists.importing import AWAITED_LINES
from tests.api.test_404_isolation import MAKE
from tests.batches.sent import csv_of
from tests.cast import Api
from tests.own_models.kept import enough_frauds
from tests.stripe_server import Stand
from tests.stripe_server.webhooks import signature

DESCRIPTION: dict[str, Any] = json.loads(OPENAPI.read_text())
SECRET = "whsec_of_the_tenant"
_SNOOZE = {"field": "user_id", "value": "Ann", "until": f"{timezone.now() + timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}"}
_DONE = "https://shop.example/done"


@dataclass(frozen=True)
class Call:
    """What an operation is called with, by the names the description gives. `kind` is the schema of the body, unless
    that is a `file`: CSV."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    kind: str = ""
    file: bytes = b""


@dataclass(frozen=True)
class Operation:
    """An operation of the description, and how it is called."""

    id: str
    method: str
    address: str
    tag: str
    answer: Mapping[str, Any]
    statuses: frozenset[int]
    call: Call

    @property
    def media_type(self) -> str:
        """What it answers with."""
        return next(iter(self.answer["content"])).partition(";")[0]

    @property
    def answer_schema(self) -> Mapping[str, Any]:
        return next(iter(self.answer["content"].values()))["schema"]  # type: ignore[no-any-return]  # JSON


def operations(api: Api, stand: Stand, drain: Callable[[], int]) -> list[Operation]:
    """Every operation, to be called with a key of `api`'s tenant; those that delete come last.

    What is read has been recorded.
    """
    calls = _calls(api, stand)
    drain()
    assert subscription_of(api.tenant.pk).status == "active", "what was made for the calls changed what is answered"
    found = [
        Operation(
            one["operationId"],
            method,
            path,
            one["tags"][0],
            _answer(one["responses"]),
            frozenset(int(status) for status in one["responses"] if status.startswith("2")),
            calls[one["operationId"]],
        )
        for path, methods in DESCRIPTION["paths"].items()
        for method, one in methods.items()
    ]
    return sorted(found, key=lambda operation: operation.method == "delete")


def _answer(responses: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an operation answers when all is well."""
    return next(answer for status, answer in sorted(responses.items()) if status.startswith("2"))  # type: ignore[no-any-return]


def with_times(said: Any) -> Any:
    """JSON with its times as times: a moment may be written in more than one way."""
    if isinstance(said, dict):
        return {name: with_times(value) for name, value in said.items()}
    if isinstance(said, list):
        return [with_times(value) for value in said]
    if isinstance(said, str) and re.match(r"\d{4}-\d\d-\d\dT", said):
        return datetime.fromisoformat(said)
    return said


def _calls(api: Api, stand: Stand) -> Mapping[str, Call]:
    """Operation id → its call; those that take nothing need no line."""
    named = {name: {name: make(api)} for name, make in MAKE.items()}
    another = {
        name: {name: MAKE[name](api)}
        for name in ("webhook_id", "batch_id", "rule_id", "channel_id", "case_id", "queue_id", "model_id")
    }
    newest = str(api.get("/v1/policies").json()["data"][0]["version"])  # the rule is in it
    paused = {"batch_id": MAKE["batch_id"](api)}
    Batch.objects.filter(pk=paused["batch_id"]).update(state="paused")
    enough_frauds(api.tenant)
    connected = {"api_key": stand.api_key, "webhook_secret": SECRET}
    handle, mode = api.post("/v1/stripe/account", connected).json()["webhook"].split("/")[-2:]
    intent = stand.ledger.create_intent({"amount": "1250", "currency": "usd", "receipt_email": "ada@example.com"})
    event = stand.ledger.events[-1]
    return dict.fromkeys((one["operationId"] for _, one in _described()), Call()) | {
        "listDecisions": Call(query={"limit": 5, "schema": "paysim", "created_after": "2026-01-05T10:00:00Z"}),
        "createDecision": Call(body=_example("createDecision", "drained"), kind="PaySimDecisionRequest"),
        "createDecisions": Call(body=_batch(), kind="PaySimBatchRequest"),
        **dict.fromkeys(
            (
                "getDecision",
                "getExplanation",
                "drawExplanation",
                "getCounterfactuals",
                "getAdverseAction",
                "replayDecision",
            ),
            Call(named["decision_id"]),
        ),
        **dict.fromkeys(("getPolicy", "diffPolicies"), Call(named["policy_version"])),
        "simulatePolicy": Call(body=_example("simulatePolicy", "later"), kind="NewSimulation"),
        **dict.fromkeys(("getSimulation", "listFlips"), Call(named["simulation_id"])),
        "publishPolicy": Call(body=_example("publishPolicy", "rule") | {"dry_run": True}, kind="NewPolicy"),
        "rollBackPolicy": Call({"policy_version": newest}, body=_example("rollBackPolicy", "why"), kind="RollBack"),
        "createToken": Call(body=_example("createToken", "reader"), kind="TokenRequest"),
        "listDailyUsage": Call(query={"start": "2026-01-01", "end": "2026-02-01"}),
        "changeBudget": Call(body=_example("changeBudget", "cap"), kind="BudgetChange"),
        "predict": Call(body=_example("predict", "drained"), kind="HybridRequest"),
        "predictBatch": Call(body=_example("predictBatch", "two"), kind="CommercialBatchRequest"),
        "batchPredict": Call(body=_example("batchPredict", "two"), kind="EnterpriseBatchRequest"),
        "score": Call(body=_example("score", "merchant"), kind="GatewayRequest"),
        "detect": Call(query={"model": "xgboost"}, body=_example("detect", "abroad"), kind="CardActivity"),
        "detectEnsemble": Call(body=_example("detectEnsemble", "abroad"), kind="CardActivity"),
        "changeSubscription": Call(body={"plan": "basic"}, kind="SubscriptionChange"),
        **dict.fromkeys(("getSlaMonth", "getSlaMonthPdf"), Call({"month": f"{timezone.now():%Y-%m}"})),
        **dict.fromkeys(("getInvoice", "getInvoicePdf", "getInvoiceHtml"), Call(named["invoice_id"])),
        **dict.fromkeys(("getCreditNote", "getCreditNotePdf", "getCreditNoteHtml"), Call(named["note_id"])),
        "redeemCoupon": Call(body={"coupon": "WELCOME"}, kind="CouponRequest"),
        "createCardPage": Call(body={"success_url": _DONE, "cancel_url": _DONE}, kind="CardPageRequest"),
        "createCustomerPortal": Call(body={"return_url": _DONE}, kind="PortalRequest"),
        "receiveStripeWebhook": _signed(event, stand.webhook_secret),
        "connectStripeAccount": Call(body=connected, kind="StripeAccountRequest"),
        "screenPaymentIntent": Call({"intent_id": intent["id"]}),
        "receiveTenantsStripeWebhook": _signed(event, SECRET, handle=handle, mode=mode),
        "createImport": Call(body=_example("createImport", "radar"), kind="ImportRequest"),
        "createWebhook": Call(body=_example("createWebhook", "some"), kind="NewWebhook"),
        "changeWebhook": Call(named["webhook_id"], body=_example("changeWebhook", "off"), kind="WebhookChange"),
        "rotateWebhookSecret": Call(named["webhook_id"], body={"overlap_hours": 48}, kind="Rotation"),
        **dict.fromkeys(("getWebhook", "testWebhook", "listWebhookDeliveries"), Call(named["webhook_id"])),
        "deleteWebhook": Call(another["webhook_id"]),
        **dict.fromkeys(("getWebhookDelivery", "replayWebhookDelivery"), Call(named["delivery_id"])),
        "createBatch": Call(query={"schema": "paysim"}, file=csv_of(2)),
        "createJob": Call(file=csv_of(2)),
        **dict.fromkeys(("getBatch", "getBatchResults", "listBatchProblems", "cancelBatch"), Call(named["batch_id"])),
        "resumeBatch": Call(paused),
        "deleteBatch": Call(another["batch_id"]),
        "getJob": Call(named["job_id"]),
        "createList": Call(body=_example("createList", "offices"), kind="NewList"),
        **dict.fromkeys(("getList", "listItems", "exportItems"), Call(named["list_name"])),
        "addItems": Call(named["list_name"], body=_example("addItems", "some"), kind="NewItems"),
        "removeItem": Call(named["list_name"], query={"value": "u1"}),
        "removeItems": Call(named["list_name"], body=_example("removeItems", "some"), kind="Values"),
        "removeItemById": Call(_item(api, **named["list_name"])),
        "importItems": Call(named["list_name"], file=b"value\nu3\n"),
        "getListImport": Call(_import(api, **named["list_name"])),
        "deleteList": Call({"list_name": api.post("/v1/lists", {"name": "old", "item_type": "user"}).json()["name"]}),
        **dict.fromkeys(("getCase", "claimCase", "releaseCase", "getCaseGraph"), Call(named["case_id"])),
        "claimNextCase": Call(body=_example("claimNextCase", "any"), kind="NextCaseRequest"),
        "assignCase": Call(named["case_id"], body=_example("assignCase", "nobody"), kind="Assignment"),
        "createCaseNote": Call(named["case_id"], body=_example("createCaseNote", "call"), kind="NewNote"),
        "createCaseAttachment": Call(
            named["case_id"], body=_example("createCaseAttachment", "text"), kind="NewAttachment"
        ),
        "getCaseAttachment": Call(named["attachment_id"]),
        "resolveCase": Call(another["case_id"], body=_example("resolveCase", "fraud"), kind="Resolving"),
        "createReviewQueue": Call(body=_example("createReviewQueue", "large"), kind="NewQueue"),
        "changeReviewQueue": Call(named["queue_id"], body=_example("changeReviewQueue", "faster"), kind="QueueChange"),
        "getReviewQueue": Call(named["queue_id"]),
        "deleteReviewQueue": Call(another["queue_id"]),
        "createLabels": Call(
            body={**named["decision_id"], "label": "fraud", "source": "chargeback", "amount_lost": 180.5},
            kind="GivenLabel",
        ),
        "getLabel": Call(named["label_id"]),
        "createRule": Call(body=_example("createRule", "shadow"), kind="NewRule"),
        "validateRule": Call(body=_example("validateRule", "whole"), kind="RuleToCheck"),
        "changeRule": Call(named["rule_name"], body=_example("changeRule", "live"), kind="RuleChange"),
        **dict.fromkeys(("getRule", "getRuleHistory", "listSnoozes"), Call(named["rule_name"])),
        "createSnooze": Call(named["rule_name"], body=_SNOOZE, kind="NewSnooze"),
        "createAggregate": Call(body=_example("createAggregate", "card"), kind="NewAggregate"),
        "getAggregate": Call(named["aggregate_name"]),
        "archiveAggregate": Call(
            named["aggregate_name"], body=_example("archiveAggregate", "why"), kind="ArchiveAggregate"
        ),
        "endSnooze": Call(named["rule_name"], body={"field": "user_id", "value": "ann"}, kind="SnoozeToEnd"),
        "trainOwnModel": Call(body=_example("trainOwnModel", "payments"), kind="TrainRequest"),
        "setRetraining": Call(body=_example("setRetraining", "weekly"), kind="RetrainingRequest"),
        **dict.fromkeys(("getOwnModel", "getStability"), Call(named["model_id"])),
        "shadowOwnModel": Call(named["model_id"], body=_example("shadowOwnModel", "conditions"), kind="ShadowRequest"),
        "promoteOwnModel": Call(another["model_id"]),
        "retireOwnModel": Call({"model_id": MAKE["model_id"](api)}),
        "deleteOwnModel": Call({"model_id": MAKE["model_id"](api)}),
        "createTransactions": Call(body=_example("createTransactions", "one"), kind="NewTransaction"),
        "ingestTransactions": Call(body=_example("ingestTransactions", "one"), kind="PaySimTransaction"),
        "createPredictions": Call(body=_example("createPredictions", "one"), kind="NewPrediction"),
        "gatewayCreatePredictions": Call(body=_example("gatewayCreatePredictions", "one"), kind="NewPrediction"),
        "deleteEntity": Call({"kind": "user", "entity_id": "Bea"}),
        "getErasure": Call(named["erasure_id"]),
        "changeRetention": Call(body=_example("changeRetention", "year"), kind="RetentionChange"),
        **dict.fromkeys(("getAlert", "acknowledgeAlert", "resolveAlert"), Call(named["alert_id"])),
        "tellFraud": Call(body=_example("tellFraud", "one"), kind="FraudAlert"),
        "tellSystemAlert": Call(body=_example("tellSystemAlert", "one"), kind="SystemAlert"),
        "createAlertRule": Call(body=_example("createAlertRule", "large"), kind="NewAlertRule"),
        "changeAlertRule": Call(named["rule_id"], body=_example("changeAlertRule", "off"), kind="AlertRuleChange"),
        **dict.fromkeys(("getAlertRule", "testAlertRule"), Call(named["rule_id"])),
        "deleteAlertRule": Call(another["rule_id"]),
        "createAlertChannel": Call(body=_example("createAlertChannel", "slack"), kind="NewAlertChannel"),
        **dict.fromkeys(("getAlertChannel", "testAlertChannel"), Call(named["channel_id"])),
        "deleteAlertChannel": Call(another["channel_id"]),
    }


def _item(api: Api, list_name: str) -> dict[str, str]:
    """One of the two items that a list gets here."""
    api.post(f"/v1/lists/{list_name}/items", {"items": [{"value": "u1"}, {"value": "u2"}]})
    (found,) = api.get(f"/v1/lists/{list_name}/items?value=u2").json()["data"]
    return {"list_name": list_name, "item_id": found["id"]}


def _import(api: Api, list_name: str) -> dict[str, str]:
    """A file of a list that is too long to be waited for, with a head or without."""
    answer = api.call("POST", f"/v1/lists/{list_name}/import", b"u1\n" * (AWAITED_LINES + 2), "text/plain")
    assert answer.status_code == 202, answer.content
    return {"list_name": list_name, "import_id": answer.json()["id"]}


def _described() -> Iterator[tuple[str, Any]]:
    for path, methods in DESCRIPTION["paths"].items():
        yield from ((path, operation) for operation in methods.values())


def _example(operation_id: str, name: str) -> Any:
    """A body the description gives as an example."""
    operation = next(one for _, one in _described() if one["operationId"] == operation_id)
    return operation["requestBody"]["content"]["application/json"]["examples"][name]["value"]


def _batch() -> Any:
    """Two rows that are right, and one that only the service can tell to be wrong."""
    body = _example("createDecisions", "three")
    return body | {"transactions": [*body["transactions"][:2], body["transactions"][0] | {"nameOrig": "\u0000"}]}


def _signed(event: Any, secret: str, **path: str) -> Call:
    """An event of Stripe's, signed as every client writes JSON: without spaces."""
    body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    return Call(path, headers={"Stripe-Signature": signature(body, secret)}, body=event, kind="StripeEvent")
