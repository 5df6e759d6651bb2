"""A month's statement to read: as it was issued, or provisional; its figures; PDF."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from django.template.loader import render_to_string
from msgspec import Meta

from apps.accounts.models import Tenant
from apps.billing.invoicing.documents import PdfUnavailable, drawn
from apps.billing.rating.money import rounded
from apps.formats import month_text, number_text
from apps.periods import Period
from apps.sla import evaluation
from apps.sla.credits import credit_percent
from apps.sla.evaluation import Month
from apps.sla.models import SlaStatement
from apps.sla.statement import SHOWN_STEPS, Against, Statement
from apps.times import rfc3339

__all__ = ["IssuedStatement", "PdfUnavailable", "figures", "file_name", "pdf_of", "statement_of"]

#: Stretches a PDF lists; the JSON has all.
MOST_LISTED = 500


class Correction(msgspec.Struct, frozen=True):
    """What became known later, and what it changed."""

    revision: int
    issued_at: Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
    because: str
    credit: Annotated[str, Meta(description="Granted by it, beyond what was granted before.")]


class IssuedStatement(Statement, frozen=True):
    """A month's statement as it stands."""

    status: Literal["final", "provisional"]
    issued_at: Annotated[str | None, Meta(extra_json_schema={"format": "date-time"})]
    revision: int
    corrections: list[Correction]


@dataclass(frozen=True)
class Figures:
    """What is shown as measured."""

    requests: int
    failed: int
    error_rate_percent: float | None
    p50_ms: float | None
    p95_ms: float | None
    credit_percent: int


def statement_of(tenant: Tenant, period: Period, now: datetime) -> IssuedStatement | None:
    """The statement in force of a month, or a provisional one; None for a month in which nothing was promised."""
    rows = list(SlaStatement.objects.filter(tenant=tenant, month=str(period)).order_by("revision"))
    if rows:
        made = evaluation.statement_in(rows[-1])
        return IssuedStatement(
            **msgspec.structs.asdict(made),
            status="final",
            issued_at=rfc3339(rows[-1].issued_at),
            revision=rows[-1].revision,
            corrections=[_correction(row, made.currency) for row in rows[1:]],
        )
    month = evaluation.month_of(tenant, period, now)
    if month is None or not month.promised:
        return None
    fields = msgspec.structs.asdict(evaluation.statement_for(tenant, month))
    return IssuedStatement(**fields, status="provisional", issued_at=None, revision=0, corrections=[])


def figures(month: Month) -> Figures:
    """A month's requests, how many failed, and how fast the others were answered."""
    requests = month.answered + month.failed
    return Figures(
        requests=requests,
        failed=month.failed,
        error_rate_percent=round(100 * month.failed / requests, 4) if requests else None,
        p50_ms=_short(month.answered_within_ms(0.5)),
        p95_ms=_short(month.answered_within_ms(0.95)),
        credit_percent=credit_percent(month.measured.availability),
    )


def file_name(stated: IssuedStatement) -> str:
    return f"palisade-sla-{stated.month}"


def json_of(stated: IssuedStatement) -> bytes:
    """It as `sla_recompute` reads it."""
    return msgspec.json.encode(stated)


def html_of(stated: IssuedStatement) -> str:
    """Draw a page of its own: nothing is loaded from elsewhere."""
    return render_to_string("sla/statement.html", facts(stated))


def pdf_of(stated: IssuedStatement) -> bytes:
    """Draw it as PDF. Raises `PdfUnavailable`."""
    return drawn(html_of(stated))


def facts(stated: IssuedStatement) -> dict[str, Any]:
    """What a page says of a statement."""
    result = stated.result
    return {
        "stated": stated,
        "month": month_text(stated.month),
        "steps": SHOWN_STEPS,
        "seconds": [
            (label, number_text(seconds))
            for label, seconds in (
                ("Up", result.up_seconds),
                ("Counted against us", result.down_seconds),
                ("In announced maintenance", result.excluded_seconds),
                ("Neither requests nor probes", result.unknown_seconds),
            )
        ],
        "against": list(_stretches(result.against[:MOST_LISTED])),
        "more": max(len(result.against) - MOST_LISTED, 0),
    }


def _correction(row: SlaStatement, currency: str) -> Correction:
    return Correction(row.revision, rfc3339(row.issued_at), row.because, str(rounded(row.credit, currency)))


def _stretches(against: list[Against]) -> Iterator[dict[str, str]]:
    for one in against:
        because = "more than 5 % of your requests failed" if one.because == "requests" else "an incident"
        yield {"start": one.start, "end": one.end, "seconds": number_text(one.seconds), "because": because}


def _short(ms: float | None) -> float | None:
    return None if ms is None else float(f"{ms:.3g}")
