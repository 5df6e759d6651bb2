"""The door of `/v1/decisions/{id}/replay`: a decision made again and held against what was answered."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api.decisions import TAG, ScoringView
from apps.api.endpoint import json_answer
from apps.api.operation import Answer, Operation, id_in_path, operation
from apps.api_keys.gate import names_of
from apps.scoring.serving.replay import Difference, replay, stored_row


class Replay(msgspec.Struct, frozen=True):
    """A decision made again. `differences` is empty when it is identical."""

    object: Literal["replay"]
    decision: str
    identical: Annotated[bool, Meta(description="Every byte of the answer and of the stored vectors is the same.")]
    policy_version: int | None
    differences: tuple[Difference, ...]


class ReplayView(ScoringView):
    """POST: make a decision again."""

    endpoint = "decision_replay"
    scopes: ClassVar = {"POST": "read"}
    http_method_names = ["post"]

    def post(self, request: HttpRequest, decision_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        scoring = self.scoring
        row = stored_row(scoring.answers, names_of(self.key.handle, self.key.livemode), admission, decision_id)
        found = replay(row, admission.tenant_schema, scoring.policies, scoring.engine)
        return json_answer(Replay("replay", decision_id, found.identical, row.policy_version, found.differences))


OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "POST",
        "/v1/decisions/{decision_id}/replay",
        "replayDecision",
        "Make a decision again",
        "Makes the decision again under the policy and by the models it was made with, on the facts and the history as "
        "they were, and holds it against what was answered, byte by byte. What was away, how long it took and what was "
        "remarked when the request was read are no part of deciding and are taken as they were. Nothing is stored, "
        "billed or changed. What is no longer there to decide with, like a model, is told as a difference.",
        Answer(Replay, "Whether it is identical, and what is not."),
        parameters=(id_in_path("decision_id", "The decision's id.", "dec_0pc6m3fcl2g9t8k1q5v7n4rd"),),
        problems=("not_found",),
    ),
)
