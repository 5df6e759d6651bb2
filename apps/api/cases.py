"""The doors of `/v1/cases`: decisions that a person is to look at, claimed, noted on, resolved. A key is a reviewer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps import paging, text
from apps.accounts.models import Membership, Tenant
from apps.accounts.tenancy import in_tenant
from apps.api import operation as described
from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment, NextCursor
from apps.api.list_filters import Filters, asked_for, named, time, words
from apps.api.list_filters import described as parameters_of
from apps.api.operation import WITH_A_BODY, Answer, Operation, id_in_path, operation, page_of
from apps.api_keys.gate import Admission
from apps.api_keys.models import ApiKey
from apps.errors import Problem
from apps.review.cases import queues, work
from apps.review.cases.queues import Sorter
from apps.review.cases.verdicts import RESOLUTIONS, Resolution, State
from apps.review.cases.work import LONGEST_NOTE, Reviewer
from apps.review.given import MOST_LOST
from apps.review.models import Case, CaseNote, Evidence, Verdict
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision
from apps.scoring.serving.decision_formats import answer_of
from apps.scoring.serving.runtime import get_scoring
from apps.times import rfc3339, rfc3339_or_none

#: By what cases are listed, newest first.
KEY = ("created_at", "id")
FILTERS: Filters = {
    "state": words("state", "Only these.", Case.STATES),
    "queue": named("queue", "Only of this queue, by its id."),
    "schema": words("schema", "Only of this kind of transaction.", tuple(SCHEMAS)),
    "transaction_id": named("transaction_id", "Only of this transaction."),
    "decision_id": named("decision_id", "Only whose last decision is this."),
    "assignee": named("assignee", "Only those assigned to this reviewer."),
    "holder": named("holder", "Only those this reviewer claimed last."),
    "resolution": words("resolution", "Only those resolved so.", RESOLUTIONS),
    "created_after": time("created_at__gte", "Opened from this time on."),
    "created_before": time("created_at__lt", "Opened before this time."),
    "due_before": time("due_at__lt", "Due before this time."),
}


Body = TypeVar("Body")
#: What separates lines and columns of a text.
_LINES = {ord(one): " " for one in "\r\n\t"}


class NoteAnswer(msgspec.Struct, frozen=True):
    """What somebody wrote down on a case."""

    id: str
    object: Literal["case_note"]
    case: str
    author: str
    created_at: Moment
    text: str


class AttachmentAnswer(msgspec.Struct, frozen=True):
    """A file that was attached to a case; its bytes are at `/v1/case-attachments/{id}`."""

    id: str
    object: Literal["case_attachment"]
    case: str
    name: str
    media_type: Annotated[str, Meta(description="By the file's own bytes.")]
    size: Annotated[int, Meta(description="Bytes.")]
    sha256: str
    added_by: str
    created_at: Moment


class VerdictAnswer(msgspec.Struct, frozen=True):
    """What one reviewer made of a case."""

    reviewer: str
    resolution: Resolution
    decision_id: str
    at: Moment


class CaseAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that somebody is to decide on; a superseding decision of it joins its case."""

    id: str
    object: Literal["case"] = "case"
    livemode: bool
    state: Annotated[
        State, Meta(description="second_review: another person must agree. disputed: two do not, an admin settles it.")
    ]
    queue: str
    schema: str
    transaction_id: str
    decision_id: Annotated[str, Meta(description="The last decision on the transaction.")]
    decisions: Annotated[int, Meta(description="How many there were since the case was opened.")]
    amount: float
    fraud_probability: float | None
    risk_score: int | None
    rules_hit: list[str]
    expected_loss: Annotated[float, Meta(description="Probability times amount, in the transaction's currency.")]
    two_reviewers: Annotated[bool, Meta(description="Two people must agree: its amount is above what the queue says.")]
    created_at: Moment
    due_at: Annotated[Moment, Meta(description="By the queue's SLA.")]
    overdue: bool
    holder: Annotated[str | None, Meta(description="Who claimed it; nobody else can until `lease_until`.")]
    lease_until: Moment | None
    assignee: Annotated[str | None, Meta(description="Nobody else may claim it, but admins.")]
    resolution: Resolution | None
    resolved_at: Moment | None
    resolved_by: str | None
    label: Annotated[str | None, Meta(description="The label that came of it; none of `unsure`.")]
    notes: list[NoteAnswer] | UnsetType = UNSET
    attachments: list[AttachmentAnswer] | UnsetType = UNSET
    verdicts: list[VerdictAnswer] | UnsetType = UNSET
    decision: (
        Annotated[dict[str, Any] | None, Meta(description="The last decision, with every rule's outcome.")] | UnsetType
    ) = UNSET


