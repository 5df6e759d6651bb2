"""The doors of what is written down of a case: notes, and attachments of evidence."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api import operation as described
from apps.api.cases import TAG, AttachmentAnswer, CaseDoor, NoteAnswer, attachment_answer, note_answer, on_case
from apps.api.endpoint import MEGABYTE, json_answer
from apps.api.operation import WITH_A_BODY, Answer, Json, Operation, id_in_path, operation
from apps.errors import Problem
from apps.review.cases import evidence, file_types, work
from apps.review.cases.work import LONGEST_NOTE


class NewNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall be written down."""

    text: Annotated[str, Meta(min_length=1, max_length=LONGEST_NOTE, description="Card numbers in it are masked.")]


class NewAttachment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file as evidence."""

    name: Annotated[str, Meta(min_length=1, max_length=file_types.LONGEST_NAME)]
    content: Annotated[bytes, Meta(description=f"Base64. {file_types.IN_WORDS}; at most 5 MB.")]


class CaseNotesView(CaseDoor):
    """POST: write something down."""

    endpoint = "case_notes"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, case_id: str) -> HttpResponse:
        asked = self.written(request, NewNote, "text")
        admission = self.admit_only(request)
        return json_answer(note_answer(work.add_note(**self.whose(admission, case_id=case_id, text=asked.text))))


class CaseAttachmentsView(CaseDoor):
    """POST: attach a file."""

    endpoint = "case_attachments"
    http_method_names = ["post"]
    body_limit = 8 * MEGABYTE  # 5 MB in base64

    def post(self, request: HttpRequest, case_id: str) -> HttpResponse:
        asked = self.written(request, NewAttachment, "name")
        admission = self.admit_only(request)
        made = evidence.attach(**self.whose(admission, case_id=case_id, name=asked.name, content=asked.content))
        return json_answer(attachment_answer(made))


class CaseAttachmentView(CaseDoor):
    """GET: a file's bytes, to be saved."""

    endpoint = "case_attachment"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, attachment_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        found = evidence.find(admission.tenant_schema, self.key.livemode, attachment_id)
        if found is None:
            raise Problem("not_found")
        content = evidence.read(admission.tenant_schema, found)
        return HttpResponse(content, content_type=evidence.SERVED_AS, headers=evidence.headers_of(found))


_ATTACHMENT = id_in_path("attachment_id", "The attachment's id.", "evi_019aa5d0c2f75d1e0b7c4a9f")
_FILE: Json = {"type": "string", "contentMediaType": "application/octet-stream"}


OPERATIONS: Sequence[Operation] = (
    on_case(
        "notes",
        "createCaseNote",
        "Note something on a case",
        f"Up to {work.MOST_NOTES} notes a case. Card numbers are masked before anything is stored.",
        Answer(NoteAnswer, "The note."),
        body=described.Body(
            NewNote, {"call": {"summary": "A call", "value": {"text": "Called back: knows the merchant."}}}
        ),
        problems=(*WITH_A_BODY, "field_invalid", "not_found", "limit_reached"),
    ),
    on_case(
        "attachments",
        "createCaseAttachment",
        "Attach evidence to a case",
        f"{file_types.IN_WORDS}: told by its own bytes. At most 5 MB a file and {file_types.MOST_FILES} files a case. "
        "It is served as a download and never shown or run.",
        Answer(AttachmentAnswer, "The attachment."),
        body=described.Body(
            NewAttachment,
            {"text": {"summary": "A text", "value": {"name": "call.txt", "content": "S25vd3MgdGhlIG1lcmNoYW50Lg=="}}},
        ),
        problems=(*WITH_A_BODY, "field_invalid", "not_found", "limit_reached", "storage_full"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/case-attachments/{attachment_id}",
        "getCaseAttachment",
        "Download evidence",
        "The file as it was attached; in texts card numbers are masked.",
        Answer(_FILE, "The file's bytes.", evidence.SERVED_AS),
        parameters=(_ATTACHMENT,),
        problems=("not_found",),
    ),
)
