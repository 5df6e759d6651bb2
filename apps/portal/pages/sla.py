"""The promise of availability: this month so far, the months that were stated, their credits and statements."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse

from apps.billing.rating.money import shown as shown_money
from apps.billing.subscriptions.services import plan_for
from apps.formats import month_text
from apps.periods import Period
from apps.portal.page import Page
from apps.sla import documents, evaluation
from apps.sla.credits import FEATURE, STEPS, TARGET, percent_of
from apps.sla.documents import IssuedStatement
from apps.sla.models import Incident
from apps.sla.status import shown

#: Incidents on the page, the newest.
NEWEST = 10


class SlaPage(Page):
    """What was promised and what was measured. Live requests alone count, so both modes show the same."""

    title, template = "Availability", "portal/pages/sla.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        month = evaluation.month_of(self.tenant, Period.of(self.now), self.now)
        incidents = Incident.objects.prefetch_related("notes")[:NEWEST]
        return {
            "promised": FEATURE in plan_for(self.tenant.pk)[0].features,
            "target": percent_of(TARGET),
            "steps": [(percent_of(below), percent) for below, percent in STEPS],
            "month": month_text(str(month.period)) if month else "",
            "figures": documents.figures(month) if month else None,
            "measured": month.measured if month else None,
            "available": percent_of(month.measured.availability) if month else None,
            "stated": list(map(_stated, evaluation.stated_months(self.tenant.pk))),
            "incidents": [(row, shown(row)) for row in incidents],
        }


class SlaMonthPage(Page):
    """A month's statement."""

    title, template = "Availability", "portal/pages/sla_month.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        stated = self.stated(kwargs["month"])
        return documents.facts(stated) | {"title": f"Availability, {month_text(stated.month)}"}

    def stated(self, month: str) -> IssuedStatement:
        try:
            found = documents.statement_of(self.tenant, Period.parse(month), self.now)
        except ValueError as wrong:
            raise Http404 from wrong
        if found is None:
            raise Http404
        return found


class SlaMonthPaper(SlaMonthPage):
    """It as a file: JSON, from which it can be computed again, or PDF."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        stated = self.stated(kwargs["month"])
        if kwargs["form"] == "json":
            return _file(documents.json_of(stated), "application/json", f"{documents.file_name(stated)}.json")
        try:
            return _file(documents.pdf_of(stated), "application/pdf", f"{documents.file_name(stated)}.pdf")
        except documents.PdfUnavailable:
            return HttpResponse(documents.html_of(stated), content_type="text/html; charset=utf-8")


def _stated(month: evaluation.StatedMonth) -> tuple[evaluation.StatedMonth, str, str]:
    """(month, its name, what was granted for it)."""
    return month, month_text(month.month), shown_money(month.granted, month.currency)


def _file(content: bytes, kind: str, name: str) -> HttpResponse:
    return HttpResponse(content, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