class CasePage(msgspec.Struct, frozen=True):
    """Cases, newest first."""

    object: Literal["list"]
    data: list[CaseAnswer]
    has_more: bool
    next_cursor: NextCursor


class NextCaseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of which queue; left out: of all."""

    queue: Annotated[str, Meta(min_length=1, max_length=32)] | None = None


class NextCase(msgspec.Struct, frozen=True):
    """The most urgent case, claimed; null when nothing waits for this reviewer."""

    object: Literal["next_case"]
    case: CaseAnswer | None


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To whom."""

    to: (
        Annotated[
            str, Meta(min_length=1, max_length=200, description="A member's e-mail address, or `key:<id>` of a key.")
        ]
        | None
    ) = None


class Resolving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What it was."""

    resolution: Annotated[Resolution, Meta(description="fraud and legitimate become a label of the last decision.")]
    note: Annotated[str, Meta(max_length=LONGEST_NOTE)] = ""
    amount_lost: (
        Annotated[float, Meta(ge=0, le=MOST_LOST, description="What it cost you, in the transaction's currency.")]
        | None
    ) = None


class CaseDoor(ApiView):
    """Reading takes `read`, working on cases `predict`, as labelling does; keys with `admin` settle disputes."""

    scopes: ClassVar = {"GET": "read", "POST": "predict"}

    def _scores(self, request: Any) -> bool:
        """Reviewing is no usage, under whatever scope it comes."""
        return False

    def whose(self, admission: Admission, **more: Any) -> dict[str, Any]:
        """Of which tenant and mode, by whom, when."""
        return {
            "tenant": Tenant.objects.get(pk=admission.tenant_id),
            "livemode": self.key.livemode,
            "reviewer": Reviewer(admission.actor, self._may_settle(admission)),
            "now": self.now,
        } | more

    def _may_settle(self, admission: Admission) -> bool:
        """Whether the key, or the token of it, is an admin's."""
        scopes = self.key.scopes
        if scopes is None:
            scopes = ApiKey.objects.values_list("scopes", flat=True).get(pk=admission.key_id)
        return "admin" in scopes

    def written(self, request: HttpRequest, kind: type[Body], field: str) -> Body:
        """A body with a text of somebody's in it, which may have lines; it may be left out where it has a default."""
        asked = self.decoded(request, kind)
        value: str | None = getattr(asked, field)
        if value and (why := text.refusal(value.translate(_LINES))):
            self.refuse(request, Problem("field_invalid", f"'{field}' {why}.", field))
        return asked

    def case(self, admission: Admission, case_id: str) -> Case:
        found = work.find(admission.tenant_schema, self.key.livemode, case_id)
        if found is None:
            raise Problem("not_found")
        return found

    def answer(self, admission: Admission, case: Case) -> CaseAnswer:
        with in_tenant(admission.tenant_schema):
            return case_answer(case, queues.sorter(self.key.livemode), self.now)


class CasesView(CaseDoor):
    """GET: all of them."""

    endpoint = "cases"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor, filters = self.understood(request, lambda request: asked_for(request, FILTERS))
        admission = self.admit_only(request)
        with in_tenant(admission.tenant_schema):
            page = paging.page_of(work.listed(self.key.livemode).filter(**filters), KEY, cursor, limit)
            sorting = queues.sorter(self.key.livemode)
        data = [case_answer(case, sorting, self.now) for case in page.rows]
        return json_answer(CasePage("list", data, page.next_cursor is not None, page.next_cursor))


