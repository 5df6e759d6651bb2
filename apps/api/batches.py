"""The doors of `/v1/batches`: files of transactions, scored in the background, and their results."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps import paging, text
from apps.accounts.models import Tenant
from apps.api import operation as described
from apps.api import uploads
from apps.api.endpoint import MEGABYTE, ApiView, idempotency_key, json_answer
from apps.api.fields import Moment, Money, NextCursor
from apps.api.operation import REPLAYED, Answer, Operation, id_in_path, operation, page_of, parameter
from apps.api.parameters import Query, one_of, page_in, query_of
from apps.api.uploads import Sent
from apps.api_keys.gate import Admission
from apps.batches import preview, reads, services, storage
from apps.batches.beginning import PREVIEWED
from apps.batches.bytes_in import UnreadableFile
from apps.batches.headings import Heading
from apps.batches.models import Batch
from apps.batches.preview import Preview
from apps.batches.reads import Cost
from apps.batches.services import KeyReused, NotNow, Once, Received, TooMany, Wanted
from apps.decoding import decode
from apps.errors import Problem, read_all
from apps.notifications.models import WebhookEndpoint
from apps.scoring.engine.engine import UnknownModel
from apps.scoring.serving import decision_requests, ids
from apps.scoring.serving.runtime import get_scoring
from apps.times import rfc3339, rfc3339_or_none

#: By what batches are listed, newest first: an id begins with its time.
KEY = ("id",)
#: Drafts are the portal's alone.
STATES = tuple(state for state in Batch.State.values if state != Batch.State.DRAFT)
#: What a request may say beside the file: in the query, or as fields of the form.
ASKED = ("schema", "model", "explain", "callback", "dry_run", "mapping")


class Rows(msgspec.Struct, frozen=True):
    """Rows of the file; those that are done with include duplicates and rows with a problem."""

    total: Annotated[int | None, Meta(description="null until the file is read.")]
    done: int
    flagged: Annotated[int, Meta(description="Not approved at a low risk.")]
    duplicates: Annotated[int, Meta(description="Decided before, by transaction id and facts: not billed again.")]
    problems: Annotated[dict[str, int], Meta(description="By kind.")]


class BatchCost(msgspec.Struct, frozen=True):
    """What the batch's units add to the month, when all others came first."""

    amount: Money
    currency: str


class ResultFile(msgspec.Struct, frozen=True):
    """A file of results."""

    url: str
    bytes: int


class BatchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A batch, and how far it is."""

    id: str
    object: Literal["batch"] = "batch"
    livemode: bool
    state: Literal["queued", "running", "paused", "completed", "failed", "cancelled"]
    reason: Annotated[str | None, Meta(description="Why it failed or paused, in a sentence.")]
    filename: str
    bytes: int
    schema: str
    model: Annotated[str | None, Meta(description="As it was asked for; null: the champion.")]
    models: Annotated[list[str], Meta(description="Those that score it, by version, from its first row to its last.")]
    explain: Literal["none", "flagged", "all"]
    callback: str | None
    columns: Annotated[list[Heading], Meta(description="How the file's columns are read; empty until it is read.")]
    rows: Rows
    percent: int
    rows_per_second: float | None
    estimated_end: Moment | None
    units: Annotated[int, Meta(description="Billed units so far.")]
    cost: BatchCost
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    results: dict[str, ResultFile]


class BatchPage(msgspec.Struct, frozen=True):
    """Batches, newest first."""

    object: Literal["list"]
    data: list[BatchAnswer]
    has_more: bool
    next_cursor: NextCursor


class DeletedBatch(msgspec.Struct, frozen=True):
    """It is gone, with its files; the decisions stay."""

    id: str
    object: Literal["batch"]
    deleted: Literal[True]


class BatchesView(ApiView):
    """POST: a file to be scored. GET: the batches, newest first."""

    endpoint = "batches"
    scopes: ClassVar = {"GET": "read", "POST": "batch"}
    takes_uploads = True
    body_limit = services.MOST_BYTES + MEGABYTE  # a form's head beside the file

    def get(self, request: HttpRequest) -> HttpResponse:
        state, (limit, cursor) = self.understood(request, _asked)
        admission = self.admit_only(request)
        rows = services.of_tenant(admission.tenant_id, self.key.livemode)
        page = paging.page_of(rows.filter(state=state) if state else rows, KEY, cursor, limit)
        costs = reads.costs_of(page.rows)
        data = [answer_of(row, self.now, costs[row.pk]) for row in page.rows]
        return json_answer(BatchPage("list", data, page.next_cursor is not None, page.next_cursor))

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._post(request)
        finally:
            uploads.discard(request)

    def _post(self, request: HttpRequest) -> HttpResponse:
        key = self.understood(request, lambda asked: idempotency_key(asked.META))
        sent, wanted, dry_run = self.understood(request, self._understood)
        admission = self.admit_only(request)
        self.check_callback(admission, wanted.callback)
        if dry_run:
            return json_answer(self._preview(sent, wanted, admission))
        if not key:
            return self._made(self._create(sent, wanted, admission))
        return self._made_once(sent, wanted, admission, _once(key, request.path, sent, wanted))

    def _made_once(self, sent: Sent, wanted: Wanted, admission: Admission, once: Once) -> HttpResponse:
        """The batch of an Idempotency-Key: the one it was used for before, as it is now, or a new one."""
        tenant = Tenant.objects.get(pk=admission.tenant_id)
        found = self._created_before(tenant, once)
        if found is None:
            try:
                return self._made(self._create(sent, wanted, admission, once))
            except IntegrityError:  # the same request was quicker
                found = self._created_before(tenant, once)
                if found is None:
                    raise
        response = self._made(found)
        response["Idempotent-Replayed"] = "true"
        return response

    def _created_before(self, tenant: Tenant, once: Once) -> Batch | None:
        try:
            return services.created_before(tenant, self.key.livemode, once, self.now)
        except KeyReused as reused:
            raise Problem("idempotency_mismatch") from reused

    def _made(self, batch: Batch) -> HttpResponse:
        response = json_answer(one_batch(batch, self.now))
        response.status_code = 202
        response["Location"] = f"/v1/batches/{batch.pk}"
        return response

    def _understood(self, request: HttpRequest) -> tuple[Sent, Wanted, bool]:
        """The file and how it shall be scored. Raises `Problem`."""
        query = query_of(request.META)
        sent = uploads.sent_file(request)
        if sent.size > services.MOST_BYTES:
            raise Problem("body_too_large", f"The file has {sent.size:,} bytes; 1 GB is the most.")
        if not sent.size:
            raise Problem("file_unreadable", "The file is empty.")
        return (sent, *self.wanted(_all_asked(query, sent.fields)))

    def wanted(self, asked: Query) -> tuple[Wanted, bool]:
        """How the file shall be scored, and whether it is a dry run. Raises `Problem`."""
        schema = decision_requests.schema_named(asked.get("schema") or self.default_schema)
        model = asked.get("model") or ""
        try:
            get_scoring().engine.require(schema, model or None)
        except UnknownModel as unknown:
            raise Problem("model_unknown", f"{unknown}.", "model") from unknown
        explain, dry_run = read_all(
            lambda: one_of(asked, "explain", Batch.Explain.values), lambda: one_of(asked, "dry_run", ("true", "false"))
        )
        mapping = _mapping(asked.get("mapping"))
        explained = explain or Batch.Explain.FLAGGED
        return Wanted(schema.name, model, explained, asked.get("callback") or "", mapping), dry_run == "true"

    default_schema: ClassVar[str] = ""

    def check_callback(self, admission: Admission, webhook_id: str) -> None:
        """Raises `Problem` for a callback that is none of the tenant's webhooks."""
        mine = {"tenant_id": admission.tenant_id, "livemode": self.key.livemode}
        if webhook_id and not WebhookEndpoint.objects.filter(pk=webhook_id, **mine).exists():
            raise Problem("field_invalid", "'callback' takes the id of one of your webhooks.", "callback")

    def _create(self, sent: Sent, wanted: Wanted, admission: Admission, once: Once | None = None) -> Batch:
        try:
            return services.create_batch(
                tenant=Tenant.objects.get(pk=admission.tenant_id),
                livemode=self.key.livemode,
                received=Received(sent.path, sent.offset, sent.size, sent.filename, sent.format),
                wanted=wanted,
                now=self.now,
                actor=admission.actor,
                key_id=admission.key_id,
                once=once,
            )
        except TooMany as wrong:
            raise Problem("limit_reached", f"{services.MOST_UNDER_WAY} batches may wait or run at once.") from wrong
        except storage.StoreAway as away:
            raise Problem("stores_away", retry_after=2.0) from away
        except OSError as full:
            raise Problem("storage_full") from full

    def _preview(self, sent: Sent, wanted: Wanted, admission: Admission) -> Preview:
        try:
            return preview.preview(
                Received(sent.path, sent.offset, sent.size, sent.filename, sent.format),
                wanted,
                admission.tenant_schema,
                self.key.livemode,
                admission.policy_version,
                self.now,
            )
        except UnreadableFile as wrong:
            raise Problem("file_unreadable", str(wrong)) from wrong


