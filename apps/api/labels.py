"""The doors of `/v1/labels`: what became of transactions, told by whoever learned it."""

import io
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps.accounts.models import Tenant
from apps.api import operation as described
from apps.api.endpoint import MEGABYTE, ApiView, content_length, json_answer
from apps.api.fields import Moment, NextCursor
from apps.api.list_filters import Filters, asked_for, named, time, words
from apps.api.list_filters import described as parameters_of
from apps.api.operation import WITH_A_BODY, Answer, Operation, id_in_path, operation, page_of
from apps.api.problem_bodies import Errors
from apps.api.problems import errors_of
from apps.decoding import decode
from apps.errors import Problem
from apps.review import label_csv, labels
from apps.review.given import KINDS, MOST_LABELS, SOURCES, GivenLabel, Kind, Meant, Source, meant
from apps.review.labels import Added
from apps.review.models import Label
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.runtime import get_scoring
from apps.times import rfc3339, rfc3339_or_none

JSON, CSV = "application/json", "text/csv"

FILTERS: Filters = {
    "label": words("label", "Only these.", KINDS),
    "source": words("source", "Only what these said.", SOURCES),
    "schema": words("schema", "Only of this kind of transaction.", tuple(SCHEMAS)),
    "decision_id": named("decision_id", "Only of this decision."),
    "transaction_id": named("transaction_id", "Only of this transaction."),
    "known_after": time("known_at__gte", "Learned from this time on."),
    "known_before": time("known_at__lt", "Learned before this time."),
    "holds": words("holds", "`true`: without what was corrected since; `false`: only that.", ("true", "false")),
}


class LabelsRequest(msgspec.Struct, frozen=True):
    """Up to 1,000 labels. Each has its own status."""

    labels: Annotated[list[GivenLabel], Meta(min_length=1, max_length=MOST_LABELS)]


class _Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same, each label still to be read: a wrong one spoils no other."""

    labels: Annotated[list[Any], Meta(min_length=1, max_length=MOST_LABELS)]


class LabelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A label. It is never changed: a correction is a further label of the same decision, and `holds` then."""

    id: str
    object: Literal["label"] = "label"
    livemode: bool
    decision_id: str
    transaction_id: str
    schema: str
    label: Kind
    source: Source
    occurred_at: Moment | None
    known_at: Moment
    recorded_at: Moment
    amount_lost: Annotated[str | None, Meta(description="A decimal string, in the transaction's currency.")]
    holds: Annotated[bool, Meta(description="Whether it is what counts: of a decision's labels the one learned last.")]
    status: (
        Annotated[
            Literal["new", "earlier", "unchanged"],
            Meta(description="new: it counts now. earlier: kept, but one learned later counts. unchanged: known."),
        ]
        | UnsetType
    ) = UNSET
    history: (
        Annotated[list["LabelAnswer"], Meta(description="All labels of the decision, in the order of recording.")]
        | UnsetType
    ) = UNSET


class LabelProblem(msgspec.Struct, frozen=True):
    """Why a row was refused."""

    code: str
    title: str
    detail: str
    param: Annotated[str, Meta(description="Such as labels[3].source.")]
    errors: Errors


class RefusedLabel(msgspec.Struct, frozen=True):
    """A row that was not kept."""

    object: Literal["error"]
    row: Annotated[int, Meta(description="Its place in `labels`, from 0.")]
    status: Literal["error"]
    error: LabelProblem


class LabelCounts(msgspec.Struct, frozen=True):
    """Rows by status."""

    new: int = 0
    earlier: int = 0
    unchanged: int = 0
    error: int = 0


class LabelBatch(msgspec.Struct, frozen=True):
    """Labels kept: `data` in the order of `labels`."""

    object: Literal["label_batch"]
    total: int
    counts: LabelCounts
    data: Annotated[list[Any], Meta(description="A label each, or why it was refused: `status` is `error` then.")]


class LabelPage(msgspec.Struct, frozen=True):
    """Labels, the last recorded first."""

    object: Literal["list"]
    data: list[LabelAnswer]
    has_more: bool
    next_cursor: NextCursor


class Asked(NamedTuple):
    """The labels of a body, each read or refused; `single`: it is one by itself."""

    rows: list[Meant | Problem]
    single: bool = False


class LabelsView(ApiView):
    """POST: keep one or many. GET: those kept."""

    endpoint = "labels"
    scopes: ClassVar = {"POST": "predict", "GET": "read"}

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor, filters = self.understood(request, lambda request: asked_for(request, FILTERS))
        if "holds" in filters:
            filters["holds"] = filters["holds"] == "true"
        admission = self.admit_only(request)
        page = labels.page(admission.tenant_schema, self.key.livemode, filters, cursor, limit)
        data = [_answer(row) for row in page.rows]
        return json_answer(LabelPage("list", data, page.next_cursor is not None, page.next_cursor))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.understood(request, self._asked)
        admission = self.admit_only(request)
        added = iter(
            labels.add_labels(
                tenant=Tenant.objects.get(pk=admission.tenant_id),
                livemode=self.key.livemode,
                labels=[row for row in asked.rows if isinstance(row, Meant)],
                journal=get_scoring().journal,
                now=self.now,
                actor=admission.actor,
            )
        )
        outcomes = [row if isinstance(row, Problem) else _kept(row, next(added), index, asked.single)
                    for index, row in enumerate(asked.rows)]  # fmt: skip
        return _single(outcomes[0]) if asked.single else _batch(outcomes)

    def _asked(self, request: HttpRequest) -> Asked:
        """The body's labels. Raises `Problem` when it can't be read, or a single one is wrong."""
        if _media_type(request) == CSV:
            return Asked([self._read(row, index) for index, row in enumerate(self._csv(request))])
        body = self.read_body(request)
        content = decode(body, dict[str, Any])
        if "labels" not in content:
            return Asked([meant(content, self.now)], single=True)
        return Asked([self._read(row, index) for index, row in enumerate(decode(body, _Rows).labels)])

    def _read(self, content: Any, index: int) -> Meant | Problem:
        try:
            return meant(content, self.now, f"labels[{index}]")
        except Problem as wrong:
            return wrong

    def _csv(self, request: HttpRequest) -> list[dict[str, object]]:
        """The rows of a CSV body within the limits. Raises `Problem`."""
        if content_length(request.META) > self.body_limit:
            raise Problem("body_too_large", f"The body has more than {MEGABYTE:,} bytes.")
        try:
            rows = list(label_csv.read(io.StringIO(request.body.decode("utf-8-sig"), newline="")))
        except UnicodeDecodeError as wrong:
            raise Problem("body_malformed", "The file is not UTF-8.") from wrong
        except label_csv.UnreadableCsv as wrong:
            raise Problem("field_invalid", str(wrong), "labels") from wrong
        if not 0 < len(rows) <= MOST_LABELS:
            raise Problem("field_invalid", f"A file holds 1 to {MOST_LABELS:,} labels, not {len(rows):,}.", "labels")
        return rows

    def _scores(self, request: Any) -> bool:
        """Labels are no usage, under whatever scope they come."""
        return False


