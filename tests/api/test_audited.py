"""Every operation of the API that changes something leaves one line of the audit trail; the description is walked."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
from django.utils import timezone

from apps.accounts.models import AuditEntry
from apps.api.openapi.operations import OPERATIONS
from apps.batches.models import Batch
from apps.billing.models import Coupon
from apps.notifications.services import create_webhook, send_test
from tests.api.bodies import DRAINED, asking
from tests.api.test_404_isolation import A_RULE, AN_AGGREGATE, MAKE, SNOOZE
from tests.batches.sent import csv_of
from tests.cast import Api
from tests.own_models.kept import enough_frauds

#: Operations that change nothing of the account: why.
UNAUDITED: Mapping[str, str] = {
    "POST /v1/auth/token": "a token is computed; nothing is kept",
    "POST /v1/rules/validate": "a condition is read; nothing is kept",
    "POST /v1/imports": "what is taken over has its own lines: the policy with its rules, lists, labels",
    "POST /v1/payment-method": "a link to the provider's page; what is entered there comes as an event",
    "POST /v1/payment-method/portal": "a link to the provider's page",
    "POST /v1/decisions/{decision_id}/replay": "a decision is made again; nothing is kept of it",
    "POST /stripe/webhook": "the provider's event is kept as it came; what it changes is audited when it is worked",
}
#: Scoring is recorded as decisions and usage, whole; the hot path writes no audit.
SCORING = {
    "POST /v1/decisions",
    "POST /v1/decisions/batch",
    "POST /predict",
    "POST /predict/batch",
    "POST /batch-predict",
    "POST /api/v1/score",
    "POST /detect",
    "POST /detect/ensemble",
    "POST /v1/transactions",
    "POST /transactions",
    "POST /v1/stripe/payment-intents/{intent_id}/screen",
    "POST /stripe/screen/{handle}/{mode}",
}


class Act(NamedTuple):
    """What is sent; `prepare` makes what it needs and says what stands in the address."""

    action: str
    body: dict[str, Any] | bytes | None = None
    prepare: Callable[[Api], str] = lambda api: ""
    kind: str = "application/json"
    query: str = ""


def webhook(api: Api) -> str:
    return create_webhook(tenant=api.tenant, livemode=True, url="https://example.com/h", now=timezone.now()).pk


def delivery(api: Api) -> str:
    made = create_webhook(tenant=api.tenant, livemode=True, url="https://example.com/h", now=timezone.now())
    return send_test(webhook=made, now=timezone.now()).pk


def coupon(api: Api) -> str:
    Coupon.objects.create(code="WELCOME", percent=5)
    return ""


def decision(api: Api) -> str:
    api.post("/v1/decisions", asking(DRAINED | {"transaction_id": "labelled"}))
    return ""


def snoozed(api: Api) -> str:
    name = MAKE["rule_name"](api)
    api.post(f"/v1/rules/{name}/snoozes", SNOOZE)
    return name


def batch(api: Api, state: str = "queued") -> str:
    made = api.call("POST", "/v1/batches?schema=paysim", csv_of(1), "text/csv").json()
    Batch.objects.filter(pk=made["id"]).update(state=state)
    return str(made["id"])


def listed(api: Api) -> str:
    api.post("/v1/lists", {"name": "mules", "item_type": "user"})
    api.post("/v1/lists/mules/items", {"items": [{"value": "u1"}]})
    return "mules"


def list_item(api: Api) -> str:
    name = listed(api)
    return f"{name}/items/{api.get(f'/v1/lists/{name}/items').json()['data'][0]['id']}"


def case(api: Api) -> str:
    return MAKE["case_id"](api)


def claimed(api: Api) -> str:
    made = case(api)
    api.post(f"/v1/cases/{made}/claim", {})
    return made


BATCH = (
    b'--b0\r\nContent-Disposition: form-data; name="schema"\r\n\r\npaysim\r\n'
    b'--b0\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + csv_of(1) + b"\r\n--b0--"
)
LABEL = {"transaction_id": "labelled", "label": "fraud", "source": "issuer"}
PREDICTION = {"transaction_id": "labelled", "fraud_probability": 0.5}
ACCOUNT = {"api_key": "rk_live_0123456789", "webhook_secret": "whsec_0123456789"}
CHAT = {"name": "#fraud", "url": "https://hooks.slack.com/services/T0/B0/X"}
ACTS: Mapping[str, Act] = {
    "POST /fraud-alert": Act("alert.told", {"transaction_id": "t1", "message": "a theft"}),
    "POST /system-alert": Act("alert.told", {"service": "api", "message": "slow"}),
    "POST /v1/alerts/{alert_id}/acknowledge": Act("alert.acknowledged", None, lambda api: MAKE["alert_id"](api)),
    "POST /v1/alerts/{alert_id}/resolve": Act("alert.resolved", None, lambda api: MAKE["alert_id"](api)),
    "POST /v1/alert-rules": Act("alert_rule.created", {"kind": "volume_drop"}),
    "PATCH /v1/alert-rules/{rule_id}": Act("alert_rule.changed", {"enabled": False}, lambda api: "volume_drop"),
    "DELETE /v1/alert-rules/{rule_id}": Act("alert_rule.deleted", None, lambda api: MAKE["rule_id"](api)),
    "POST /v1/alert-rules/{rule_id}/test": Act("alert_rule.tested", None, lambda api: "volume_drop"),
    "POST /v1/rules": Act("policy.published", A_RULE),
    "POST /v1/rules/{rule_name}/snoozes": Act("policy.published", SNOOZE, lambda api: MAKE["rule_name"](api)),
    "POST /v1/rules/{rule_name}/snoozes/end": Act("policy.published", {"field": "user_id", "value": "ann"}, snoozed),
    "PATCH /v1/rules/{rule_name}": Act("policy.published", {"state": "live"}, lambda api: MAKE["rule_name"](api)),
    "POST /v1/aggregates": Act("policy.published", AN_AGGREGATE),
    "POST /v1/aggregates/{aggregate_name}/archive": Act(
        "policy.published", {"reason": "Over."}, lambda api: MAKE["aggregate_name"](api)
    ),
    "POST /v1/alert-channels": Act("chat_channel.created", CHAT),
    "DELETE /v1/alert-channels/{channel_id}": Act("chat_channel.deleted", None, lambda api: MAKE["channel_id"](api)),
    "POST /v1/alert-channels/{channel_id}/test": Act("chat_channel.tested", None, lambda api: MAKE["channel_id"](api)),
    "POST /v1/budgets": Act("subscription.spend_cap", {"spend_cap": "500"}),
    "POST /v1/credits": Act("coupon.redeemed", {"coupon": "WELCOME"}, coupon),
    "POST /v1/subscription": Act("subscription.plan_changed", {"plan": "basic"}),
    "POST /v1/cases/next": Act("case.claimed", {}, lambda api: case(api) and ""),
    "POST /v1/cases/{case_id}/claim": Act("case.claimed", None, lambda api: case(api)),
    "POST /v1/cases/{case_id}/release": Act("case.released", None, lambda api: claimed(api)),
    "POST /v1/cases/{case_id}/assign": Act("case.assigned", {"to": None}, lambda api: case(api)),
    "POST /v1/cases/{case_id}/notes": Act("case.noted", {"text": "Called back."}, lambda api: case(api)),
    "POST /v1/cases/{case_id}/attachments": Act(
        "case.evidence_added", {"name": "a.txt", "content": "S25vd24="}, lambda api: case(api)
    ),
    "POST /v1/cases/{case_id}/resolve": Act("case.resolved", {"resolution": "fraud"}, lambda api: case(api)),
    "POST /v1/review-queues": Act("review_queue.created", {"name": "Mine"}),
    "PATCH /v1/review-queues/{queue_id}": Act("review_queue.changed", {"sla_minutes": 60}, lambda api: "default"),
    "DELETE /v1/review-queues/{queue_id}": Act("review_queue.deleted", None, lambda api: MAKE["queue_id"](api)),
    "POST /v1/policies": Act("policy.published", {"policy": {"review_at": 0.2}}),
    "POST /v1/policies/{policy_version}/rollback": Act("policy.published", {}, lambda api: MAKE["policy_version"](api)),
    "POST /v1/policies/simulate": Act("policy.simulated", {"days": 1}),
    "POST /v1/labels": Act("labels.added", LABEL, decision),
    "POST /v1/lists": Act("list.created", {"name": "mules", "item_type": "user"}),
    "DELETE /v1/lists/{list_name}": Act("list.deleted", None, listed),
    "POST /v1/lists/{list_name}/items": Act("list.items_added", {"items": [{"value": "u2"}]}, listed),
    "DELETE /v1/lists/{list_name}/items": Act("list.items_removed", None, listed, query="?value=u1"),
    "POST /v1/lists/{list_name}/items/remove": Act("list.items_removed", {"values": ["u1"]}, listed),
    "DELETE /v1/lists/{list_name}/items/{item_id}": Act("list.items_removed", None, lambda api: list_item(api)),
    "POST /v1/lists/{list_name}/import": Act("list.items_added", b"u2", listed, "text/plain"),
    "POST /v1/models/train": Act("model.train", {"schema": "payments"}, lambda api: enough_frauds(api.tenant) or ""),
    "POST /v1/models/retraining": Act("model.retraining", {"schema": "payments", "weekly": True}),
    "POST /v1/models/{model_id}/shadow": Act("model.shadow", {}, lambda api: MAKE["model_id"](api)),
    "POST /v1/models/{model_id}/promote": Act("model.promote", None, lambda api: MAKE["model_id"](api)),
    "POST /v1/models/{model_id}/retire": Act("model.retire", None, lambda api: MAKE["model_id"](api)),
    "DELETE /v1/models/{model_id}": Act("model.delete", None, lambda api: MAKE["model_id"](api)),
    "POST /v1/predictions": Act("predictions.stored", PREDICTION),
    "POST /predictions": Act("predictions.stored", PREDICTION),
    "DELETE /v1/entities/{kind}/{entity_id}": Act("person.erased", None, lambda api: "user/Ann"),
    "POST /v1/retention": Act("retention.changed", {"decisions": 90}),
    "POST /v1/batches": Act("batch.created", BATCH, kind="multipart/form-data; boundary=b0"),
    "POST /jobs": Act("batch.created", csv_of(1), kind="text/csv"),
    "DELETE /v1/batches/{batch_id}": Act("batch.deleted", None, batch),
    "POST /v1/batches/{batch_id}/cancel": Act("batch.cancelled", None, batch),
    "POST /v1/batches/{batch_id}/resume": Act("batch.resumed", None, lambda api: batch(api, "paused")),
    "POST /v1/webhooks": Act("webhook.created", {"url": "https://example.com/h"}),
    "POST /v1/webhooks/{webhook_id}": Act("webhook.changed", {"description": "x"}, webhook),
    "DELETE /v1/webhooks/{webhook_id}": Act("webhook.deleted", None, webhook),
    "POST /v1/webhooks/{webhook_id}/rotate": Act("webhook.rotated", {}, webhook),
    "POST /v1/webhooks/{webhook_id}/test": Act("webhook.tested", None, webhook),
    "POST /v1/webhook-deliveries/{delivery_id}/replay": Act("delivery.replayed", None, delivery),
    "POST /v1/stripe/account": Act("stripe_account.connected", ACCOUNT),
    "DELETE /v1/stripe/account": Act("stripe_account.disconnected", None, lambda api: connected(api)),
}


#: A step of an own model is a version of the policy, which has a line of its own.
POLICY = "policy.published"


def connected(api: Api) -> str:
    api.post("/v1/stripe/account", ACCOUNT)
    return ""


def test_every_operation_that_changes_something_is_acted_on_here_or_says_why_not() -> None:
    changing = {f"{row.method} {row.path}" for row in OPERATIONS if row.method not in ("GET", "HEAD")}
    assert changing == set(ACTS) | set(UNAUDITED) | SCORING


@pytest.mark.parametrize("name", ACTS)
def test_an_act_leaves_one_line_that_names_the_key_and_the_request(alice: Api, name: str) -> None:
    act = ACTS[name]
    said = act.prepare(alice)
    method, _, path = name.partition(" ")
    address = path.partition("{")[0] + said + path.rpartition("}")[2] if "{" in path else path
    address += act.query
    before = set(AuditEntry.objects.values_list("pk", flat=True))
    caller = alice.calling_from("192.0.2.7", HTTP_X_REQUEST_ID="req_of_mine")
    body = act.body if isinstance(act.body, bytes) else json.dumps(act.body).encode()
    answer = caller.call(method, address, b"" if method == "DELETE" else body, act.kind)
    assert answer.status_code in (200, 201, 202), answer.content
    of_itself = AuditEntry.objects.exclude(pk__in=before)
    (entry,) = of_itself if act.action == POLICY else of_itself.exclude(action=POLICY)
    assert entry.action == act.action
    assert (entry.actor, entry.address, entry.request_id) == (f"key:{alice.player.live.pk}", "192.0.2.7", "req_of_mine")  # type: ignore[union-attr]
