"""The operations of webhooks, one row each."""

from collections.abc import Iterable
from typing import Any

from apps.api.openapi.operations import REQUEST_ID, Answer, Body, Json, Operation, parameter
from apps.api.openapi.schemas import ref
from apps.api.webhooks import DEFAULT_A_PAGE, MOST_A_PAGE
from apps.notifications.models import Delivery

TAG = "Webhooks"
ABOUT = (
    "Your servers are told what happens, signed by [Standard Webhooks](https://www.standardwebhooks.com): verify "
    "`webhook-id`, `webhook-timestamp` and `webhook-signature` with its library in your language. Anything but a 2xx "
    "within 15 seconds is tried again, ten times in 75 hours."
)
_BODY = ("body_malformed", "body_too_large", "media_type_unsupported", "field_invalid")


def _named(name: str, description: str, example: str) -> Json:
    pattern = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}
    return parameter(name, "path", description, pattern, required=True, example=example)


_WEBHOOK = _named("webhook_id", "The webhook's id.", "whe_019aa5d0c2f75d1e0b7c4a9f")
_DELIVERY = _named("delivery_id", "The delivery's id.", "dlv_019aa5d0c2f75d1e0b7c4a9f")
_PAGE = (
    parameter(
        "limit",
        "query",
        "Deliveries a page.",
        {"type": "integer", "minimum": 1, "maximum": MOST_A_PAGE, "default": DEFAULT_A_PAGE},
    ),
    parameter("cursor", "query", "`next_cursor` of the page before.", {"type": "string"}),
    parameter("state", "query", "Only these.", {"enum": list(Delivery.State.values)}),
)
_NOT_STORED: Json = {"Cache-Control": {"description": "It holds a secret.", "schema": {"const": "no-store"}}}
_URL = "https://example.com/palisade"
_NEW = {
    "everything": {"summary": "Told of everything", "value": {"url": _URL}},
    "some": {
        "summary": "Told of budgets and payments",
        "value": {"url": _URL, "events": ["budget.reached", "payment.failed"], "description": "billing"},
    },
}
_CHANGE = {"off": {"summary": "Switch it off", "value": {"enabled": False}}}
_ROTATE = {
    "at once": {"summary": "It leaked: the old one is out at once", "value": {"overlap_hours": 0}},
    "overlap": {"summary": "Both sign for two days", "value": {"overlap_hours": 48}},
}


def _operation(
    method: str, path: str, name: str, summary: str, description: str, answer: Answer, **more: Any
) -> Operation:
    scope = "read" if method == "GET" else "admin"
    parameters = (*more.pop("parameters", ()), REQUEST_ID)
    said = f"{description} Scope: `{scope}`."
    return Operation(method, path, name, TAG, summary, said, answer, scope=scope, parameters=parameters, **more)


_ONE = Answer(ref("Webhook"), "The webhook.")
_MADE = Answer(ref("Webhook"), "The webhook, with its secret.", headers=_NOT_STORED)
_SENT = Answer(ref("WebhookDelivery"), "The delivery, with every try so far.")

OPERATIONS: Iterable[Operation] = (
    _operation(
        "POST",
        "/v1/webhooks",
        "createWebhook",
        "Create a webhook",
        "An https address of yours that is told of events. The secret stands in this answer and in no other. A live "
        "key makes live webhooks, a test key test ones; they are apart.",
        _MADE,
        body=Body(ref("NewWebhook"), _NEW),
        problems=(*_BODY, "limit_reached"),
    ),
    _operation(
        "GET",
        "/v1/webhooks",
        "listWebhooks",
        "List webhooks",
        "All of them, without their secrets.",
        Answer(ref("WebhookList"), "The webhooks."),
    ),
    _operation(
        "GET",
        "/v1/webhooks/{webhook_id}",
        "getWebhook",
        "Read a webhook",
        "`disabled_because` says why one that failed for five days was switched off.",
        _ONE,
        parameters=(_WEBHOOK,),
        problems=("not_found",),
    ),
    _operation(
        "POST",
        "/v1/webhooks/{webhook_id}",
        "changeWebhook",
        "Change a webhook",
        "What is left out stays. `enabled: true` switches it on again; messages given up meanwhile can be replayed.",
        _ONE,
        parameters=(_WEBHOOK,),
        body=Body(ref("WebhookChange"), _CHANGE),
        problems=(*_BODY, "not_found"),
    ),
    _operation(
        "DELETE",
        "/v1/webhooks/{webhook_id}",
        "deleteWebhook",
        "Delete a webhook",
        "With what was on its way to it.",
        Answer(ref("DeletedWebhook"), "It is gone."),
        parameters=(_WEBHOOK,),
        problems=("not_found",),
    ),
    _operation(
        "POST",
        "/v1/webhooks/{webhook_id}/rotate",
        "rotateWebhookSecret",
        "Rotate the secret",
        "A new secret. For `overlap_hours` every message carries two signatures, of the new secret and of the old, so "
        "you can exchange it without losing one.",
        _MADE,
        parameters=(_WEBHOOK,),
        body=Body(ref("Rotation"), _ROTATE),
        problems=(*_BODY, "not_found"),
    ),
    _operation(
        "POST",
        "/v1/webhooks/{webhook_id}/test",
        "testWebhook",
        "Send a test",
        "A `webhook.test` to this webhook; read the delivery to see what came of it.",
        _SENT,
        parameters=(_WEBHOOK,),
        problems=("not_found",),
    ),
    _operation(
        "GET",
        "/v1/webhooks/{webhook_id}/deliveries",
        "listWebhookDeliveries",
        "List deliveries",
        "What was sent to it in the last 90 days, newest first, with every try.",
        Answer(ref("WebhookDeliveryPage"), "A page of deliveries."),
        parameters=(_WEBHOOK, *_PAGE),
        problems=("field_invalid", "cursor_invalid", "not_found"),
    ),
    _operation(
        "GET",
        "/v1/webhook-deliveries/{delivery_id}",
        "getWebhookDelivery",
        "Read a delivery",
        "One message with every try of it.",
        _SENT,
        parameters=(_DELIVERY,),
        problems=("not_found",),
    ),
    _operation(
        "POST",
        "/v1/webhook-deliveries/{delivery_id}/replay",
        "replayWebhookDelivery",
        "Replay a delivery",
        "Sends it again, as a delivery of its own under the same `webhook-id`.",
        _SENT,
        parameters=(_DELIVERY,),
        problems=("not_found", "webhook_disabled"),
    ),
)
