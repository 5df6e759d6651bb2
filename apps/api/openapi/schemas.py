"""Every named schema of the description: msgspec's view of the structs, refined where their types say too little.

Which structs there are, the operations say: what their bodies and answers are made of.
"""

import json
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, get_args

import msgspec
from django.conf import settings

from apps.api import problem_bodies
from apps.api.decisions import RefusedRow
from apps.api.openapi.operations import OPERATIONS
from apps.api.openapi.portable import tagged
from apps.api.operation import Shape, ref
from apps.errors import KINDS
from apps.scoring.engine.decide import Action, RiskLevel
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving import transaction_fields
from apps.scoring.serving.decision_formats import Decision
from apps.scoring.serving.model_cards import EnsembleCard, ModelCard
from apps.scoring.serving.transaction_fields import TransactionField

_REF = "#/components/schemas/"
#: Transactions: a body's type only says that they are objects.
_ALSO_ASKED = tuple(schema.struct for schema in SCHEMAS.values())
#: What stands in lists of several kinds, and the forms of refusals.
_ALSO_ANSWERED = (
    Decision,
    RefusedRow,
    ModelCard,
    EnsembleCard,
    problem_bodies.Problem,
    problem_bodies.DialectProblem,
    problem_bodies.DetectProblem,
)

_ANY: Mapping[str, Any] = {"type": "object", "additionalProperties": True}
#: Objects whose fields are not ours to say; with a name, that a generator doesn't number them.
_FREE: dict[str, dict[str, Any]] = {
    "StripeEvent": {"title": "StripeEvent", "description": "An event of Stripe's.", **_ANY},
    "OpenApiDocument": {"title": "OpenApiDocument", "description": "OpenAPI 3.1.", **_ANY},
}


def transaction_ref(schema: str) -> dict[str, str]:
    """The transactions of that schema."""
    return ref(SCHEMAS[schema].struct.__name__)


def components() -> dict[str, Any]:
    """The schemas by name, sorted."""
    bodies = (operation.body.shape for operation in OPERATIONS if operation.body)
    answers = (operation.answer.shape for operation in OPERATIONS)
    _, asked = msgspec.json.schema_components((*_structs(bodies), *_ALSO_ASKED), ref_template=_REF + "{name}")
    _, answered = msgspec.json.schema_components((*_structs(answers), *_ALSO_ANSWERED), ref_template=_REF + "{name}")
    _check_names(asked, answered)
    found = {name: _may_be_left_out(schema) for name, schema in asked.items()}
    found |= {name: _always_sent(schema) for name, schema in answered.items() if name not in asked}
    for (name, field), more in _refinements().items():
        found[name]["properties"][field] = found[name]["properties"][field] | more
    for schema, described in transaction_fields.of_shelf(settings.ARTIFACTS_DIR).items():
        properties = found[SCHEMAS[schema].struct.__name__]["properties"]
        properties |= {each.name: properties[each.name] | _described(each) for each in described}
    for name, member, of_schema in (("DecisionRequest", "transaction", _one), ("BatchRequest", "transactions", _many)):
        variants = {schema: of_schema(found[name]["properties"][member], schema) for schema in SCHEMAS}
        names = {schema: f"{_plain(schema)}{name}" for schema in SCHEMAS}
        union = tagged(found.pop(name), "schema", member, variants, names)
        found |= {name: union.pop("")} | union
    return dict(sorted((found | _FREE).items()))


def _described(field: TransactionField) -> dict[str, Any]:
    """A transaction's field in words. Known values are no `enum`: others are taken, too."""
    if field.known is None or field.known.listed_as:
        return {"description": field.description}
    return {"description": field.description, "x-extensible-enum": list(field.known.values)}


def _check_names(asked: Mapping[str, Any], answered: Mapping[str, Any]) -> None:
    """Two structs of one name would be one schema, or be told apart by their modules. Raises `ValueError`."""
    if dotted := [name for name in {**asked, **answered} if "." in name]:
        raise ValueError(f"There are two structs of one name: {', '.join(dotted)}.")
    if doubled := [name for name in asked.keys() & answered.keys() if asked[name] != answered[name]]:
        raise ValueError(f"There are two structs of one name: {', '.join(doubled)}.")


def _one(value: dict[str, Any], schema: str) -> dict[str, Any]:
    return {"description": value["description"], **transaction_ref(schema)}


def _many(value: dict[str, Any], schema: str) -> dict[str, Any]:
    return value | {"items": transaction_ref(schema)}


def _plain(schema: str) -> str:
    """A schema's struct, without the word all of them end with."""
    return SCHEMAS[schema].struct.__name__.removesuffix("Transaction")


def schema_of(shape: Shape) -> dict[str, Any]:
    """A shape as an operation names it."""
    if isinstance(shape, dict):
        return shape
    if isinstance(shape, UnionType):
        return {"anyOf": [ref(struct.__name__) for struct in get_args(shape)]}
    return ref(shape.__name__)


def _structs(shapes: Iterable[Shape]) -> dict[type[msgspec.Struct], None]:
    """The structs of some shapes, each once and in their order."""
    found: dict[type[msgspec.Struct], None] = {}
    for shape in shapes:
        if not isinstance(shape, dict):
            found |= dict.fromkeys(get_args(shape) if isinstance(shape, UnionType) else [shape])
    return found


def _may_be_left_out(schema: dict[str, Any]) -> dict[str, Any]:
    """A request's defaults in words, also of what answers repeat: openapi-typescript takes a field that has one for a
    field that is always there."""
    for field in schema.get("properties", {}).values():
        default = field.pop("default", None)
        if default is not None:
            field["description"] = f"{field.get('description', '')} Default: {json.dumps(default)}.".strip()
    return schema


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
        ("Decision", "risk_score"): _says(
            "A rank: 900 = riskier than 90 % of those `model.ranks_among` names. How unusual, not how likely."
        ),
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
