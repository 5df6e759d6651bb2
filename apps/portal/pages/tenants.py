"""Whose portal one looks at: switching companies and modes, adding a company, having none."""

from typing import cast

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import User
from apps.portal import tenancy
from apps.portal.accounts import CompanyField, sign_up_company


class CompanyForm(forms.Form):
    """A further company of somebody who has an account."""

    company = CompanyField()


@login_required
@require_POST
def mode(request: HttpRequest) -> HttpResponse:
    """Look at live or at test data from now on."""
    request.session[tenancy.LIVEMODE] = request.POST.get("livemode") == "1"
    return redirect(_back(request))


@login_required
@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """Look at another company's portal."""
    value = request.POST.get("tenant", "")
    if not (value.isdecimal() and len(value) < 19 and tenancy.choose(request, cast(User, request.user), int(value))):
        raise PermissionDenied("You are no member there.")
    return redirect("dashboard")


@login_required
@require_http_methods(["GET", "POST"])
def new_tenant(request: HttpRequest) -> HttpResponse:
    """Add a company of one's own, on the Free plan."""
    form = CompanyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            tenant = sign_up_company(form.cleaned_data["company"], cast(User, request.user), timezone.now())
        request.session[tenancy.TENANT] = tenant.pk
        return redirect("start")
    return render(request, "portal/pages/new_tenant.html", {"title": "Add a company", "form": form})


@login_required
def no_tenant(request: HttpRequest) -> HttpResponse:
    """What somebody sees who belongs to no company (any more)."""
    return render(request, "portal/pages/no_tenant.html", {"title": "No company yet"})


def _back(request: HttpRequest) -> str:
    """The page one came from, when it is one of ours; else the overview."""
    value = request.POST.get("next", "")
    return value if url_has_allowed_host_and_scheme(value, None) and value.startswith("/") else "/dashboard/"
