"""Every named schema of the description: msgspec's view of the structs, refined where their types say too little."""

from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from apps.api.billing import Invoice, InvoicePage, PlanList, Subscription, SubscriptionChange
from apps.api.budgets import BudgetChange
from apps.api.credits import CouponRequest, CreditList, RedeemedCoupon
from apps.api.decision_requests import BatchRequest, DecisionRequest
from apps.api.openapi import shapes
from apps.api.openapi.portable import tagged
from apps.api.payments import CardPageRequest, HostedPage, PaymentMethod, PortalRequest, ReceivedWebhook
from apps.api.stripe_guard import IgnoredEvent, Screening, StripeAccountAnswer, StripeAccountRequest
from apps.api.tokens import TokenRequest
from apps.api.webhooks import (
    DeletedWebhook,
    NewWebhook,
    Rotation,
    Webhook,
    WebhookChange,
    WebhookDelivery,
    WebhookDeliveryPage,
    WebhookList,
)
from apps.errors import KINDS
from apps.scoring.dialects.commercial import CommercialAnswer, CommercialBatchAnswer
from apps.scoring.dialects.enterprise import EnterpriseAnswer, EnterpriseBatchAnswer
from apps.scoring.dialects.gateway import GatewayAnswer
from apps.scoring.dialects.multimodel import AvailableModels, Detection, EnsembleDetection
from apps.scoring.engine.decide import Action, RiskLevel
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.decision_formats import Decision
from apps.scoring.serving.model_cards import EnsembleCard, ModelCard

_REF = "#/components/schemas/"
_ASKED_IN_DIALECTS = (
    shapes.CommercialRequest,
    shapes.CommercialBatchRequest,
    shapes.EnterpriseBatchRequest,
    shapes.GatewayRequest,
)
_ANSWERED_IN_DIALECTS = (
    CommercialAnswer,
    CommercialBatchAnswer,
    EnterpriseAnswer,
    EnterpriseBatchAnswer,
    GatewayAnswer,
    Detection,
    EnsembleDetection,
    AvailableModels,
)
_ASKED = (
    CouponRequest,
    DecisionRequest,
    BatchRequest,
    TokenRequest,
    BudgetChange,
    SubscriptionChange,
    NewWebhook,
    WebhookChange,
    Rotation,
    CardPageRequest,
    PortalRequest,
    StripeAccountRequest,
    shapes.HybridRequest,
    *_ASKED_IN_DIALECTS,
    *(schema.struct for schema in SCHEMAS.values()),
)
_ANSWERED = (
    Decision,
    shapes.DecisionBatch,
    shapes.RefusedRow,
    shapes.DecisionPage,
    shapes.Explanation,
    shapes.Token,
    ModelCard,
    EnsembleCard,
    shapes.ModelList,
    shapes.Usage,
    shapes.DailyUsage,
    shapes.AccountUsage,
    shapes.Budget,
    PlanList,
    Subscription,
    Invoice,
    InvoicePage,
    CreditList,
    RedeemedCoupon,
    *_ANSWERED_IN_DIALECTS,
    shapes.HybridAnswer,
    Webhook,
    WebhookList,
    DeletedWebhook,
    WebhookDelivery,
    WebhookDeliveryPage,
    PaymentMethod,
    HostedPage,
    ReceivedWebhook,
    StripeAccountAnswer,
    Screening,
    IgnoredEvent,
    shapes.Health,
    shapes.Readiness,
    shapes.Problem,
    shapes.DialectProblem,
    shapes.DetectProblem,
)


def ref(name: str) -> dict[str, str]:
    return {"$ref": _REF + name}


def transaction_ref(schema: str) -> dict[str, str]:
    """The transactions of that schema."""
    return ref(SCHEMAS[schema].struct.__name__)


