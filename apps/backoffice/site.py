"""The operators' admin: one site, on the public side only, for staff who are active."""

from collections.abc import Callable, Mapping
from typing import Any

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.urls import reverse
from unfold.sites import UnfoldAdminSite

#: The menu: heading → the pages under it as (title, model).
MENU: Mapping[str, tuple[tuple[str, str], ...]] = {
    "Customers": (
        ("Tenants", "accounts.tenant"),
        ("Subscriptions", "billing.subscription"),
        ("API keys", "api_keys.apikey"),
    ),
    "Money": (
        ("Invoices", "billing.invoice"),
        ("Credit notes", "billing.creditnote"),
        ("Payments", "billing.payment"),
        ("Refunds", "billing.refund"),
        ("Cards", "billing.paymentcard"),
        ("Webhook inbox", "billing.providerevent"),
        ("Credits", "billing.credit"),
        ("Coupons", "billing.coupon"),
        ("Redemptions", "billing.couponredemption"),
        ("Timelines", "billing.planspan"),
    ),
    "Usage": (("By day", "usage.usageday"), ("By hour", "usage.usagehour")),
    "Notifications": (
        ("Events", "notifications.event"),
        ("Deliveries", "notifications.delivery"),
        ("Webhooks", "notifications.webhookendpoint"),
    ),
    "People": (("Users", "accounts.user"), ("Memberships", "accounts.membership"), ("Groups", "auth.group")),
    "Security": (("Audit trail", "accounts.auditentry"),),
}

View = Callable[..., Any]
#: unfold's pages are drawn by Alpine, which evaluates their attributes, and style elements inline.
_as_unfold_needs: Callable[[View], View] = csp_replace(
    {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}
)


class PalisadeAdminSite(UnfoldAdminSite):
    """What our operators see: tenants, keys, usage."""

    site_header = site_title = "Palisade"
    index_title = "Operations"

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        return _as_unfold_needs(super().admin_view(view, cacheable))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        asked: View = _as_unfold_needs(super().login)
        return asked(request, extra_context)


class PalisadeAdminConfig(AdminConfig):
    default_site = "apps.backoffice.site.PalisadeAdminSite"


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """The menu as unfold draws it, without what this operator may not see."""
    return [
        {"title": heading, "separator": True, "items": items}
        for heading, pages in MENU.items()
        if (items := [_item(title, model) for title, model in pages if _may_view(request, model)])
    ]


def _item(title: str, model: str) -> dict[str, Any]:
    return {"title": title, "link": reverse(f"admin:{model.replace('.', '_')}_changelist")}


def _may_view(request: HttpRequest, model: str) -> bool:
    app, name = model.split(".")
    return request.user.has_perm(f"{app}.view_{name}")