class LabelView(ApiView):
    """GET: one label, with all of its decision."""

    endpoint = "label"

    def get(self, request: HttpRequest, label_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        rows = labels.find(admission.tenant_schema, self.key.livemode, label_id)
        for row in rows:
            if row.pk == label_id:
                return json_answer(msgspec.structs.replace(_answer(row), history=[_answer(one) for one in rows]))
        raise Problem("not_found")


def _media_type(request: HttpRequest) -> str:
    return str(request.META.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()


def _kept(label: Meant, added: Added, index: int, single: bool) -> LabelAnswer | Problem:
    """A kept label as it is answered, or that it is about nothing of the tenant's."""
    if added.row is not None:
        return msgspec.structs.replace(_answer(added.row), status=added.status)
    name, value = ("decision_id", label.decision_id) if label.decision_id else ("transaction_id", label.transaction_id)
    param = name if single else f"labels[{index}].{name}"
    return Problem("not_found", f"There is no decision with {name} '{value}'.", param)


def _single(outcome: LabelAnswer | Problem) -> HttpResponse:
    if isinstance(outcome, Problem):
        raise outcome
    return json_answer(outcome)


def _batch(outcomes: Sequence[LabelAnswer | Problem]) -> HttpResponse:
    rows = [_refused(row, i) if isinstance(row, Problem) else row for i, row in enumerate(outcomes)]
    counts = LabelCounts(**Counter(str(row.status) for row in rows))
    return json_answer(LabelBatch("label_batch", len(rows), counts, rows))


def _refused(wrong: Problem, index: int) -> RefusedLabel:
    error = LabelProblem(wrong.code, wrong.kind.title, wrong.detail, wrong.param, errors_of(wrong))
    return RefusedLabel("error", index, "error", error)


def _answer(row: Label) -> LabelAnswer:
    return LabelAnswer(
        id=row.pk,
        livemode=row.livemode,
        decision_id=row.decision_id,
        transaction_id=row.transaction_id,
        schema=row.schema,
        label=row.label,  # type: ignore[arg-type]  # what was kept was one of these
        source=row.source,  # type: ignore[arg-type]
        occurred_at=rfc3339_or_none(row.occurred_at),
        known_at=rfc3339(row.known_at),
        recorded_at=rfc3339(row.recorded_at),
        amount_lost=None if row.amount_lost is None else f"{row.amount_lost.normalize():f}",
        holds=row.holds,
    )


TAG = "Labels"
_LABEL = id_in_path("label_id", "The label's id.", "lbl_019aa5d0c2f75d1e0b7c4a9f")
_EXAMPLES = {
    "one": {
        "summary": "A chargeback",
        "value": {"transaction_id": "txn_123", "label": "fraud", "source": "chargeback", "amount_lost": 180.5},
    },
    "many": {
        "summary": "Some at once",
        "value": {
            "labels": [
                {"decision_id": "dec_01a1ff119517bc84eee4117b97df", "label": "legitimate", "source": "customer"},
                {"transaction_id": "txn_124", "label": "fraud", "source": "issuer", "known_at": "2026-01-05T10:00:00Z"},
            ]
        },
    },
}
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "POST",
        "/v1/labels",
        "createLabels",
        "Say what became of transactions",
        f"One label, or up to {MOST_LABELS:,} as `labels`, each with its own status; or CSV (`Content-Type: text/csv`) "
        "whose first line names the columns. Models are measured by labels, and a known fraud makes no habit of its "
        "parties: from `known_at` on, never before. Sending one again is harmless; another label of the same decision "
        "is a correction, and the history stays.",
        Answer(LabelAnswer | LabelBatch, "The label; of many, one entry a label, in their order."),
        "predict",
        body=described.Body(GivenLabel | LabelsRequest, _EXAMPLES),
        problems=(*WITH_A_BODY, "field_invalid", "not_found"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/labels",
        "listLabels",
        "List labels",
        "All that were recorded, the last first; `holds` tells what counts.",
        Answer(LabelPage, "A page of labels."),
        parameters=(*page_of("Labels"), *parameters_of(FILTERS)),
        problems=("field_invalid", "query_invalid", "cursor_invalid"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/labels/{label_id}",
        "getLabel",
        "Read a label",
        "With the history of its decision's labels.",
        Answer(LabelAnswer, "The label."),
        parameters=(_LABEL,),
        problems=("not_found",),
    ),
)
