"""The audit log: who changed what."""

from typing import Any

from apps.accounts.models import AuditEntry
from apps.portal.page import Page
from apps.portal.roles import Permission

KEY = ("at", "id")
A_PAGE = 50


class AuditPage(Page):
    """Every change in this account, newest first."""

    title, template = "Audit log", "portal/pages/audit.html"
    permission = Permission.AUDIT

    def context(self, **kwargs: Any) -> dict[str, Any]:
        rows, asked = AuditEntry.objects.filter(tenant=self.tenant), self.request.GET.get("actor", "").strip()
        page = self.cut(rows.filter(actor=asked) if asked else rows, KEY, A_PAGE)
        return {
            "entries": [(entry, _changes(entry)) for entry in page.rows],
            "next_cursor": page.next_cursor,
            "actor": asked,
        }


def _changes(entry: AuditEntry) -> list[tuple[str, Any, Any]]:
    """(name, before, after) of what an entry says was changed."""
    before, after = entry.before or {}, entry.after or {}
    return [(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]