class NextCaseView(CaseDoor):
    """POST: claim the most urgent one."""

    endpoint = "next_case"
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.written(request, NextCaseRequest, "queue")
        admission = self.admit_only(request)
        case = work.claim_next(**self.whose(admission, queue=asked.queue))
        return json_answer(NextCase("next_case", None if case is None else self.answer(admission, case)))


class CaseView(CaseDoor):
    """GET: one, with all that is known of it."""

    endpoint = "case"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, case_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        case = self.case(admission, case_id)
        with in_tenant(admission.tenant_schema):
            answer = case_answer(case, queues.sorter(self.key.livemode), self.now)
            decision = Decision.objects.filter(pk=case.decision_id).first()
            more = {
                "notes": [note_answer(row) for row in case.notes.all()],
                "attachments": [attachment_answer(row) for row in case.evidence.all()],
                "verdicts": [_verdict(row) for row in case.verdicts.all()],
                "decision": None if decision is None else msgspec.json.decode(answer_of(decision)),
            }
        return json_answer(msgspec.structs.replace(answer, **more))


class ClaimCaseView(CaseDoor):
    """POST: hold it for 15 minutes."""

    endpoint = "claim_case"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, case_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        case = work.claim(**self.whose(admission, case_id=case_id))
        return json_answer(self.answer(admission, case))


class ReleaseCaseView(CaseDoor):
    """POST: give it back."""

    endpoint = "release_case"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, case_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        case = work.release(**self.whose(admission, case_id=case_id))
        return json_answer(self.answer(admission, case))


class AssignCaseView(CaseDoor):
    """POST: give it to somebody."""

    endpoint = "assign_case"
    scopes: ClassVar = {"POST": "admin"}
    http_method_names = ["post"]

    def post(self, request: HttpRequest, case_id: str) -> HttpResponse:
        asked = self.written(request, Assignment, "to")
        admission = self.admit_only(request)
        to = asked.to or ""
        self.case(admission, case_id)
        if to and not _works_here(admission, to):
            raise Problem("field_invalid", "'to' takes a member who may review, or a key of the account.", "to")
        case = work.assign(**self.whose(admission, case_id=case_id, to=to))
        return json_answer(self.answer(admission, case))


class ResolveCaseView(CaseDoor):
    """POST: say what it was."""

    endpoint = "resolve_case"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, case_id: str) -> HttpResponse:
        asked = self.written(request, Resolving, "note")
        admission = self.admit_only(request)
        said = {"resolution": asked.resolution, "note": asked.note, "amount_lost": asked.amount_lost}
        case = work.resolve(**self.whose(admission, case_id=case_id, journal=get_scoring().journal, **said))
        return json_answer(self.answer(admission, case))


def _works_here(admission: Admission, name: str) -> bool:
    """Whether somebody of that name may review for the tenant: a member beyond a viewer, or one of its keys."""
    kind, _, number = name.partition(":")
    if kind == "key":
        keys = ApiKey.objects.filter(tenant_id=admission.tenant_id, revoked_at=None)
        return number.isdecimal() and len(number) < 10 and keys.filter(pk=int(number)).exists()
    members = Membership.objects.filter(tenant_id=admission.tenant_id, user__email=name, user__is_active=True)
    return members.exclude(role=Membership.Role.VIEWER).exists()


def case_answer(case: Case, sorting: Sorter, now: datetime) -> CaseAnswer:
    """A case as it is told."""
    holder = work.holder_of(case, now)
    return CaseAnswer(
        id=case.pk,
        livemode=case.livemode,
        state=case.state,  # type: ignore[arg-type]  # what was stored was one of these
        queue=case.queue,
        schema=case.schema,
        transaction_id=case.transaction_id,
        decision_id=case.decision_id,
        decisions=case.decisions,
        amount=case.amount,
        fraud_probability=case.fraud_probability,
        risk_score=case.risk_score,
        rules_hit=list(case.rules_hit),
        expected_loss=round(case.expected_loss, 4),
        two_reviewers=work.takes_two(case, sorting),
        created_at=rfc3339(case.created_at),
        due_at=rfc3339(case.due_at),
        overdue=case.state != Case.RESOLVED and case.due_at < now,
        holder=holder or None,
        lease_until=rfc3339_or_none(case.lease_until) if holder else None,
        assignee=case.assignee or None,
        resolution=case.resolution or None,  # type: ignore[arg-type]
        resolved_at=rfc3339_or_none(case.resolved_at),
        resolved_by=case.resolved_by or None,
        label=case.label_id or None,
    )


