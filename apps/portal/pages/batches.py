"""Batches: a file is uploaded, its columns are looked at, it is scored while one watches, its results are fetched."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect

from apps import card_numbers, text
from apps.batches import reads, services, storage
from apps.batches.beginning import Beginning, begin
from apps.batches.bytes_in import UnreadableFile
from apps.batches.models import Batch
from apps.batches.outcomes import FIXES, ToldProblem
from apps.batches.results import MEDIA_TYPES
from apps.batches.services import NotNow, Received, TooMany, Wanted
from apps.billing.subscriptions.services import plan_for
from apps.errors import Problem
from apps.notifications.models import WebhookEndpoint
from apps.portal.batch_forms import ScoringForm, UploadForm, chosen, mapped, typed_in
from apps.portal.filters import choice, days, search
from apps.portal.kinds import CHOICES
from apps.portal.page import A_PAGE, InOtherMode, Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table
from apps.portal.uploads import on_disk
from apps.scoring.engine.schemas import SCHEMAS

State = Batch.State
#: States in which somebody may want to stop it, and in which more is still to come.
STOPPABLE = (State.QUEUED, State.RUNNING, State.PAUSED)
GOING = (State.QUEUED, State.RUNNING)
#: States from which it can go on.
RESUMABLE = (State.PAUSED, State.FAILED)
LONGEST_NAME = 200
DISK_FULL = "There is no room for the file at the moment: nothing was kept. Try again later."

TABLE = Table(
    row="portal/rows/batch.html",
    key=("id",),
    filters=(
        search("File", "filename", "id"),
        choice("state", "State", ((one, one) for one in State.values if one != State.DRAFT)),
        choice("schema", "Kind", CHOICES),
        *days("created_at"),
    ),
    columns=(
        Column("created_at", "Sent", lambda one: one.created_at, ("id",)),
        Column("filename", "File", lambda one: one.filename),
        Column("schema", "Kind", lambda one: one.schema),
        Column("state", "State", lambda one: one.state),
        Column("rows_done", "Rows", lambda one: one.rows_done, ("rows_done", "id"), number=True),
        Column("rows_flagged", "Flagged", lambda one: one.rows_flagged, ("rows_flagged", "id"), number=True),
        Column("problems", "Problems", lambda one: one.rows_with_problems, number=True),
        Column("units", "Units", lambda one: one.units, ("units", "id"), number=True),
        Column("id", "Id", lambda one: one.pk, shown=False),
    ),
)
NOTHING = Empty("No batches yet", "Upload a file above, or send one to POST /v1/batches.")


class BatchesPage(Page):
    """All files that were sent, and a form for one more."""

    title, template = "Batches", "portal/pages/batches.html"
    changes = Permission.BATCHES

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        rows = services.of_tenant(self.tenant, self.livemode)
        return self.exported(TABLE, rows, "batches") if TABLE.exports(request) else super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        plan = plan_for(self.tenant.pk)[0]
        included = "batch" in plan.features
        nothing = NOTHING if included else Empty("No batches yet")
        return {
            "table": TABLE.show(self.request, services.of_tenant(self.tenant, self.livemode), nothing),
            "drafts": services.drafts_of(self.tenant, self.livemode),
            "plan": plan,
            "included": included,
            "form": UploadForm(),
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        """Keep a file as a draft, once its beginning can be read."""
        form = UploadForm(request.POST, request.FILES)
        if "batch" not in plan_for(self.tenant.pk)[0].features:
            form.add_error(None, "Your plan does not include batches.")
        elif form.is_valid():
            try:
                return redirect("batch", self._draft(form.cleaned_data["file"], form.cleaned_data["schema"]).pk)
            except UnreadableFile as wrong:
                form.add_error("file", str(wrong))
            except TooMany:
                form.add_error(None, f"{services.MOST_DRAFTS} files wait to be started: start or delete one first.")
            except OSError:
                form.add_error("file", DISK_FULL)
        return self.page(**self.context() | {"form": form}, status=422)

    def _draft(self, file: Any, schema: str) -> Batch:
        """Raises `UnreadableFile`, `TooMany`, `OSError`."""
        name = card_numbers.mask(text.storable(file.name))[-LONGEST_NAME:]
        received = Received(on_disk(file), 0, file.size, name, "")
        try:
            with received.path.open("rb") as opened:
                begin(opened, 0, received.size, "", schema, {}, self.now)
            return services.create_draft(
                tenant=self.tenant, livemode=self.livemode, received=received, wanted=Wanted(schema), now=self.now,
                actor=self.actor,
            )  # fmt: skip
        finally:
            received.path.unlink(missing_ok=True)


class _OneBatch(Page):
    """A page about one batch of this mode."""

    changes = Permission.BATCHES

    def batch(self, batch_id: str) -> Batch:
        """Raises `InOtherMode`, `Http404`."""
        found = services.of_tenant(self.tenant, self.livemode).filter(pk=batch_id).first()
        if found is not None:
            return found
        if services.of_tenant(self.tenant, not self.livemode).filter(pk=batch_id).exists():
            raise InOtherMode("test batch" if self.livemode else "live batch")
        raise Http404


class BatchPage(_OneBatch):
    """One batch: a draft with how its columns are read, or a job with how far it is."""

    title, template = "Batch", "portal/pages/batch.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        draft = self._draft(kwargs["batch_id"])
        return super().get(request, **kwargs) if draft is None else self._drawn(draft, _look(draft))

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return progress_of(self, self.batch(kwargs["batch_id"]))

    def post(self, request: HttpRequest, batch_id: str) -> HttpResponse:
        draft, asked = self._draft(batch_id), request.POST.get("do", "")
        if asked == "delete":
            services.delete_batch(batch=draft or self.batch(batch_id), now=self.now, actor=self.actor)
            messages.success(request, "The batch and its files are deleted. Its decisions are kept.")
            return redirect("batches")
        if draft is not None:
            return self._change_draft(draft, starts=asked == "start")
        return self._change(self.batch(batch_id), asked)

    def _change(self, batch: Batch, asked: str) -> HttpResponse:
        """Stop it, go on, have its results in another format."""
        change = {"cancel": services.cancel_batch, "resume": services.resume_batch}.get(asked)
        if change is not None:
            try:
                change(batch=batch, now=self.now, actor=self.actor)
            except NotNow as wrong:
                messages.error(self.request, str(wrong))
        elif self.request.POST.get("format") in MEDIA_TYPES and batch.results:
            services.want_format(batch, self.request.POST["format"])
        return redirect("batch", batch.pk)

    # --- drafts -------------------------------------------------------------------------------------------------------

    def _draft(self, batch_id: str) -> Batch | None:
        return services.drafts_of(self.tenant, self.livemode).filter(pk=batch_id).first()

    def _change_draft(self, draft: Batch, starts: bool) -> HttpResponse:
        """Read its columns as they are chosen, and start it when that is wanted and nothing is missing."""
        found, form = _look(draft), self._form(draft, self.request.POST)
        typed = typed_in(self.request.POST, found.chunk.names)
        if not form.is_valid():
            return self._drawn(draft, found, form, typed, 422)
        wanted = form.wanted(draft, chosen(found, typed))
        try:
            again = _look(draft, wanted)
        except UnreadableFile as wrong:
            form.add_error(None, str(wrong))
            return self._drawn(draft, found, form, typed, 422)
        same_kind = wanted.schema == draft.schema
        draft = services.change_draft(batch=draft, wanted=wanted)
        if starts and same_kind and not again.headings.missing:
            self._start(draft)
        return redirect("batch", draft.pk)

    def _start(self, draft: Batch) -> None:
        try:
            services.start_draft(batch=draft, now=self.now, actor=self.actor)
        except TooMany:
            messages.error(self.request, f"{services.MOST_UNDER_WAY} batches may wait or run at once.")

    def _drawn(
        self,
        draft: Batch,
        found: Beginning,
        form: ScoringForm | None = None,
        typed: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> HttpResponse:
        return self.page(
            "portal/pages/batch_draft.html",
            status,
            batch=draft,
            form=form or self._form(draft),
            columns=mapped(found, typed),
            missing=found.headings.missing,
            fields=SCHEMAS[draft.schema].fields,
            problems=_told(found.problems[:A_PAGE], {one.column: one.field for one in found.headings.columns}),
            previewed=len(found.chunk),
        )

    def _form(self, draft: Batch, data: Any = None) -> ScoringForm:
        webhooks = WebhookEndpoint.objects.filter(tenant=self.tenant, livemode=self.livemode)
        return ScoringForm(draft, list(webhooks), data)


class BatchProgress(_OneBatch):
    """The part of the page that asks, every two seconds, how far a batch is."""

    template = "portal/parts/batch.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return progress_of(self, self.batch(kwargs["batch_id"]))


class _BatchFile(_OneBatch):
    """A file of a batch, for those who may take something along."""

    permission = Permission.EXPORT
    http_method_names = ["get", "head"]

    def streamed(self, pieces: Any, name: str, media_type: str, size: int | None = None) -> StreamingHttpResponse:
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingHttpResponse(
            pieces, content_type=media_type, headers=headers | ({} if size is None else {"Content-Length": str(size)})
        )


class BatchResults(_BatchFile):
    """The results in a format in which they were put together."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        batch, format = self.batch(kwargs["batch_id"]), kwargs["format"]
        made = batch.results.get(format)
        if made is None:
            raise Http404
        pieces = storage.pieces(made["name"], 0, made["bytes"])
        return self.streamed(pieces, f"{batch.pk}.{format}", MEDIA_TYPES[format], made["bytes"])


