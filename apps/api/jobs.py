"""The doors of the Gateway interface's jobs: batches of schema `paysim`, in its words."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.api import batches, problems, uploads
from apps.api import operation as described
from apps.api.batches import BatchesView, Preview
from apps.api.batches import BatchView as OneBatchView
from apps.api.endpoint import json_answer
from apps.api.fields import Moment
from apps.api.operation import DIALECT_PROBLEM, REPLAYED, REQUEST_ID, Answer, Operation, id_in_path
from apps.batches import services
from apps.batches.models import Batch
from apps.errors import Problem
from apps.times import rfc3339, rfc3339_or_none

#: Jobs of one answer, the newest.
SHOWN = 100


class Job(msgspec.Struct, frozen=True):
    """A job."""

    job_id: str
    status: Annotated[str, Meta(description="queued, running, paused, completed, failed or cancelled.")]
    progress: Annotated[int, Meta(description="Percent.")]
    filename: str
    total_rows: int | None
    processed_rows: int
    failed_rows: int
    fraud_count: Annotated[int, Meta(description="Rows that are not approved at a low risk.")]
    error: str | None
    created_at: Moment
    finished_at: Moment | None
    results_url: str | None
    billed_units: int


class JobList(msgspec.Struct, frozen=True):
    """The newest jobs."""

    jobs: list[Job]
    count: int


class _InItsWords:
    """Errors are {"detail": …} and nothing else."""

    problem_content_type = "application/json"

    def render_problem(self, problem: Problem) -> bytes:
        return problems.detail_only(problem)


class JobsView(_InItsWords, BatchesView):
    """POST: a CSV to be scored. GET: the newest jobs."""

    endpoint = "jobs"
    default_schema = "paysim"

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        rows = services.of_tenant(admission.tenant_id, self.key.livemode).order_by("-id")[:SHOWN]
        jobs = [_job(row) for row in rows]
        return json_answer(JobList(jobs, len(jobs)))

    def _made(self, batch: Batch) -> HttpResponse:
        response = json_answer(_job(batch))
        response.status_code = 202
        return response


class JobView(_InItsWords, OneBatchView):
    """GET: a job and its progress."""

    endpoint = "job"
    scopes: ClassVar = {"GET": "read"}
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, job_id: str) -> HttpResponse:
        return json_answer(_job(self.batch(self.admit_only(request), job_id)))


def _job(row: Batch) -> Job:
    return Job(
        job_id=row.pk,
        status=row.state,
        progress=row.percent,
        filename=row.filename,
        total_rows=row.rows_total,
        processed_rows=row.rows_done,
        failed_rows=sum(row.problems.values()),
        fraud_count=row.rows_flagged,
        error=row.reason or None,
        created_at=rfc3339(row.created_at),
        finished_at=rfc3339_or_none(row.finished_at),
        results_url=f"/v1/batches/{row.pk}/results" if row.results else None,
        billed_units=row.units,
    )


TAG = "Older interfaces"


def _operation(
    method: str, path: str, name: str, summary: str, description: str, answer: Answer, **more: Any
) -> Operation:
    scope = "read" if method == "GET" else "batch"
    parameters = (*more.pop("parameters", ()), REQUEST_ID)
    said = f"{description} Scope: `{scope}`."
    return Operation(
        method,
        path,
        name,
        TAG,
        summary,
        said,
        answer,
        scope=scope,
        parameters=parameters,
        problem=DIALECT_PROBLEM,
        **more,
    )


OPERATIONS: Sequence[Operation] = (
    _operation(
        "POST",
        "/jobs",
        "createJob",
        "Gateway: score a file",
        "A CSV of PaySim transactions, as the body or as the part `file` of a form: a batch (`/v1/batches`) in the "
        "interface's words.",
        Answer(
            Job | Preview,
            "The job, queued; with `dry_run=true` the preview (200).",
            statuses=("202", "200"),
            headers=REPLAYED,
        ),
        parameters=batches.PARAMETERS,
        body=described.Body(batches.FORM, media_type=uploads.FORM, files=tuple(uploads.RAW)),
        problems=batches.TO_CREATE,
    ),
    _operation(
        "GET",
        "/jobs",
        "listJobs",
        "Gateway: the jobs",
        f"The newest {SHOWN}.",
        Answer(JobList, "The jobs."),
    ),
    _operation(
        "GET",
        "/jobs/{job_id}",
        "getJob",
        "Gateway: a job",
        "Its progress.",
        Answer(Job, "The job."),
        parameters=(id_in_path("job_id", "The job's id.", "btc_019aa5d0c2f75d1e0b7c4a9f"),),
        problems=("not_found",),
    ),
)
