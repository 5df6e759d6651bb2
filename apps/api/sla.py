"""The doors of `/v1/sla`: what was promised of the availability, what was measured, and a month's statement."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.accounts.models import Tenant
from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment, Money
from apps.api.operation import Answer, Operation, operation, parameter
from apps.billing.subscriptions.services import plan_for
from apps.errors import Problem
from apps.periods import Month, Period
from apps.sla import documents, evaluation
from apps.sla.credits import FEATURE, STEPS, TARGET, percent_of
from apps.sla.documents import IssuedStatement
from apps.times import rfc3339

Percent = Annotated[str, Meta(description="A decimal number.")]


class CreditStep(msgspec.Struct, frozen=True):
    """What a month gives back of its fee."""

    below_percent: Annotated[Percent, Meta(description="An availability below this.")]
    credit_percent: int


class Goals(msgspec.Struct, frozen=True):
    """What we aim at; it is measured and shown, and credits do not follow from it."""

    p50_ms: float
    p95_ms: float
    error_rate_percent: float


class MonthSoFar(msgspec.Struct, frozen=True):
    """This month, as it is known now."""

    month: Month
    until: Moment
    availability_percent: Annotated[
        Percent | None, Meta(description="Rounded down. null: no request and no probe yet.")
    ]
    up_seconds: int
    down_seconds: Annotated[int, Meta(description="Counted against us.")]
    excluded_seconds: Annotated[int, Meta(description="In announced maintenance.")]
    requests: Annotated[int, Meta(description="Live requests for decisions, answered and failed; batches are not.")]
    failed_requests: Annotated[int, Meta(description="Answered with a 5xx.")]
    error_rate_percent: Annotated[float | None, Meta(description="null without requests.")]
    p50_ms: Annotated[float | None, Meta(description="Half of the requests were answered within it; to within 2 %.")]
    p95_ms: Annotated[float | None, Meta(description="95 of 100 were; to within 2 %.")]
    credit_percent: Annotated[int, Meta(description="What the month would give back if it ended now.")]


class StatedMonth(msgspec.Struct, frozen=True):
    """A month that was stated: see `GET /v1/sla/{month}`."""

    month: Month
    availability_percent: Percent | None
    down_seconds: int
    credit_percent: int
    credit: Annotated[Money, Meta(description="Granted for it, corrections included.")]
    currency: str


class Sla(msgspec.Struct, frozen=True):
    """The promise, this month, and the months that were stated, the newest first."""

    object: Literal["sla"]
    promised: Annotated[bool, Meta(description="Whether your plan promises it now: then credits follow.")]
    target_percent: Percent
    credits: list[CreditStep]
    goals: Goals
    current: MonthSoFar | None
    months: list[StatedMonth]


GOALS = Goals(p50_ms=200.0, p95_ms=500.0, error_rate_percent=1.0)


class SlaView(ApiView):
    """GET: the promise, and how it is kept."""

    endpoint = "sla"

    def get(self, request: HttpRequest) -> HttpResponse:
        tenant = Tenant.objects.get(pk=self.admit_only(request).tenant_id)
        month = evaluation.month_of(tenant, Period.of(self.now), self.now)
        return json_answer(
            Sla(
                object="sla",
                promised=FEATURE in plan_for(tenant.pk)[0].features,
                target_percent=str(percent_of(TARGET)),
                credits=[CreditStep(str(percent_of(below)), percent) for below, percent in STEPS],
                goals=GOALS,
                current=_so_far(month) if month else None,
                months=list(map(_stated, evaluation.stated_months(tenant.pk))),
            )
        )


class SlaMonthView(ApiView):
    """GET: a month's statement, as JSON or PDF."""

    endpoint = "sla_month"

    def get(self, request: HttpRequest, month: str, drawn: str = "") -> HttpResponse:
        tenant = Tenant.objects.get(pk=self.admit_only(request).tenant_id)
        stated = documents.statement_of(tenant, _period(month), self.now)
        if stated is None and FEATURE not in plan_for(tenant.pk)[0].features:
            raise Problem("plan_lacks_feature", "An availability is promised on the Enterprise plan.")
        if stated is None:
            raise Problem("not_found")
        return _FORMS[drawn](stated)


def _period(month: str) -> Period:
    try:
        return Period.parse(month)
    except ValueError as wrong:
        raise Problem("not_found") from wrong


def _so_far(month: evaluation.Month) -> MonthSoFar:
    measured, result = month.measured, documents.figures(month)
    return MonthSoFar(
        month=str(month.period),
        until=rfc3339(month.until),
        availability_percent=percent_of(measured.availability),
        up_seconds=measured.up_seconds,
        down_seconds=measured.down_seconds,
        excluded_seconds=measured.excluded_seconds,
        requests=result.requests,
        failed_requests=result.failed,
        error_rate_percent=result.error_rate_percent,
        p50_ms=result.p50_ms,
        p95_ms=result.p95_ms,
        credit_percent=result.credit_percent,
    )


def _stated(month: evaluation.StatedMonth) -> StatedMonth:
    return StatedMonth(
        month=month.month,
        availability_percent=month.availability_percent,
        down_seconds=month.down_seconds,
        credit_percent=month.credit_percent,
        credit=str(month.granted),
        currency=month.currency,
    )


def _pdf(stated: IssuedStatement) -> HttpResponse:
    try:
        content = documents.pdf_of(stated)
    except documents.PdfUnavailable as missing:
        raise Problem("pdf_unavailable", str(missing)) from missing
    disposition = {"Content-Disposition": f'inline; filename="{documents.file_name(stated)}.pdf"'}
    return HttpResponse(content, content_type="application/pdf", headers=disposition)


_FORMS: dict[str, Callable[[IssuedStatement], HttpResponse]] = {"": json_answer, "pdf": _pdf}

TAG = "Availability"
_MONTH = parameter(
    "month", "path", "A month, UTC.", {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$"}, required=True,
    example="2026-11",
)  # fmt: skip
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "GET",
        "/v1/sla",
        "getSla",
        "The promise, and how it is kept",
        "A minute counts against us when more than 5 % of your live requests for decisions in it were answered with a "
        "5xx; in minutes without requests, probes of the service decide, every 30 seconds. Announced maintenance is "
        "left out; what neither requests nor probes tell is neither up nor down. Measured for every plan; credits "
        "follow where the plan promises it.",
        Answer(Sla, "The promise, this month so far, and the months that were stated."),
    ),
    operation(
        TAG,
        "GET",
        "/v1/sla/{month}",
        "getSlaMonth",
        "A month's statement",
        "What was measured and all it was computed from, so that you can compute it again: "
        "`manage.py sla_recompute STATEMENT.json` needs no database. Stated within a day of the month's end, with the "
        "credit; `provisional` before.",
        Answer(IssuedStatement, "The statement."),
        parameters=(_MONTH,),
        problems=("not_found", "plan_lacks_feature"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/sla/{month}.pdf",
        "getSlaMonthPdf",
        "A month's statement as PDF",
        "The figures, and every stretch that counts against us.",
        Answer({"type": "string", "contentMediaType": "application/pdf"}, "The PDF.", "application/pdf"),
        parameters=(_MONTH,),
        problems=("not_found", "plan_lacks_feature", "pdf_unavailable"),
    ),
)
