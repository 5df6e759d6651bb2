"""What every page of the portal is: somebody who is logged in, in a tenant, allowed to be here; a template; a place in
the navigation.

A page of a new capability is a subclass beside the others in `pages/`, a line in `urls.py` and, when it has a place in
the menu, one in `navigation.py`. See the recipe in README.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from allauth.core.exceptions import ReauthenticationRequired
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views import View

from apps import paging
from apps.accounts.models import Membership, Tenant, User
from apps.errors import Problem
from apps.one_look import one_look
from apps.portal import kept_forms
from apps.portal.reauthentication import recently_identified
from apps.portal.roles import Permission, may
from apps.portal.table import Rows, Table, Within

#: The reader's time zone, as their browser says it (portal.js).
ZONE = "zone"
Row = TypeVar("Row", bound=Model)
READS = ("GET", "HEAD", "OPTIONS")
#: Rows of a list's page.
A_PAGE = 25


class PortalRequest(HttpRequest):
    """A request as it passed `CurrentTenant`."""

    user: User
    membership: Membership | None
    livemode: bool
    htmx: Any


class InOtherMode(Exception):
    """What was asked for is this account's, but of the other mode. `what`: how it is called there."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Page(View):
    """A page of the portal. `permission`: to see it; `changes`: to send its forms. `sensitive`: they can do harm, and
    ask for the password again when that was given some time ago. `bills`: it tells of money, and is the same in both
    modes: test calls cost nothing."""

    title: ClassVar[str] = ""
    template: ClassVar[str] = ""
    permission: ClassVar[Permission] = Permission.READ
    changes: ClassVar[Permission | None] = None
    sensitive: ClassVar[bool] = False
    works_when_closed: ClassVar[bool] = False
    bills: ClassVar[bool] = False

    request: PortalRequest
    membership: Membership

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Let in who may be here. Time enters here, once a request."""
        if not request.user.is_authenticated:
            return redirect_to_login(reverse("resume") if kept_forms.keep(request) else request.get_full_path())
        if request.method not in READS:
            return self.let_in(request, *args, **kwargs)
        with one_look():
            return self.let_in(request, *args, **kwargs)

    def let_in(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The page of a member; others are led elsewhere."""
        membership = cast(PortalRequest, request).membership
        if not membership:
            return redirect("no_tenant")
        self.membership, self.now = membership, timezone.now()
        self.check(request)
        with timezone.override(zone_of(request)):
            try:
                return super().dispatch(request, *args, **kwargs)
            except InOtherMode as there:
                return self.page("portal/other_mode.html", 404, title=f"This is a {there.what}")

    def check(self, request: HttpRequest) -> None:
        """Raises `PermissionDenied` by role, `ReauthenticationRequired` where the password is asked for again."""
        reads = request.method in READS
        needed = self.permission if reads else (self.changes or self.permission)
        if not may(self.membership.role, needed):
            raise PermissionDenied(f"Your role, {self.membership.get_role_display().lower()}, can't do this.")
        if not reads and self.tenant.closed_at is not None and not self.works_when_closed:
            raise PermissionDenied("The account is closed: an owner can undo that under Leave or close.")
        if not reads and self.is_sensitive(request) and not recently_identified(request, self.now):
            raise ReauthenticationRequired

    def is_sensitive(self, request: HttpRequest) -> bool:
        """Whether what is sent can do harm."""
        return self.sensitive

    @property
    def tenant(self) -> Tenant:
        return self.membership.tenant

    @property
    def livemode(self) -> bool:
        return self.request.livemode

    @property
    def actor(self) -> str:
        """Who does this, as the audit trail says it."""
        return self.request.user.email

    def may(self, permission: Permission) -> bool:
        return may(self.membership.role, permission)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.page(**self.context(**kwargs))

    def context(self, **kwargs: Any) -> dict[str, Any]:
        """What the template says beyond the frame."""
        return {}

    def page(self, template: str = "", status: int = 200, **context: Any) -> HttpResponse:
        """The template in the frame."""
        own = {
            "title": self.title,
            "may_change": self.may(self.changes or self.permission),
            "livemode": self.livemode,
            "bills": self.bills,
            "now": self.now,
        }
        return render(self.request, template or self.template, {**own, **context}, status=status)

    def exported(self, table: Table, rows: Rows, called: str, within: Within | None = None) -> StreamingHttpResponse:
        """The table as a file, when it `exports`. Raises `PermissionDenied` for who may take none along."""
        if not self.may(Permission.EXPORT):
            raise PermissionDenied("Your role can't export.")
        return table.export(self.request, rows, called, within)

    def cut(self, rows: QuerySet[Row], key: Sequence[str], limit: int = A_PAGE) -> paging.Page[Row]:
        """The page of a list that is asked for; the first one when its cursor is none of ours."""
        try:
            return paging.page_of(rows, key, self.request.GET.get("cursor") or None, limit)
        except Problem:
            return paging.page_of(rows, key, None, limit)


def zone_of(request: HttpRequest) -> ZoneInfo:
    """The reader's zone; UTC until a browser has said one that exists."""
    try:
        return ZoneInfo(request.COOKIES.get(ZONE, "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones
        return ZoneInfo("UTC")
