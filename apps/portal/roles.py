"""Who may do what in a tenant's portal: one table, asked by every page and drawn on the team page. Pure.

A page or action names the permission it needs; a role has all permissions in its row. An owner has all there are.
"""

from collections.abc import Mapping
from enum import StrEnum

from apps.accounts.models import Membership

Role = Membership.Role


class Permission(StrEnum):
    """What can be done, in the words of the team page."""

    READ = "Read decisions, usage and settings"
    SCORE = "Try transactions out"
    EXPORT = "Export decisions"
    BATCHES = "Score files"
    REVIEW = "Work on review cases"
    QUEUES = "Set review queues, assign cases, settle disputes"
    LABELS = "Say what became of transactions"
    LISTS = "Change lists"
    KEYS = "Make, rotate and revoke API keys"
    ALERTS = "Acknowledge and resolve alerts"
    ALERT_RULES = "Set alert rules and chat channels"
    WEBHOOKS = "Set up webhooks"
    POLICY = "Change the policy"
    DATA = "Remove a person's data, set how long data is kept"
    TEAM = "Invite people and change their roles"
    AUDIT = "Read the audit log"
    INVOICES = "Read invoices"
    BILLING = "Change plan, payment method, budgets"
    TENANT = "Rename or close the account"


_VIEWER = frozenset({Permission.READ})
_ANALYST = _VIEWER | {
    Permission.SCORE,
    Permission.EXPORT,
    Permission.BATCHES,
    Permission.LABELS,
    Permission.LISTS,
    Permission.REVIEW,
    Permission.ALERTS,
}
_ADMIN = _ANALYST | {
    Permission.KEYS,
    Permission.QUEUES,
    Permission.ALERT_RULES,
    Permission.WEBHOOKS,
    Permission.POLICY,
    Permission.DATA,
    Permission.TEAM,
    Permission.AUDIT,
    Permission.INVOICES,
}

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ADMIN: _ADMIN,
    Role.ANALYST: _ANALYST,
    Role.VIEWER: _VIEWER,
}
#: Whom a role may make or change: nobody above itself.
GRANTS: Mapping[Role, frozenset[Role]] = {
    Role.OWNER: frozenset(Role),
    Role.ADMIN: frozenset({Role.ADMIN, Role.ANALYST, Role.VIEWER}),
    Role.ANALYST: frozenset(),
    Role.VIEWER: frozenset(),
}


def may(role: str, permission: Permission) -> bool:
    """Whether somebody of that role may do it."""
    return permission in PERMISSIONS[Role(role)]
