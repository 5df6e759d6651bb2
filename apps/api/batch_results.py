"""The doors of what came of a batch: its results as a file, its problems row by row."""

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from apps.api.batches import BATCH_ID, BatchView, batch_operation, one_batch
from apps.api.endpoint import json_answer
from apps.api.fields import NextCursor
from apps.api.operation import Answer, Operation, page_of, parameter
from apps.api.parameters import one_of, page_in, query_of
from apps.api.response_headers import shielded, with_own
from apps.batches import reads, services, storage
from apps.batches.models import Batch
from apps.batches.outcomes import ToldProblem
from apps.batches.results import MEDIA_TYPES
from apps.errors import Problem

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class ProblemPage(msgspec.Struct, frozen=True):
    """Rows with a problem, in the order of the file."""

    object: Literal["list"]
    data: list[ToldProblem]
    has_more: bool
    next_cursor: NextCursor


class BatchResultsView(BatchView):
    """GET: the results as a file, whole or in part."""

    endpoint = "batch_results"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, batch_id: str) -> Any:
        wanted = self.understood(request, lambda asked: one_of(query_of(asked.META), "format", tuple(MEDIA_TYPES)))
        batch = self.batch(self.admit_only(request), batch_id)
        made = batch.results.get(wanted or "csv")
        if made is None:
            return self._not_made(batch, wanted or "csv")
        etag = f'"{made["etag"]}"'
        if etag in request.META.get("HTTP_IF_NONE_MATCH", ""):
            return HttpResponse(status=304, headers={"ETag": etag})
        asked = request.META.get("HTTP_RANGE", "") if request.META.get("HTTP_IF_RANGE", etag) == etag else ""
        start, end = _range(asked, made["bytes"])
        whole = (start, end) == (0, made["bytes"])
        headers = {
            "Content-Type": MEDIA_TYPES[wanted or "csv"],
            "Content-Length": str(end - start),
            "Content-Disposition": f'attachment; filename="{batch.pk}.{wanted or "csv"}"',
            "Accept-Ranges": "bytes",
            "ETag": etag,
        }
        if not whole:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{made['bytes']}"
        pieces = storage.pieces(made["name"], start, end)
        return StreamingHttpResponse(pieces, status=200 if whole else 206, headers=headers)

    def _not_made(self, batch: Batch, wanted: str) -> HttpResponse:
        """None there yet: 409; of a format nobody asked for before: it is made now, 202."""
        if not batch.results or batch.assembled_at is None:
            raise Problem("results_not_ready", f"It is {batch.state}, {batch.percent} %.", retry_after=2.0)
        services.want_format(batch, wanted)
        response = json_answer(one_batch(batch, self.now))
        response.status_code = 202
        response["Retry-After"] = "2"
        return response

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        if not response.streaming:
            return super().finalize_response(request, response, *args, **kwargs)
        own = {"X-Request-Id": self.request_id}
        return with_own(shielded(response), own)


class BatchProblemsView(BatchView):
    """GET: the rows with a problem."""

    endpoint = "batch_problems"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, batch_id: str) -> HttpResponse:
        limit, cursor = self.understood(request, lambda asked: page_in(query_of(asked.META)))
        batch = self.batch(self.admit_only(request), batch_id)
        found, following = reads.problems_of(batch, cursor, limit)
        return json_answer(ProblemPage("list", list(found), following is not None, following))


def _range(header: str, size: int) -> tuple[int, int]:
    """[start, end) of a file; all of it without a range, or with one of a form we don't know. Raises `Problem`."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[1] == found[2] == "":
        return 0, size
    start = int(found[1]) if found[1] else max(size - int(found[2]), 0)
    end = min(int(found[2]) + 1, size) if found[1] and found[2] else size
    if start >= end:
        raise Problem("range_invalid", headers={"Content-Range": f"bytes */{size}"})
    return start, end


_FORMAT = parameter("format", "query", "CSV when left out.", {"enum": list(MEDIA_TYPES)})
_RANGE_HEADERS = {
    "ETag": {"description": "Changes with the file.", "schema": {"type": "string"}},
    "Accept-Ranges": {"description": "Parts can be asked for: Range: bytes=0-99.", "schema": {"const": "bytes"}},
}


OPERATIONS: Sequence[Operation] = (
    batch_operation(
        "GET",
        "/v1/batches/{batch_id}/results",
        "getBatchResults",
        "Fetch the results",
        "The file's columns in their order, then `fraud_probability`, `risk_score`, `risk_level`, "
        "`recommended_action`, `reasons` and `problem`. Once the batch stands still, for 30 days; a format other than "
        "CSV is made when it is first asked for (202: ask again). Ranges and `If-None-Match` work.",
        Answer(
            {"type": "string"}, "The file.", "text/csv", statuses=("200", "202", "206", "304"), headers=_RANGE_HEADERS
        ),
        parameters=(BATCH_ID, _FORMAT),
        problems=("not_found", "results_not_ready", "range_invalid", "field_invalid"),
    ),
    batch_operation(
        "GET",
        "/v1/batches/{batch_id}/problems",
        "listBatchProblems",
        "List problems",
        "Rows that could not be scored: row, column, and what is wrong. They cost nothing.",
        Answer(ProblemPage, "A page of problems."),
        parameters=(BATCH_ID, *page_of("Problems")),
        problems=("not_found", "cursor_invalid", "field_invalid"),
    ),
)
