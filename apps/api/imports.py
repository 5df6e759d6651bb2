"""The door of `/v1/imports`: what is brought along from another service, told before it is taken over."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api.endpoint import MEGABYTE, ApiView, json_answer
from apps.api.operation import WITH_A_BODY, Answer, Body, Operation, operation
from apps.decoding import decode
from apps.errors import FieldError, fields_invalid
from apps.imports import fraud_detector, stripe_radar
from apps.imports.fraud_detector import DetectorExport
from apps.imports.plan import ImportPlan
from apps.imports.stripe_radar import RadarExport
from apps.imports.translation import LeftOut


class ImportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is brought along: from one service at a time."""

    stripe_radar: RadarExport | None = None
    amazon_fraud_detector: Annotated[
        DetectorExport | None,
        Meta(description="What its get_* calls answer, side by side, under their own names."),
    ] = None


class Import(msgspec.Struct, frozen=True):
    """What is carried over, what is changed by it, and what is left out and why."""

    object: Literal["import"]
    plan: ImportPlan


class ImportsView(ApiView):
    """POST: tell what would be carried over."""

    endpoint = "imports"
    scopes: ClassVar = {"POST": "admin"}
    http_method_names = ["post"]
    body_limit = 5 * MEGABYTE

    def post(self, request: HttpRequest) -> HttpResponse:
        plan = self.understood(request, self._plan)
        self.admit_only(request)
        return json_answer(Import("import", plan))

    def _plan(self, request: HttpRequest) -> ImportPlan:
        asked = decode(self.read_body(request), ImportRequest)
        if (asked.stripe_radar is None) is (asked.amazon_fraud_detector is None):
            raise fields_invalid([FieldError("", "Send either 'stripe_radar' or 'amazon_fraud_detector'.")])
        try:
            if asked.stripe_radar is not None:
                return stripe_radar.plan(asked.stripe_radar)
            return fraud_detector.plan(asked.amazon_fraud_detector or DetectorExport())
        except LeftOut as wrong:
            where = "stripe_radar" if asked.stripe_radar else "amazon_fraud_detector"
            raise fields_invalid([FieldError(f"{where}.fields", str(wrong))]) from wrong


_EXAMPLES: Mapping[str, Any] = {
    "radar": {
        "summary": "Stripe Radar's rules",
        "value": {
            "stripe_radar": {
                "rules": [
                    "Block if :card_country: != :ip_country: and :amount_in_usd: > 500",
                    "Allow if :customer: in @vips",
                ],
                "lists": [{"alias": "vips", "item_type": "customer_id", "items": ["cus_1"]}],
            }
        },
    },
    "detector": {
        "summary": "Amazon Fraud Detector",
        "value": {
            "amazon_fraud_detector": {
                "variables": [{"name": "order_price", "variableType": "PRICE", "dataType": "FLOAT"}],
                "ruleDetails": [{"ruleId": "large", "expression": "$order_price > 1000", "outcomes": ["review"]}],
                "outcomes": [{"name": "review"}],
            }
        },
    },
}

TAG = "Imports"
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "POST",
        "/v1/imports",
        "createImport",
        "Bring rules along from another service",
        "Reads rules, lists and labels of Stripe Radar or Amazon Fraud Detector and tells what each becomes here: "
        "rules as CEL, lists with their items, variables as fields; what is not quite the same (`remarks`), and what "
        "can't be carried over and why (`left`). Nothing is changed. `fields` says which field of yours tells an "
        "attribute that has none here.",
        Answer(Import, "The plan."),
        scope="admin",
        body=Body(ImportRequest, dict(_EXAMPLES)),
        problems=WITH_A_BODY,
    ),
)
