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
    "Monitor": (
        Entry("/decisions/", "Decisions"),
        Entry("/cases/", "Review"),
        Entry("/alerts/", "Alerts"),
        Entry("/analytics/", "Analytics"),
        Entry("/quality/", "Data quality"),
    ),
    "Decide": (
        Entry("/rules/", "Rules"),
        Entry("/aggregates/", "Aggregates"),
        Entry("/lists/", "Lists"),
        Entry("/policy/", "Policy"),
        Entry("/policy/simulate/", "Simulate"),
        Entry("/try/", "Try it out", Permission.SCORE),
        Entry("/models/", "Models"),
        Entry("/own-models/", "Own models"),
    ),
    "Files": (Entry("/batches/", "Batches"), Entry("/labels/", "Labels")),
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
        Entry("/data/", "Data retention"),
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
    paths = [entry.path for entries in MENU.values() for entry in entries if path.startswith(entry.path)]
    here = max(paths, key=len, default="")
    drawn = {
        group: [Line(entry.path, entry.name, entry.path == here) for entry in entries if may(role, entry.permission)]
        for group, entries in MENU.items()
    }
    return {group: lines for group, lines in drawn.items() if lines}
