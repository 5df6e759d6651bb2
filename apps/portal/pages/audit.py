"""The audit log: who changed what."""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase

from apps.accounts.models import AuditEntry
from apps.portal.filters import Filter, days
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table


def _changes(entry: AuditEntry) -> list[tuple[str, Any, Any]]:
    """(name, before, after) of what an entry says was changed."""
    before, after = entry.before or {}, entry.after or {}
    return [(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]


TABLE = Table(
    row="portal/rows/audit_entry.html",
    key=("at", "id"),
    limit=50,
    prepare=lambda entry: (entry, _changes(entry)),
    filters=(
        Filter("actor", "By", lambda said, _: Q(actor=said)),
        Filter("action", "What", lambda said, _: Q(action__startswith=said)),
        Filter("target", "Of", lambda said, _: Q(target__startswith=said)),
        *days("at"),
    ),
    columns=(
        Column("at", "When", lambda row: row[0].at, ("at", "id")),
        Column("actor", "By", lambda row: row[0].actor),
        Column("action", "What", lambda row: row[0].action),
        Column("target", "Of", lambda row: row[0].target),
        Column("changes", "From → to", lambda row: [f"{name}: {was} → {now}" for name, was, now in row[1]]),
        Column("address", "From address", lambda row: row[0].address, shown=False),
        Column("request_id", "Request", lambda row: row[0].request_id, shown=False),
    ),
)
NOTHING = Empty("Nothing changed yet", "Whoever changes something here leaves a line.")


class AuditPage(Page):
    """Every change in this account, newest first."""

    title, template = "Audit log", "portal/pages/audit.html"
    permission = Permission.AUDIT

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(TABLE, self._rows(), "audit") if TABLE.exports(request) else super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {"table": TABLE.show(self.request, self._rows(), NOTHING)}

    def _rows(self) -> QuerySet[AuditEntry]:
        return AuditEntry.objects.filter(tenant=self.tenant)
