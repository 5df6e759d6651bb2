"""The doors of `/v1/review-queues`: where cases wait, in which order, and for how long."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta, UnsetType

from apps import text
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api import operation as described
from apps.api.endpoint import ApiView, json_answer
from apps.api.operation import WITH_A_BODY, Answer, Operation, id_in_path, operation
from apps.api_keys.gate import Admission
from apps.decoding import without_cards
from apps.errors import FieldError, Problem, fields_invalid
from apps.review.cases import queues, work
from apps.review.cases.criteria import Criteria
from apps.review.cases.priority import Order
from apps.review.models import Queue

Name = Annotated[str, Meta(min_length=1, max_length=60)]
Position = Annotated[int, Meta(ge=0, le=1_000, description="A case goes to the first queue that takes it.")]
Sla = Annotated[
    int, Meta(ge=queues.LEAST_SLA, le=queues.LONGEST_SLA, description="Minutes after which a case is overdue.")
]
Ordering = Annotated[
    Order,
    Meta(description="money: probability times amount, twice as much for each SLA waited; oldest; amount; score."),
]
TwoAbove = (
    Annotated[
        float, Meta(ge=0, le=1e15, description="Above this amount two people must agree; null: as the default queue.")
    ]
    | None
)


class NewQueue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A queue to be."""

    name: Name
    criteria: Criteria = Criteria()
    position: Position | UnsetType = UNSET
    order: Ordering | UnsetType = UNSET
    sla_minutes: Sla | UnsetType = UNSET
    second_review_above: TwoAbove | UnsetType = UNSET


class QueueChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays."""

    name: Name | UnsetType = UNSET
    criteria: Criteria | UnsetType = UNSET
    position: Position | UnsetType = UNSET
    order: Ordering | UnsetType = UNSET
    sla_minutes: Sla | UnsetType = UNSET
    second_review_above: TwoAbove | UnsetType = UNSET


Body = TypeVar("Body")


class QueueAnswer(msgspec.Struct, frozen=True):
    """A queue. The one whose id is `default` takes what no other does; everybody has it."""

    id: str
    object: Literal["review_queue"]
    livemode: bool
    default: bool
    name: str
    position: int
    criteria: Criteria
    order: Order
    sla_minutes: int
    second_review_above: float | None
    waiting: Annotated[int, Meta(description="Cases in it that are not resolved.")]
    overdue: Annotated[int, Meta(description="Of them, beyond the SLA.")]


class QueueList(msgspec.Struct, frozen=True):
    """All queues of the mode of the key, in the order in which they are asked; the default one last."""

    object: Literal["list"]
    data: list[QueueAnswer]


class DeletedQueue(msgspec.Struct, frozen=True):
    """It is gone, its cases wait in others; the default one is as it was for everybody."""

    id: str
    object: Literal["review_queue"]
    deleted: Literal[True]


class _QueuesView(ApiView):
    """Reading takes `read`; whatever changes something takes `admin`."""

    scopes: ClassVar = {"GET": "read", "POST": "admin", "PATCH": "admin", "DELETE": "admin"}

    def tenant(self, admission: Admission) -> Tenant:
        return Tenant.objects.get(pk=admission.tenant_id)

    def said(self, request: HttpRequest, kind: type[Body]) -> Body:
        """The body, whose texts can be stored; card numbers in them are masked."""
        asked = self.decoded(request, kind)
        if wrong := _refusals(asked):
            self.refuse(request, fields_invalid(wrong))
        return without_cards(asked)[0]

    def queue(self, admission: Admission, queue_id: str) -> Queue:
        found = queues.find(admission.tenant_schema, self.key.livemode, queue_id)
        if found is None:
            raise Problem("not_found")
        return found

    def answers(self, admission: Admission, rows: Sequence[Queue]) -> list[QueueAnswer]:
        with in_tenant(admission.tenant_schema):
            counts = work.counts_by_queue(self.key.livemode, timezone.now())
        return [_answer(row, *counts.get(row.code, (0, 0))) for row in rows]


class QueuesView(_QueuesView):
    """GET: all of them. POST: a new one."""

    endpoint = "review_queues"

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        with in_tenant(admission.tenant_schema):
            rows = queues.sorter(self.key.livemode).queues
        return json_answer(QueueList("list", self.answers(admission, rows)))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.said(request, NewQueue)
        admission = self.admit_only(request)
        whose: dict[str, Any] = {"tenant": self.tenant(admission), "now": self.now, "actor": admission.actor}
        try:
            made = queues.create_queue(livemode=self.key.livemode, facts=_facts(asked), **whose)
        except queues.TooMany as wrong:
            raise Problem("limit_reached", f"A tenant may have {queues.MOST_QUEUES} queues of each mode.") from wrong
        return json_answer(self.answers(admission, [made])[0])


class QueueView(_QueuesView):
    """GET, PATCH, DELETE one."""

    endpoint = "review_queue"
    http_method_names = ["get", "head", "patch", "delete"]

    def get(self, request: HttpRequest, queue_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        return json_answer(self.answers(admission, [self.queue(admission, queue_id)])[0])

    def patch(self, request: HttpRequest, queue_id: str) -> HttpResponse:
        asked = self.said(request, QueueChange)
        admission = self.admit_only(request)
        queue, tenant = self.queue(admission, queue_id), self.tenant(admission)
        facts = _facts(asked)
        changed = queues.change_queue(tenant=tenant, queue=queue, facts=facts, now=self.now, actor=admission.actor)
        return json_answer(self.answers(admission, [changed])[0])

    def delete(self, request: HttpRequest, queue_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        queue, tenant = self.queue(admission, queue_id), self.tenant(admission)
        queues.delete_queue(tenant=tenant, queue=queue, now=self.now, actor=admission.actor)
        return json_answer(DeletedQueue(queue_id, "review_queue", True))


def _refusals(asked: Any) -> list[FieldError]:
    """What no store can hold of the texts of a body."""
    criteria: Criteria = asked.criteria or Criteria()
    texts: list[tuple[str, str]] = [("name", asked.name or "")]
    texts += [("criteria.rules", one) for one in criteria.rules or ()]
    texts += [("criteria.schemas", one) for one in criteria.schemas or ()]
    return [FieldError(param, f"'{param}' {why}.") for param, said in texts if said and (why := text.refusal(said))]


def _facts(asked: Any) -> dict[str, Any]:
    """What a body says of a queue, as it is stored."""
    said = {name: value for name in queues.CHANGEABLE if (value := getattr(asked, name)) is not UNSET}
    return {name: msgspec.to_builtins(value) if name == "criteria" else value for name, value in said.items()}


def _answer(row: Queue, waiting: int, overdue: int) -> QueueAnswer:
    return QueueAnswer(
        id=row.code,
        object="review_queue",
        livemode=row.livemode,
        default=row.code == queues.DEFAULT,
        name=row.name,
        position=row.position,
        criteria=queues.criteria_of(row),
        order=row.order,  # type: ignore[arg-type]  # what was stored was one of these
        sla_minutes=row.sla_minutes,
        second_review_above=row.second_review_above,
        waiting=waiting,
        overdue=overdue,
    )


TAG = "Review"
_QUEUE = id_in_path("queue_id", "The queue's id; `default` is everybody's.", "que_019aa5d0c2f75d1e0b7c4a9f")
_ONE = Answer(QueueAnswer, "The queue.")
_CHANGES = (*WITH_A_BODY, "field_invalid")
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "GET",
        "/v1/review-queues",
        "listReviewQueues",
        "List review queues",
        "With how many cases wait in each, and how many are overdue.",
        Answer(QueueList, "The queues."),
    ),
    operation(
        TAG,
        "POST",
        "/v1/review-queues",
        "createReviewQueue",
        "Make a review queue",
        "Cases go to the first queue whose criteria they meet: those that wait are sorted at once.",
        _ONE,
        "admin",
        body=described.Body(
            NewQueue,
            {
                "large": {
                    "summary": "Large amounts within two hours, by two people above 10,000",
                    "value": {
                        "name": "Large amounts",
                        "criteria": {"amount_from": 1000},
                        "order": "money",
                        "sla_minutes": 120,
                        "second_review_above": 10000,
                    },
                }
            },
        ),
        problems=(*_CHANGES, "limit_reached"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/review-queues/{queue_id}",
        "getReviewQueue",
        "Read a review queue",
        "One of them.",
        _ONE,
        parameters=(_QUEUE,),
        problems=("not_found",),
    ),
    operation(
        TAG,
        "PATCH",
        "/v1/review-queues/{queue_id}",
        "changeReviewQueue",
        "Change a review queue",
        "Cases that wait are sorted anew. The default queue takes every case, whatever its criteria say.",
        _ONE,
        "admin",
        parameters=(_QUEUE,),
        body=described.Body(QueueChange, {"faster": {"summary": "Within the hour", "value": {"sla_minutes": 60}}}),
        problems=(*_CHANGES, "not_found"),
    ),
    operation(
        TAG,
        "DELETE",
        "/v1/review-queues/{queue_id}",
        "deleteReviewQueue",
        "Delete a review queue",
        "Its cases go to others. The default one is as it was for everybody again.",
        Answer(DeletedQueue, "It is gone."),
        "admin",
        parameters=(_QUEUE,),
        problems=("not_found",),
    ),
)
