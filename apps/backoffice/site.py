"""The operators' admin: one site, on the public side only, for staff who are active."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.apps import apps
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from unfold.sites import UnfoldAdminSite

#: The menu: heading → the pages under it by their models. What a page is called says its model alone.
MENU: Mapping[str, tuple[str, ...]] = {
    "Customers": ("accounts.tenant", "billing.subscription", "api_keys.apikey"),
    "Money": (
        "billing.invoice",
        "billing.creditnote",
        "billing.payment",
        "billing.refund",
        "billing.paymentcard",
        "billing.providerevent",
        "billing.credit",
        "billing.coupon",
        "billing.couponredemption",
        "billing.planspan",
    ),
    "Usage": ("usage.usageday", "usage.usagehour"),
    "Notifications": ("notifications.event", "notifications.delivery", "notifications.webhookendpoint"),
    "Availability": (
        "sla.incident",
        "sla.maintenance",
        "sla.partstate",
        "sla.burnalert",
        "sla.slastatement",
    ),
    "Support": ("support.supportrequest",),
    "People": ("accounts.user", "accounts.membership", "auth.group"),
    "Security": ("accounts.auditentry",),
    "Installation": ("operations.backup",),
}

#: Pages that are no list of rows: heading → title, its address by name, whose viewers may see it.
OTHER_PAGES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "Installation": (("What is wrong here", "admin:doctor", "operations.backup"),),
}

#: Applications that bring pages of their own: what proves who a person is, nobody reads.
OTHERS = ("account", "mfa", "socialaccount", "usersessions")

View = Callable[..., Any]
#: unfold's pages are drawn by Alpine, which evaluates their attributes, and style elements inline.
_as_unfold_needs: Callable[[View], View] = csp_replace(
    {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}
)


class PalisadeAdminSite(UnfoldAdminSite):
    """What our operators see: tenants, keys, usage."""

    site_header = site_title = "Palisade"
    index_title = "What needs a person"

    def register(self, model_or_iterable: Any, *arguments: Any, **options: Any) -> None:
        """Give models their pages, but not those in `OTHERS`."""
        models = model_or_iterable if isinstance(model_or_iterable, Iterable) else [model_or_iterable]
        ours = [model for model in models if model._meta.app_label not in OTHERS]
        super().register(ours, *arguments, **options)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The front page: what needs a person, how the business goes, then all pages."""
        from apps.backoffice import attention, figures  # this file is read before there are models

        now = timezone.now()
        shown: dict[str, Any] = {"concerns": [one for one in attention.concerns(now) if _may_view(request, one.model)]}
        if _may_view(request, "billing.invoice"):
            shown |= {"figures": figures.figures(now), "margins": figures.margins(now)}
        return super().index(request, shown | (extra_context or {}))

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
        if (items := [*_others(request, heading), *(_item(model) for model in pages if _may_view(request, model))])
    ]


def _others(request: HttpRequest, heading: str) -> Iterator[dict[str, Any]]:
    for title, name, model in OTHER_PAGES.get(heading, ()):
        if _may_view(request, model):
            yield {"title": title, "link": reverse(name)}


def _item(model: str) -> dict[str, Any]:
    title = capfirst(apps.get_model(model)._meta.verbose_name_plural)
    return {"title": title, "link": reverse(f"admin:{model.replace('.', '_')}_changelist")}


def _may_view(request: HttpRequest, model: str) -> bool:
    app, name = model.split(".")
    return request.user.has_perm(f"{app}.view_{name}")
