"""Where Django looks for operators' pages: all of them, each in its file."""

from apps.backoffice import (
    billing,
    coupons,
    customers,
    invoices,
    keys,
    notifications,
    operations,
    papers,
    payments,
    people,
    sla,
    support,
)

__all__ = [
    "billing",
    "coupons",
    "customers",
    "invoices",
    "keys",
    "notifications",
    "operations",
    "papers",
    "payments",
    "people",
    "sla",
    "support",
]