class BatchView(ApiView):
    """GET one; DELETE it with its files."""

    endpoint = "batch"
    scopes: ClassVar = {"GET": "read", "POST": "batch", "DELETE": "batch"}
    http_method_names = ["get", "head", "delete"]

    def get(self, request: HttpRequest, batch_id: str) -> HttpResponse:
        return json_answer(one_batch(self.batch(self.admit_only(request), batch_id), self.now))

    def delete(self, request: HttpRequest, batch_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        services.delete_batch(batch=self.batch(admission, batch_id), now=self.now, actor=admission.actor)
        return json_answer(DeletedBatch(batch_id, "batch", True))

    def batch(self, admission: Admission, batch_id: str) -> Batch:
        owned = services.of_tenant(admission.tenant_id, self.key.livemode)
        found = None if text.unstorable(batch_id) else owned.filter(pk=batch_id).first()
        if found is None:
            raise Problem("not_found")
        return found


class _ChangeView(BatchView):
    """POST: change its state."""

    http_method_names = ["post"]
    change: ClassVar[Callable[..., Batch]]

    def post(self, request: HttpRequest, batch_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        batch = self.batch(admission, batch_id)
        try:
            changed = type(self).change(batch=batch, now=self.now, actor=admission.actor)
        except NotNow as wrong:
            raise Problem("batch_not_now", str(wrong)) from wrong
        return json_answer(one_batch(changed, self.now))


class CancelBatchView(_ChangeView):
    """POST: score no further row."""

    endpoint = "batch_cancel"
    change = staticmethod(services.cancel_batch)


class ResumeBatchView(_ChangeView):
    """POST: go on."""

    endpoint = "batch_resume"
    change = staticmethod(services.resume_batch)


def _asked(request: HttpRequest) -> tuple[str | None, tuple[int, str | None]]:
    query = query_of(request.META)
    state, page = read_all(lambda: one_of(query, "state", STATES), lambda: page_in(query))
    return state, page


def _all_asked(query: Query, fields: Mapping[str, str]) -> Query:
    """What is said in the query and in the form together. Raises `Problem` for what is said in both, or is none."""
    for name in fields:
        if name not in ASKED:
            raise Problem("field_invalid", f"A form has the fields file, {', '.join(ASKED)}.", name[:80])
        if name in query:
            raise Problem("field_invalid", f"'{name}' is there more than once.", name)
    return {**query, **fields}


def _once(key: str, path: str, sent: Sent, wanted: Wanted) -> Once:
    """What makes the same request: the address, the table's bytes, how it shall be scored; whatever it is called."""
    asked = msgspec.json.encode([uploads.digest_of(sent), wanted])
    return Once(ids.text_hash(key), ids.fingerprint(path, "", asked))


def _mapping(said: str | None) -> Mapping[str, str]:
    """Column → field, as the sender chose. Raises `Problem`."""
    if not said:
        return {}
    try:
        return decode(said.encode(), dict[str, str])
    except Problem as wrong:
        raise Problem("field_invalid", "'mapping' takes a JSON object: column → field.", "mapping") from wrong


def one_batch(batch: Batch, now: datetime) -> BatchAnswer:
    return answer_of(batch, now, reads.costs_of([batch])[batch.pk])


def answer_of(row: Batch, now: datetime, cost: Cost) -> BatchAnswer:
    """A batch as it is told."""
    return BatchAnswer(
        id=row.pk,
        livemode=row.livemode,
        state=cast(Any, row.state),
        reason=row.reason or None,
        filename=row.filename,
        bytes=row.upload_bytes,
        schema=row.schema,
        model=row.model or None,
        models=[entry.replace("/", "@") for entry in row.entries],
        explain=cast(Any, row.explain),
        callback=row.callback or None,
        columns=msgspec.convert(row.headings.get("columns", []), list[Heading]),
        rows=Rows(row.rows_total, row.rows_done, row.rows_flagged, row.duplicates, row.problems),
        percent=row.percent,
        rows_per_second=row.rows_per_second(now),
        estimated_end=rfc3339_or_none(row.estimated_end(now)),
        units=row.units,
        cost=BatchCost(str(cost.amount), cost.currency),
        created_at=rfc3339(row.created_at),
        started_at=rfc3339_or_none(row.started_at),
        finished_at=rfc3339_or_none(row.finished_at),
        results={
            name: ResultFile(f"/v1/batches/{row.pk}/results?format={name}", made["bytes"])
            for name, made in row.results.items()
        },
    )


TAG = "Batches"
BATCH_ID = id_in_path("batch_id", "The batch's id.", "btc_019aa5d0c2f75d1e0b7c4a9f")
_STATE = parameter("state", "query", "Only these.", {"enum": list(STATES)})
PARAMETERS = (
    parameter("schema", "query", "Which kind of transaction the file holds.", {"type": "string"}, example="paysim"),
    parameter(
        "model", "query", "A model, model@version, or `ensemble`; the champion when left out.", {"type": "string"}
    ),
    parameter(
        "explain",
        "query",
        "Which rows get reasons: none, those that are not approved at a low risk, or all (ten times as slow).",
        {"enum": list(Batch.Explain.values), "default": "flagged"},
    ),
    parameter(
        "callback", "query", "A webhook of yours that is told when it ends, whatever it asked for.", {"type": "string"}
    ),
    parameter(
        "dry_run",
        "query",
        f"`true`: how the columns are read and what the first {PREVIEWED} rows are told; nothing is stored or billed.",
        {"enum": ["true", "false"]},
    ),
    parameter(
        "mapping", "query", 'Column → field, as JSON, where names don\'t tell; `""`: not read.', {"type": "string"}
    ),
    parameter(
        "Idempotency-Key",
        "header",
        "Send a file again safely for 24 hours: the same key, file and wishes lead to the batch that is there, as it "
        "stands then, with `Idempotent-Replayed: true`; others are refused.",
        {"type": "string", "pattern": "^[!-~]{1,255}$"},
    ),
)
_BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}
FORM = {
    "type": "object",
    "properties": {"file": _BINARY} | {name: {"type": "string"} for name in ASKED},
    "required": ["file"],
}
TO_CREATE = (
    "body_too_large", "media_type_unsupported", "form_malformed", "file_missing", "file_unreadable", "query_invalid",
    "field_invalid", "schema_unknown", "model_unknown", "limit_reached", "storage_full", "plan_lacks_feature",
    "header_invalid", "idempotency_mismatch",
)  # fmt: skip


def batch_operation(
    method: str, path: str, name: str, summary: str, description: str, answer: Answer, **more: Any
) -> Operation:
    scope = "read" if method == "GET" else "batch"
    return operation(TAG, method, path, name, summary, description, answer, scope, **more)


_ONE = Answer(BatchAnswer, "The batch.")
OPERATIONS: Sequence[Operation] = (
    batch_operation(
        "POST",
        "/v1/batches",
        "createBatch",
        "Score a file",
        "CSV, JSON Lines or Parquet of one schema, up to 1 GB and 10 million rows, plain or in gzip or zstd: as the "
        "body (`Content-Type: text/csv`, `application/x-ndjson`, `application/vnd.apache.parquet`) or as the part "
        "`file` of a form. What the query may say may also stand in the form. Columns are matched to fields by their "
        "names: look at it first with `dry_run=true`. A unit a row that is decided; rows with a problem and duplicates "
        "cost nothing. "
        "Rows beyond the quota or the spend cap come back as `quota_exceeded`, and the batch can be resumed.",
        Answer(
            BatchAnswer | Preview,
            "The batch, queued; with `dry_run=true` the preview (200).",
            statuses=("202", "200"),
            headers=REPLAYED,
        ),
        parameters=PARAMETERS,
        body=described.Body(FORM, media_type=uploads.FORM, files=tuple(uploads.RAW)),
        problems=TO_CREATE,
    ),
    batch_operation(
        "GET",
        "/v1/batches",
        "listBatches",
        "List batches",
        "The batches of the mode of the key, newest first.",
        Answer(BatchPage, "A page of batches."),
        parameters=(*page_of("Batches"), _STATE),
        problems=("field_invalid", "cursor_invalid"),
    ),
    batch_operation(
        "GET",
        "/v1/batches/{batch_id}",
        "getBatch",
        "Read a batch",
        "How far it is: rows, speed, when it will end, problems by kind, units and cost so far.",
        _ONE,
        parameters=(BATCH_ID,),
        problems=("not_found",),
    ),
    batch_operation(
        "DELETE",
        "/v1/batches/{batch_id}",
        "deleteBatch",
        "Delete a batch",
        "With its file and results. What is being scored stops; the decisions made stay.",
        Answer(DeletedBatch, "It is gone."),
        parameters=(BATCH_ID,),
        problems=("not_found", "plan_lacks_feature"),
    ),
    batch_operation(
        "POST",
        "/v1/batches/{batch_id}/cancel",
        "cancelBatch",
        "Cancel a batch",
        "No further row is scored; results hold what was. Harmless when repeated.",
        _ONE,
        parameters=(BATCH_ID,),
        problems=("not_found", "batch_not_now", "plan_lacks_feature"),
    ),
    batch_operation(
        "POST",
        "/v1/batches/{batch_id}/resume",
        "resumeBatch",
        "Resume a batch",
        "Go on with one that paused for units, or failed after it was read. Harmless when it runs.",
        _ONE,
        parameters=(BATCH_ID,),
        problems=("not_found", "batch_not_now", "plan_lacks_feature"),
    ),
)
