"""The portal's first page."""

import os

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from apps.billing.rating.plans import CURRENT, PLANS


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """What Palisade is, its plans and where to begin."""
    if request.user.is_authenticated:
        return redirect("dashboard")
    host, _ = split_domain_port(request.get_host())
    port = os.environ.get("PALISADE_API_PORT", "8000")
    context = {
        "api": settings.API_URL if settings.PUBLIC_HOSTS else f"{request.scheme}://{host}:{port}",
        "plans": [PLANS[code] for code in CURRENT.values()],
        "demo": settings.DEMO_MODE,
    }
    return render(request, "portal/landing.html", context)