class BatchProblems(_BatchFile):
    """The rows that could not be scored, with their numbers, to be mended and sent again."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        batch = self.batch(kwargs["batch_id"])
        return self.streamed(reads.problem_rows(batch), f"{batch.pk}-problems.csv", MEDIA_TYPES["csv"])


# --- what is shown ----------------------------------------------------------------------------------------------------


class ShownProblem(NamedTuple):
    """What is wrong with a row as it is drawn: the field its column is read as, and what helps."""

    row: int
    column: str
    field: str
    detail: str
    fix: str


def progress_of(page: Page, batch: Batch) -> dict[str, Any]:
    """How far a batch is, what can be fetched of it, and what is wrong with rows."""
    problems, following = _problems(batch, page.request.GET.get("cursor") or None)
    fields = {one["column"]: one["field"] for one in batch.headings.get("columns", [])}
    in_the_making = batch.rows_total is not None and batch.assembled_at is None
    return {
        "batch": batch,
        "cost": reads.costs_of([batch])[batch.pk],
        "under_way": batch.state in GOING or in_the_making,
        "rate": batch.rows_per_second(page.now),
        "ends_at": batch.estimated_end(page.now),
        "stoppable": batch.state in STOPPABLE,
        "resumable": batch.state in RESUMABLE and batch.rows_total is not None,
        "formats": [(name, batch.results.get(name)) for name in MEDIA_TYPES],
        "columns": batch.headings.get("columns", []),
        "problems": _told(problems, fields),
        "following": following,
    }


def _problems(batch: Batch, cursor: str | None) -> tuple[Sequence[ToldProblem], str | None]:
    """The page of problems that is asked for; the first one when its cursor is none of ours."""
    try:
        return reads.problems_of(batch, cursor, A_PAGE)
    except Problem:
        return reads.problems_of(batch, None, A_PAGE)


def _told(problems: Sequence[ToldProblem], fields: Mapping[str, str]) -> list[ShownProblem]:
    return [
        ShownProblem(one.row, one.column, fields.get(one.column, one.column), one.detail, FIXES.get(one.problem, ""))
        for one in problems
    ]


def _look(draft: Batch, wanted: Wanted | None = None) -> Beginning:
    """The beginning of a draft's file, read as it says or as is wanted. Raises `UnreadableFile`."""
    schema, mapping = (wanted.schema, wanted.mapping) if wanted else (draft.schema, draft.mapping)
    with storage.at_hand(str(draft.upload.name)) as file:
        place = (draft.upload_offset, draft.upload_bytes, draft.format)
        return begin(file, *place, schema, mapping, draft.created_at)
