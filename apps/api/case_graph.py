"""The door of what is around a case: the decisions that share a party with it."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.accounts.tenancy import in_tenant
from apps.api.cases import CASE_ID, TAG, CaseDoor
from apps.api.endpoint import json_answer
from apps.api.fields import Moment
from apps.api.operation import Answer, Operation, operation
from apps.review.cases import graph
from apps.review.cases.graph import Graph
from apps.review.models import Case
from apps.scoring.models import Decision
from apps.times import rfc3339


class GraphDecision(msgspec.Struct, frozen=True):
    """A decision of the graph."""

    id: str
    transaction_id: str
    created_at: Moment
    amount: float
    fraud_probability: float | None
    recommended_action: str
    label: Annotated[str | None, Meta(description="fraud or legitimate; null while nobody said.")]


class GraphParty(msgspec.Struct, frozen=True):
    """What decisions share."""

    field: str
    value: Annotated[str, Meta(description="As it is recognised.")]


class GraphEdge(msgspec.Struct, frozen=True):
    """A decision names a party."""

    decision: Annotated[int, Meta(description="Its place in `decisions`.")]
    party: Annotated[int, Meta(description="Its place in `parties`.")]


class CaseGraph(msgspec.Struct, frozen=True):
    """Decisions that share a party with the case's, its own first."""

    object: Literal["case_graph"]
    case: str
    decisions: list[GraphDecision]
    parties: list[GraphParty]
    edges: list[GraphEdge]
    truncated: Annotated[bool, Meta(description="There is more than what is told.")]


class CaseGraphView(CaseDoor):
    """GET: what else its parties did."""

    endpoint = "case_graph"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, case_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        with in_tenant(admission.tenant_schema):
            case = self.case(admission, case_id)
            center = Decision.objects.filter(pk=case.decision_id).first()
        return json_answer(_graph(case, graph.around(admission.tenant_schema, center, self.now)))


def _graph(case: Case, found: Graph) -> CaseGraph:
    decisions = [
        GraphDecision(
            one.id, one.transaction_id, rfc3339(one.created_at), one.amount, one.fraud_probability,
            one.recommended_action, one.label or None,
        )
        for one in found.decisions
    ]  # fmt: skip
    parties = [GraphParty(one.field, one.name) for one in found.parties]
    return CaseGraph(
        "case_graph", case.pk, decisions, parties, [GraphEdge(*edge) for edge in found.edges], found.truncated
    )


OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "GET",
        "/v1/cases/{case_id}/graph",
        "getCaseGraph",
        "Read what is around a case",
        f"The newest decisions of 90 days that share a party with it (card, device, user, e-mail, IP address, "
        f"merchant): at most {graph.OF_A_PARTY} a party and {graph.MOST_DECISIONS} in all.",
        Answer(CaseGraph, "The graph."),
        parameters=(CASE_ID,),
        problems=("not_found",),
    ),
)