def note_answer(row: CaseNote) -> NoteAnswer:
    return NoteAnswer(row.pk, "case_note", row.case_id, row.author, rfc3339(row.at), row.text)


def attachment_answer(row: Evidence) -> AttachmentAnswer:
    return AttachmentAnswer(
        row.pk, "case_attachment", row.case_id, row.name, row.media_type, row.size, row.sha256, row.added_by,
        rfc3339(row.at),
    )  # fmt: skip


def _verdict(row: Verdict) -> VerdictAnswer:
    return VerdictAnswer(row.reviewer, row.resolution, row.decision_id, rfc3339(row.at))  # type: ignore[arg-type]


TAG = "Review"
CASE_ID = id_in_path("case_id", "The case's id.", "cas_01a1ff119517bc84eee4117b97df")
_ONE = Answer(CaseAnswer, "The case.")
_TAKEN = ("not_found", "case_held", "case_resolved", "case_assigned")


def on_case(what: str, name: str, summary: str, description: str, answer: Answer = _ONE, **more: Any) -> Operation:
    """An operation on one case."""
    more = {"scope": "predict", "parameters": (CASE_ID,)} | more
    return operation(TAG, "POST", f"/v1/cases/{{case_id}}/{what}", name, summary, description, answer, **more)


OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "GET",
        "/v1/cases",
        "listCases",
        "List cases",
        "Decisions whose action is review become cases, as they are recorded; a superseding decision of the same "
        "transaction joins the case that is not resolved. Newest first.",
        Answer(CasePage, "A page of cases."),
        parameters=(*page_of("Cases"), *parameters_of(FILTERS)),
        problems=("field_invalid", "query_invalid", "cursor_invalid"),
    ),
    operation(
        TAG,
        "POST",
        "/v1/cases/next",
        "claimNextCase",
        "Claim the next best case",
        "The most urgent case that is free for this key: by expected money (probability times amount), which counts "
        "twice as much for each SLA it waits, or in its queue's own order. Two keys never get the same one.",
        Answer(NextCase, "The case, claimed for 15 minutes, or none."),
        "predict",
        body=described.Body(NextCaseRequest, {"any": {"summary": "Of any queue", "value": {}}}),
        problems=(*WITH_A_BODY, "field_invalid"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/cases/{case_id}",
        "getCase",
        "Read a case",
        "With notes, attachments, verdicts and the decision.",
        Answer(CaseAnswer, "The case."),
        parameters=(CASE_ID,),
        problems=("not_found",),
    ),
    on_case(
        "claim",
        "claimCase",
        "Claim a case",
        "It is this key's for 15 minutes and nobody else's; claim it again to hold it longer. A claim that has ended "
        "can be taken over.",
        problems=_TAKEN,
    ),
    on_case(
        "release",
        "releaseCase",
        "Give a case back",
        "Nothing happens when another one holds it.",
        problems=("not_found",),
    ),
    on_case(
        "assign",
        "assignCase",
        "Assign a case",
        "To a member who is an analyst or more, or to a key; `null` to anybody. Who holds it otherwise loses it.",
        scope="admin",
        body=described.Body(
            Assignment, {"nobody": {"summary": "Whoever comes first may take it", "value": {"to": None}}}
        ),
        problems=(*WITH_A_BODY, "field_invalid", "not_found", "case_resolved"),
    ),
    on_case(
        "resolve",
        "resolveCase",
        "Resolve a case",
        "fraud and legitimate become a label of the last decision (`source`: analyst), unsure does not. Whoever "
        "resolves claims it. Above the amount of its queue two keys or people must agree; where they do not, a third "
        "with the scope `admin` settles it. Saying the same again changes nothing.",
        body=described.Body(
            Resolving,
            {"fraud": {"summary": "It was a theft", "value": {"resolution": "fraud", "note": "Card reported stolen."}}},
        ),
        problems=(*WITH_A_BODY, "field_invalid", *_TAKEN, "case_other_reviewer"),
    ),
)