def components() -> dict[str, Any]:
    """The schemas by name, sorted."""
    _, asked = msgspec.json.schema_components(_ASKED, ref_template=_REF + "{name}")
    _, answered = msgspec.json.schema_components(_ANSWERED, ref_template=_REF + "{name}")
    found = asked | {name: _always_sent(schema) for name, schema in answered.items()}
    for (name, field), more in _refinements().items():
        found[name]["properties"][field] = found[name]["properties"][field] | more
    for name, member, of_schema in (("DecisionRequest", "transaction", _one), ("BatchRequest", "transactions", _many)):
        variants = {schema: of_schema(found[name]["properties"][member], schema) for schema in SCHEMAS}
        names = {schema: f"{_plain(schema)}{name}" for schema in SCHEMAS}
        union = tagged(found.pop(name), "schema", member, variants, names)
        found |= {name: union.pop("")} | union
    return dict(sorted(found.items()))


def _one(said: dict[str, Any], schema: str) -> dict[str, Any]:
    return {"description": said["description"], **transaction_ref(schema)}


def _many(said: dict[str, Any], schema: str) -> dict[str, Any]:
    return said | {"items": transaction_ref(schema)}


def _plain(schema: str) -> str:
    """A schema's struct, without the word all of them end with."""
    return SCHEMAS[schema].struct.__name__.removesuffix("Transaction")


def _always_sent(schema: dict[str, Any]) -> dict[str, Any]:
    """An answer says its constant fields too: a default is how the struct is built, not what may be left out."""
    constant = [name for name, field in schema.get("properties", {}).items() if field.pop("default", None) is not None]
    return schema | {"required": [*schema.get("required", []), *constant]} if constant else schema


def _refinements() -> Mapping[tuple[str, str], dict[str, Any]]:
    """(struct, field) → what its type leaves unsaid."""
    levels, actions = {"enum": list(get_args(RiskLevel))}, {"enum": list(get_args(Action))}
    return {
        ("BatchRequest", "transactions"): {"description": "Each of the kind `schema` names."},
        ("CommercialRequest", "transaction_data"): transaction_ref("ieee_cis"),
        ("CommercialBatchRequest", "transactions"): {"items": transaction_ref("ieee_cis")},
        ("HybridRequest", "payload"): transaction_ref("paysim"),
        ("EnterpriseBatchRequest", "transactions"): {"items": transaction_ref("payments")},
        ("GatewayRequest", "transactions"): {"items": transaction_ref("paysim")},
        ("CommercialAnswer", "risk_level"): levels,
        ("CommercialAnswer", "recommended_action"): actions,
        ("EnterpriseAnswer", "risk_level"): {"enum": [level.upper() for level in get_args(RiskLevel)]},
        ("EnterpriseAnswer", "recommended_action"): {"enum": ["approve", "review", "block"]},
        ("GatewayResult", "risk_level"): levels,
        ("GatewayResult", "recommended_action"): actions,
        ("Detection", "timestamp"): {"format": "date-time"},
        ("EnsembleDetection", "timestamp"): {"format": "date-time"},
        ("Decision", "schema"): {"enum": list(SCHEMAS)},
        ("Decision", "created_at"): {"format": "date-time"},
        ("Decision", "transaction_id"): _says("Yours, or a new one when you sent none."),
        ("Decision", "status"): _says("duplicate: the same id and facts again. superseding: the same id, new facts."),
        ("Decision", "supersedes"): _says("The decision these new facts replace."),
        ("Decision", "fraud_probability"): _says("Calibrated, 0 to 1; null when no model could be asked."),
        ("Decision", "risk_score"): _says("A rank: 900 = riskier than 90 % of the reference population."),
        ("Decision", "risk_level"): levels,
        ("Decision", "recommended_action"): actions,
        ("Decision", "degraded"): _says("Parts of ours that were away; such an answer is not billed."),
        ("Decision", "warnings"): _says("What we noticed about the request and could live with."),
        ("Decision", "billed_units"): {"minimum": 0, "maximum": 1},
        ("DecisionBatch", "data"): {"items": {"oneOf": [ref("Decision"), ref("RefusedRow")]}},
        ("ModelList", "data"): {"items": {"oneOf": [ref("ModelCard"), ref("EnsembleCard")]}},
        ("DecisionPage", "data"): {"items": ref("Decision")},
        ("HybridAnswer", "recommended_action"): actions,
        ("Problem", "code"): {"enum": list(KINDS)},
    }


def _says(text: str) -> dict[str, Any]:
    return {"description": text}
