"""The doors of a list's files: items sent as a file, how far a long one is, all items as CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from msgspec import Meta

from apps import paging, spreadsheets
from apps.accounts.tenancy import in_tenant
from apps.api import operation as described
from apps.api import uploads
from apps.api.endpoint import MEGABYTE, json_answer
from apps.api.fields import Moment
from apps.api.list_items import KEY, AddedItems, LineProblem, added_items
from apps.api.lists import ListDoor, allowed, list_operation
from apps.api.operation import Answer, Operation, id_in_path
from apps.api.response_headers import shielded, with_own
from apps.api.uploads import Sent
from apps.api_keys.gate import Admission, rate_headers
from apps.batches import list_files
from apps.batches.models import ListImport
from apps.batches.services import Received
from apps.batches.storage import StoreAway
from apps.errors import Problem
from apps.scoring.lists import importing, reads
from apps.scoring.lists.importing import FileOfItems
from apps.scoring.models import ValueList
from apps.times import rfc3339, rfc3339_or_none
from apps.valkey import Valkey

_FILES = {"text/csv": "csv", "text/plain": "text"}
#: Items of an export that are read in one query.
EXPORTED_AT_ONCE = 5_000


class ListImportAnswer(msgspec.Struct, frozen=True):
    """A long file of items. In force, all at once, when it is completed."""

    id: str
    object: Literal["list_import"]
    list: str
    state: Literal["queued", "running", "completed", "failed"]
    progress: Annotated[int, Meta(ge=0, le=100, description="Percent of the lines that were read.")]
    lines: Annotated[int, Meta(description="Of the file.")]
    added: int
    changed: Annotated[int, Meta(description="They were there, with another expiry or note.")]
    unchanged: Annotated[int, Meta(description="They were there as they are.")]
    wrong: Annotated[int, Meta(description="Lines of the file that were left out.")]
    problems: Annotated[tuple[LineProblem, ...], Meta(description=f"The first {importing.MOST_TOLD} of them.")]
    reason: Annotated[str, Meta(description="Why it failed: nothing of it is in force.")]
    created_at: Moment
    finished_at: Moment | None


class ListImportView(ListDoor):
    """POST: a file of items."""

    endpoint = "list_import"
    http_method_names = ["post"]
    takes_uploads = True
    body_limit = importing.MOST_BYTES + MEGABYTE  # a form's head beside the file

    def post(self, request: HttpRequest, list_name: str) -> HttpResponse:
        try:
            sent = self.understood(request, _file)
            admission = self.admit_only(request)
            row = self.found(admission, list_name)
            return self._taken(sent, row, admission)
        finally:
            uploads.discard(request)

    def _taken(self, sent: Sent, row: ValueList, admission: Admission) -> HttpResponse:
        is_csv = "csv" in (sent.format, sent.filename.rpartition(".")[2].lower())
        with sent.path.open("rb") as file:
            items = FileOfItems(file, sent.offset, sent.size, is_csv)
            lines = _length_of(items)
            if lines <= importing.AWAITED_LINES + 1:
                return json_answer(self._imported(items, row, admission))
        return self._kept(sent, row, is_csv, lines, admission)

    def _imported(self, items: FileOfItems, row: ValueList, admission: Admission) -> AddedItems:
        change = self.change(admission) | {"clock": timezone.now}
        del change["now"]
        found = allowed(lambda: importing.import_file(row=row, of=items, **change))
        problems = [LineProblem(line.number, *line.problem) for line in found.problems if line.problem is not None]
        return msgspec.structs.replace(added_items(row, found.added), wrong=found.wrong, problems=tuple(problems))

    def _kept(self, sent: Sent, row: ValueList, is_csv: bool, lines: int, admission: Admission) -> HttpResponse:
        """Have a long file put in force in the background."""
        received = Received(sent.path, sent.offset, sent.size, sent.filename, sent.format)
        change = self.change(admission)
        del change["valkey"]
        try:
            made = list_files.keep(row=row, received=received, is_csv=is_csv, lines=lines, **change)
        except list_files.TooManyWaiting as wrong:
            raise Problem("limit_reached", str(wrong)) from wrong
        except StoreAway as away:
            raise Problem("stores_away", retry_after=2.0) from away
        except OSError as full:
            raise Problem("storage_full") from full
        answer = json_answer(_import(made, self.valkey))
        answer.status_code = 202
        return answer


class ListImportStateView(ListDoor):
    """GET: how far a long file is."""

    endpoint = "list_imports"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, list_name: str, import_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        found = list_files.find(admission.tenant_id, row, import_id)
        if found is None:
            raise Problem("not_found")
        return json_answer(_import(found, self.valkey))


class ListExportView(ListDoor):
    """GET: what is in force, as CSV."""

    endpoint = "list_export"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, list_name: str) -> Any:
        row = self.found(self.admit_only(request), list_name)
        headers = {"Content-Disposition": f'attachment; filename="{row.name}.csv"'}
        pieces = _as_csv(self.tenant_schema, row, self.now)
        return StreamingHttpResponse(pieces, content_type="text/csv; charset=utf-8", headers=headers)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        if not response.streaming:
            return super().finalize_response(request, response, *args, **kwargs)
        own = {"X-Request-Id": self.request_id}
        return with_own(shielded(response), own if self.rate is None else own | rate_headers(self.rate))


# --- how ------------------------------------------------------------------------------------------------------------


def _file(request: HttpRequest) -> Sent:
    """The file that came. Raises `Problem`."""
    sent = uploads.sent_file(request, _FILES)
    if sent.size > importing.MOST_BYTES:
        raise Problem("body_too_large", f"The file has {sent.size:,} bytes; 100 MB is the most.")
    if not sent.size:
        raise Problem("file_unreadable", "The file is empty.")
    return sent


def _length_of(items: FileOfItems) -> int:
    """How many lines a file has. Raises `Problem` for more than a list may hold."""
    try:
        return importing.count_lines(items)
    except importing.TooLong as wrong:
        raise Problem("body_too_large", str(wrong)) from wrong


def _as_csv(tenant_schema: str, row: ValueList, now: datetime) -> Iterator[bytes]:
    """The items in force, some at a time; what another program would take for a formula is quoted."""
    yield b"value,expires_at,note,added_at,added_by\r\n"
    last = None
    while True:
        with in_tenant(tenant_schema):
            page = paging.page_of(reads.items(row, now), KEY, last, EXPORTED_AT_ONCE)
        out = io.StringIO()
        writer = csv.writer(out)
        for item in page.rows:
            cells = [
                item.value,
                rfc3339_or_none(item.expires_at) or "",
                item.note,
                rfc3339(item.added_at),
                item.added_by,
            ]
            writer.writerow([spreadsheets.cell(one) for one in cells])
        yield out.getvalue().encode()
        last = page.next_cursor
        if last is None:
            return


def _import(row: ListImport, valkey: Valkey) -> ListImportAnswer:
    stand = list_files.stand_of(row, valkey)
    return ListImportAnswer(
        id=row.pk,
        object="list_import",
        list=row.list_name,
        state=stand.state,  # type: ignore[arg-type]  # one of these
        progress=stand.percent,
        lines=row.lines,
        added=row.added,
        changed=row.changed,
        unchanged=row.unchanged,
        wrong=row.wrong,
        problems=tuple(LineProblem(*one) for one in row.problems),
        reason=row.reason,
        created_at=rfc3339(row.created_at),
        finished_at=rfc3339_or_none(row.finished_at),
    )


_IMPORT = id_in_path("import_id", "The file's id, as the import answered it.", "lim_019aa5d0c2f75d1e0b7c4a9f")
_FORM = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "contentMediaType": "application/octet-stream", "description": "The items."}
    },
    "required": ["file"],
    "additionalProperties": False,
}
OPERATIONS: Sequence[Operation] = (
    list_operation(
        "POST", "/{list_name}/import", "importItems", "Add a file of items",
        "As the body (`Content-Type: text/csv`, `text/plain`) or as the part `file` of a form: CSV whose first line "
        "names the columns (value, expires_at, note), or a value a line. Up to as many as a list may hold, "
        f"{importing.MOST_LINES:,}. A file of up to {importing.AWAITED_LINES:,} lines is answered when it is in force "
        "(200); a longer one is put in force in the background (202): ask `getListImport` how far it is. Either way "
        "its items are in force at one moment, or none when the file can't be read. A wrong line is left out and told. "
        "Sending a file again is harmless.",
        Answer(AddedItems | ListImportAnswer, "What became of the lines (200), or a file that waits (202).",
               statuses=("200", "202")),
        body=described.Body(_FORM, media_type=uploads.FORM, files=tuple(_FILES)),
        problems=("media_type_unsupported", "body_too_large", "file_missing", "file_unreadable", "form_malformed",
                  "storage_full", "limit_reached", "field_invalid"),
    ),
    list_operation(
        "GET", "/{list_name}/imports/{import_id}", "getListImport", "Read how far a file of items is",
        "Of a file that is put in force in the background: its state, and in the end what became of its lines. Told "
        f"for {list_files.KEPT.days} days.",
        Answer(ListImportAnswer, "The file."), parameters=(_IMPORT,),
    ),
    list_operation(
        "GET", "/{list_name}/export", "exportItems", "Read all items as CSV", "What is in force, the last added first.",
        Answer({"type": "string"}, "The items.", media_type="text/csv"),
    ),
)  # fmt: skip
