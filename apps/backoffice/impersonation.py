"""Looking on: an operator sees a customer's portal as one of its people does, says why, and can change nothing.

django-hijack swaps the session's person. Around it: one company alone, an hour at most, a banner on every page, no
form of any page; and a line of the company's audit trail at the beginning and at the end, in the operator's name.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from django import forms
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from hijack.views import AcquireUserView, ReleaseUserView
from unfold.widgets import UnfoldAdminSelectWidget

from apps.accounts.audit import record_audit
from apps.accounts.models import Membership, Tenant, User
from apps.accounts.tenancy import LOOKING_ON
from apps.backoffice.confirmed import ReasonForm

#: It ends by itself after so long.
LONGEST = timedelta(hours=1)
#: What may be sent while looking on, by the names of addresses: the end of it, and whether live or test is looked at.
MAY_SEND = ("stop_looking_on", "mode")


def may_look_on(*, hijacker: User, hijacked: User) -> bool:
    """Whether an operator may look on as somebody: as customers alone, never as another operator."""
    operates = hijacker.is_staff and hijacker.is_active and hijacker.has_perm("accounts.change_tenant")
    return bool(operates and hijacked.is_active and not hijacked.is_staff and not hijacked.is_superuser)


class LookOnForm(ReasonForm):
    """As whom, and why."""

    user_pk = forms.TypedChoiceField(label="As", coerce=int, widget=UnfoldAdminSelectWidget)
    field_order = ("user_pk", "reason")

    def __init__(self, data: Any, tenant: Tenant) -> None:
        super().__init__(data)
        people = Membership.objects.filter(tenant=tenant, user__is_active=True, user__is_staff=False)
        shown = people.select_related("user").order_by("pk")
        choices = [(one.user_id, f"{one.user.email}, {one.get_role_display().lower()}") for one in shown]
        self.fields["user_pk"].choices = choices  # type: ignore[attr-defined]


class _Acquire(AcquireUserView):
    success_url = "/dashboard/"


def begin(request: HttpRequest, tenant: Tenant, form: LookOnForm) -> HttpResponse:
    """Swap the person, bound to this company. Raises `PermissionDenied`."""
    operator, now = cast(User, request.user).email, timezone.now()
    request.looks_on = True  # type: ignore[attr-defined]  # nobody logs in: config/logins.py
    answer = cast(HttpResponse, _Acquire.as_view()(request))
    request.session[LOOKING_ON] = {"tenant": tenant.pk, "operator": operator, "begun": now.isoformat()}
    email = User.objects.get(pk=form.cleaned_data["user_pk"]).email
    after = {"as": email, "reason": form.cleaned_data["reason"]}
    record_audit(tenant=tenant, actor=operator, action="impersonation.begun", target=email, after=after, now=now)
    return answer


class StopLookingOn(ReleaseUserView):
    """Back to oneself."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        tenant_id = _record_end(request)
        request.looks_on = True  # type: ignore[attr-defined]
        super().post(request, *args, **kwargs)
        return redirect(reverse("admin:accounts_tenant_change", args=[tenant_id]))


class LookingOn:
    """Middleware: who looks on changes nothing, and not for longer than an hour."""

    def __init__(self, respond: Callable[[HttpRequest], HttpResponse]) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        looking = request.session.get(LOOKING_ON)
        begun = parse_datetime(looking["begun"]) if looking else None
        if begun is not None and timezone.now() - begun > LONGEST:
            _record_end(request)
            logout(request)
            return HttpResponseRedirect(reverse("admin:login"))
        return self._respond(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        sends = request.method not in ("GET", "HEAD", "OPTIONS")
        name = request.resolver_match.url_name if request.resolver_match else ""
        if sends and LOOKING_ON in request.session and name not in MAY_SEND:
            raise PermissionDenied("You are looking on: nothing can be changed.")


def _record_end(request: HttpRequest) -> int:
    """The line of the end; the company's id."""
    looking = request.session[LOOKING_ON]
    record_audit(
        tenant=Tenant.objects.get(pk=looking["tenant"]),
        actor=looking["operator"],
        action="impersonation.ended",
        target=cast(User, request.user).email,
        now=timezone.now(),
    )
    return int(looking["tenant"])
