"""The doors of what would have turned a decision, and of its reasons in the customer's words."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api.decisions import DECISION_ID, TAG, ScoringView
from apps.api.endpoint import json_answer
from apps.api.operation import REQUEST_ID, Answer, Operation
from apps.api_keys.gate import names_of
from apps.scoring.engine.counterfactuals import Why
from apps.scoring.engine.decide import Cause
from apps.scoring.serving import counterfactuals
from apps.scoring.serving.counterfactuals import Stored


class FactChange(msgspec.Struct, frozen=True):
    """A field sent otherwise, in your units."""

    field: str
    before: Annotated[float | str | bool | None, Meta(description="As it was sent; null where it was not.")]
    after: Annotated[float | str | bool | None, Meta(description="As it would have had to be sent; null: left out.")]
    unit: Annotated[str | None, Meta(description="Of an amount, its currency.")]


class Counterfactual(msgspec.Struct, frozen=True):
    """A change that was scored, and what came of it."""

    changes: list[FactChange]
    text: Annotated[str, Meta(description="What the customer would have to do, in words.")]
    fraud_probability: float
    risk_level: str
    recommended_action: str
    decisive: Cause


class Counterfactuals(msgspec.Struct, frozen=True):
    """What would have turned a decision, the smallest change first."""

    object: Literal["counterfactuals"]
    decision: str
    transaction_id: str
    schema: str
    recommended_action: str
    fraud_probability: float | None
    counterfactuals: list[Counterfactual]
    why: Annotated[Why, Meta(description="turned, or why there is none.")]
    detail: Annotated[str, Meta(description='Why there is none, in words; "" when there is one.')]


class AdverseAction(msgspec.Struct, frozen=True):
    """A decision's principal reasons in the customer's words."""

    object: Literal["adverse_action"]
    decision: str
    transaction_id: str
    schema: str
    recommended_action: str
    adverse: Annotated[bool, Meta(description="Whether it was anything but an approval.")]
    reasons: Annotated[list[str], Meta(description="The weightiest first, four at most; none of an approval.")]


class _StoredView(ScoringView):
    """Something about a stored decision."""

    def stored(self, request: HttpRequest, decision_id: str) -> Stored:
        admission = self.admit_only(request)
        return counterfactuals.find(self.scoring, names_of(self.key.handle, self.key.livemode), admission, decision_id)


class CounterfactualsView(_StoredView):
    """GET: the smallest changes that would have turned a decision."""

    endpoint = "decision_counterfactuals"

    def get(self, request: HttpRequest, decision_id: str) -> HttpResponse:
        stored = self.stored(request, decision_id)
        turned = counterfactuals.turned(stored, counterfactuals.in_use(self.scoring))
        answer = stored.answer
        return json_answer(
            Counterfactuals(
                object="counterfactuals",
                decision=answer.id,
                transaction_id=answer.transaction_id,
                schema=answer.schema,
                recommended_action=answer.recommended_action,
                fraud_probability=answer.fraud_probability,
                counterfactuals=msgspec.convert(turned.found.found, list[Counterfactual], from_attributes=True),
                why=turned.found.why,
                detail=turned.detail,
            )
        )


class AdverseActionView(_StoredView):
    """GET: a decision's principal reasons in the customer's words."""

    endpoint = "decision_adverse_action"

    def get(self, request: HttpRequest, decision_id: str) -> HttpResponse:
        stored = self.stored(request, decision_id)
        answer, said = stored.answer, counterfactuals.notice(stored)
        return json_answer(
            AdverseAction(
                object="adverse_action",
                decision=answer.id,
                transaction_id=answer.transaction_id,
                schema=answer.schema,
                recommended_action=answer.recommended_action,
                adverse=bool(said),
                reasons=list(said),
            )
        )


OPERATIONS: Sequence[Operation] = (
    Operation(
        "GET",
        "/v1/decisions/{decision_id}/counterfactuals",
        "getCounterfactuals",
        TAG,
        "What would have turned it",
        "The smallest change of what the customer could have sent that would have turned the outcome: a lower amount, "
        "not below what people pay, or another way to pay. Never who somebody is, where they are or what they did "
        "before. Each was scored by the models and the policy that decided, on the past of then; where there is none, "
        "`why` and `detail` say so. Scope: `read`.",
        Answer(Counterfactuals, "The changes, the smallest first."),
        scope="read",
        parameters=(DECISION_ID, REQUEST_ID),
        problems=("not_found",),
    ),
    Operation(
        "GET",
        "/v1/decisions/{decision_id}/adverse-action",
        "getAdverseAction",
        TAG,
        "Reasons in the customer's words",
        "The principal reasons of a decision that was no approval, as plain sentences to the customer, for a notice of "
        "adverse action: no field, no feature, no figure. Scope: `read`.",
        Answer(AdverseAction, "The sentences."),
        scope="read",
        parameters=(DECISION_ID, REQUEST_ID),
        problems=("not_found",),
    ),
)
