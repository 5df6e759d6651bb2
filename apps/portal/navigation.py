"""The portal's menu, by what people come to do. A new capability adds its line here. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from apps.portal.roles import Permission, may


class Entry(NamedTuple):
    """A line of the menu: where it leads, what it is called, who sees it."""

    path: str
    name: str
    permission: Permission = Permission.READ


MENU: Mapping[str, tuple[Entry, ...]] = {
    "": (Entry("/start/", "First steps"), Entry("/dashboard/", "Overview")),
    "Decide": (
        Entry("/decisions/", "Decisions"),
        Entry("/cases/", "Review"),
        Entry("/analytics/", "Analytics"),
        Entry("/alerts/", "Alerts"),
        Entry("/batches/", "Batches"),
        Entry("/labels/", "Labels"),
        Entry("/quality/", "Data quality"),
        Entry("/try/", "Try it out", Permission.SCORE),
        Entry("/rules/", "Rules"),
        Entry("/policy/", "Policy"),
        Entry("/lists/", "Lists"),
        Entry("/models/", "Models"),
        Entry("/own-models/", "Own models"),
    ),
    "Connect": (Entry("/keys/", "API keys"), Entry("/webhooks/", "Webhooks")),
    "Pay": (
        Entry("/usage/", "Usage and cost"),
        Entry("/plan/", "Plan", Permission.INVOICES),
        Entry("/invoices/", "Invoices", Permission.INVOICES),
        Entry("/billing/", "Billing details", Permission.INVOICES),
        Entry("/sla/", "Availability"),
    ),
    "Manage": (
        Entry("/team/", "Team"),
        Entry("/security/", "Security"),
        Entry("/audit/", "Audit log", Permission.AUDIT),
        Entry("/data/", "Data"),
        Entry("/closing/", "Leave or close"),
    ),
    "Help": (Entry("/help/", "Guides and API"), Entry("/support/", "Support")),
}


class Line(NamedTuple):
    """An entry as it is drawn."""

    path: str
    name: str
    here: bool


def menu_for(role: str, path: str) -> dict[str, list[Line]]:
    """The menu as somebody of that role sees it on the page at `path`; groups without a line are left out."""
    drawn = {
        group: [
            Line(entry.path, entry.name, path.startswith(entry.path))
            for entry in entries
            if may(role, entry.permission)
        ]
        for group, entries in MENU.items()
    }
    return {group: lines for group, lines in drawn.items() if lines}
