"""Going: taking everything along, leaving a company, closing it and undoing that, deleting one's account."""

from typing import Any, cast

from allauth.core.exceptions import ReauthenticationRequired
from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.api_keys.services import get_gate
from apps.offboarding import closing, exports, leaving
from apps.offboarding.models import GRACE, KEPT, Closure, Export
from apps.portal.page import Page
from apps.portal.reauthentication import recently_identified
from apps.portal.roles import Permission

#: Exports on the page.
SHOWN = 5


class CloseForm(forms.Form):
    """Typing the company's name: nobody closes it by one click."""

    name = forms.CharField(max_length=200, label="The company's name", help_text="Type it to close the account.")

    def __init__(self, data: Any, expected: str) -> None:
        super().__init__(data)
        self._expected = expected

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        if name != self._expected.strip():
            raise forms.ValidationError(f"That is not “{self._expected}”.")
        return name


class ClosingPage(Page):
    """Everything, as a file; leaving; closing and undoing it."""

    title, template = "Leave or close", "portal/pages/closing.html"
    changes, sensitive, works_when_closed = Permission.TENANT, True, True

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return {
            "closure": Closure.objects.filter(tenant=self.tenant).first(),
            "form": CloseForm(None, self.tenant.name),
            "grace_days": GRACE.days,
            "kept_days": KEPT.days,
            **exports_of(self),
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        """Close the account, or undo that."""
        if request.POST.get("do") == "undo":
            closing.reopen_tenant(tenant=self.tenant, gate=get_gate(), now=self.now, actor=self.actor)
            messages.success(request, "The account is open again: keys work, and the previous plan is back.")
            return redirect("closing")
        form = CloseForm(request.POST, self.tenant.name)
        if not form.is_valid():
            return self.page(**self.context() | {"form": form}, status=422)
        closing.close_tenant(tenant=self.tenant, gate=get_gate(), now=self.now, actor=self.actor)
        messages.success(request, f"The account is closed. For {GRACE.days} days you can undo it here.")
        return redirect("closing")


class AskExport(Page):
    """An export, begun in the background."""

    permission, works_when_closed = Permission.TENANT, True
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        exports.ask_for_export(tenant=self.tenant, now=self.now, actor=self.actor)
        return redirect("closing")


class ExportProgress(Page):
    """The part of the page that asks, every two seconds, how far an export is."""

    template, permission = "portal/parts/exports.html", Permission.TENANT

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return exports_of(self)


class FetchExport(Page):
    """An export's file. It has everything: the password is asked for again."""

    permission = Permission.TENANT
    http_method_names = ["get"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        ready = {"state": Export.State.READY, "finished_at__gt": self.now - KEPT}
        found = Export.objects.filter(pk=kwargs["export_id"], tenant=self.tenant, **ready).first()
        if found is None:
            raise Http404
        if not recently_identified(request, self.now):
            raise ReauthenticationRequired
        file = exports.fetched(export=found, now=self.now, actor=self.actor)
        name = f"palisade-{self.tenant.slug}-{found.asked_at:%Y-%m-%d}.zip"
        return FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")


def exports_of(page: Page) -> dict[str, Any]:
    """The newest exports, for those who may have them."""
    if not page.may(Permission.TENANT):
        return {"exports": []}
    shown = list(Export.objects.filter(tenant=page.tenant)[:SHOWN])
    under_way = any(one.state in (Export.State.WAITING, Export.State.RUNNING) for one in shown)
    return {"exports": shown, "under_way": under_way}


@login_required
@require_http_methods(["GET", "POST"])
def delete_account(request: HttpRequest) -> HttpResponse:
    """One's own account, for good: whoever is a company's only owner hands over, or closes it, first."""
    user, now = cast(User, request.user), timezone.now()
    alone = leaving.sole_ownerships(user)
    if request.method == "POST" and not alone:
        if not recently_identified(request, now):
            raise ReauthenticationRequired
        leaving.delete_user(user=user, now=now)
        logout(request)
        return redirect("landing")
    context = {"title": "Delete your account", "alone": alone}
    return render(request, "portal/pages/delete_account.html", context, status=409 if request.method == "POST" else 200)
