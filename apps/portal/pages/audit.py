"""The audit log: who changed what."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase

from apps.accounts.models import AuditEntry
from apps.portal.filters import Filter, days
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table


class Change(NamedTuple):
    """What an entry says of one thing: from what to what; "" where it tells of one of the two alone."""

    name: str
    before: str
    after: str


def _changes(entry: AuditEntry) -> list[Change]:
    """What an entry says was changed."""
    before, after = entry.before or {}, entry.after or {}
    return [Change(name, _said(before, name), _said(after, name)) for name in sorted({*before, *after})]


def _said(members: Mapping[str, Any], name: str) -> str:
    """A member in words; "" when it is not told of."""
    if name not in members:
        return ""
    value = members[name]
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


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
        Column("changes", "From → to", lambda row: [f"{one.name}: {one.before} → {one.after}" for one in row[1]]),
        Column("address", "From address", lambda row: row[0].address, shown=False),
        Column("request_id", "Request", lambda row: row[0].request_id, shown=False),
    ),
)
NOTHING = Empty("No changes yet", "Every change to your account is listed here.")


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
