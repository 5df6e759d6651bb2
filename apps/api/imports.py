"""The door of `/v1/imports`: what is brought along from another service, told before it is taken over."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps import card_numbers
from apps.accounts.models import Tenant
from apps.api.endpoint import MEGABYTE, ApiView, json_answer
from apps.api.operation import WITH_A_BODY, Answer, Body, Operation, operation
from apps.api_keys.gate import Admission
from apps.api_keys.services import get_gate
from apps.decoding import decode
from apps.errors import FieldError, Problem, fields_invalid
from apps.imports import fraud_detector, services, stripe_radar
from apps.imports.fraud_detector import DetectorExport
from apps.imports.plan import ImportPlan
from apps.imports.services import Applied, Target
from apps.imports.stripe_radar import RadarExport
from apps.imports.translation import LeftOut
from apps.scoring.engine.rules import InvalidRules
from apps.scoring.lists.services import TooMany
from apps.scoring.serving.runtime import get_scoring


class ImportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is brought along: from one service at a time."""

    stripe_radar: RadarExport | None = None
    amazon_fraud_detector: Annotated[
        DetectorExport | None,
        Meta(description="What its get_* calls answer, side by side, under their own names."),
    ] = None
    apply: Annotated[bool, Meta(description="Take it over: rules as drafts, lists with their items, labels.")] = False


class Import(msgspec.Struct, frozen=True):
    """What is carried over, what is changed by it, and what is left out and why."""

    object: Literal["import"]
    plan: ImportPlan
    applied: Annotated[Applied | None, Meta(description="What was taken over; null without `apply`.")] = None


class ImportsView(ApiView):
    """POST: tell what would be carried over, and, when asked to, take it over."""

    endpoint = "imports"
    scopes: ClassVar = {"POST": "admin"}
    http_method_names = ["post"]
    body_limit = 5 * MEGABYTE

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, plan = self.understood(request, self._asked)
        admission = self.admit_only(request)
        told = Import("import", plan, self._applied(plan, admission) if asked.apply else None)
        return json_answer(card_numbers.mask_json(msgspec.to_builtins(told)))  # lists of cards come with their numbers

    def _applied(self, plan: ImportPlan, admission: Admission) -> Applied:
        tenant = Tenant.objects.get(pk=admission.tenant_id)
        target = Target(tenant, self.key.livemode, get_gate(), get_scoring().journal, admission.actor)
        try:
            return services.apply(target, plan, self.now)
        except (InvalidRules, TooMany) as wrong:
            raise Problem("field_invalid", str(wrong)) from wrong

    def _asked(self, request: HttpRequest) -> tuple[ImportRequest, ImportPlan]:
        asked = decode(self.read_body(request), ImportRequest)
        return asked, self._plan(asked)

    def _plan(self, asked: ImportRequest) -> ImportPlan:
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
        "can't be carried over and why (`left`). With `apply` it is taken over: rules as drafts, lists, labels; again, "
        "and nothing is changed. `fields` says which field of yours tells an attribute that has none here.",
        Answer(Import, "The plan."),
        scope="admin",
        body=Body(ImportRequest, dict(_EXAMPLES)),
        problems=(*WITH_A_BODY, "field_invalid"),
    ),
)
