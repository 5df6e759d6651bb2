"""Forms that were sent when somebody first had to say who they are: kept in the session, and sent on afterwards.

allauth sends such a form on inside its own page, whose address is then not the form's: what that page shows, sends to
the wrong place. Here the browser sends it again itself.

    form ─► kept ─► password, or login ─► /resume/ ─► the same form, to the same address
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

KEY = "kept_form"
#: Bytes of a form that is kept; a larger one has to be filled in again.
LARGEST = 100_000
#: So long a form waits for its sender.
SECONDS = 1_800.0
TOKEN = "csrfmiddlewaretoken"  # noqa: S105 - a field's name


class Kept(NamedTuple):
    """A form: where to, its fields, and who sent it (None: nobody was logged in)."""

    path: str
    fields: list[tuple[str, str]]
    sender: int | None


class KeptForms:
    """Middleware, within allauth's: a form that asks for the password is kept."""

    def __init__(self, respond: Callable[[HttpRequest], HttpResponse]) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._respond(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The way to the password, and from there back to the form."""
        if not (isinstance(exception, ReauthenticationRequired) and request.user.is_authenticated and keep(request)):
            return None
        methods = get_adapter().get_reauthentication_methods(request.user)
        if not methods:
            raise PermissionDenied
        return HttpResponseRedirect(f"{methods[0]['url']}?{urlencode({'next': reverse('resume')})}")


def keep(request: HttpRequest) -> bool:
    """Keep what was sent, if it is a form, and not too large for a session."""
    fields = [(name, value) for name, values in request.POST.lists() for value in map(str, values) if name != TOKEN]
    if request.method != "POST" or request.FILES or sum(len(name) + len(value) for name, value in fields) > LARGEST:
        return False
    path, until = request.get_full_path(), time.time() + SECONDS
    request.session[KEY] = {"path": path, "fields": fields, "sender": request.user.pk, "until": until}
    return True


def taken(request: HttpRequest) -> Kept | None:
    """What was kept, which it is then no longer; None when nothing was, too long ago, or for somebody else."""
    kept: dict[str, Any] | None = request.session.pop(KEY, None)
    if kept is None or kept["until"] < time.time() or kept["sender"] not in (None, request.user.pk):
        return None
    return Kept(kept["path"], [(name, value) for name, value in kept["fields"]], kept["sender"])


@login_required
@require_safe
def resume(request: HttpRequest) -> HttpResponse:
    """The form that was kept, sent on by itself; at a click where nobody was logged in when it was sent."""
    kept = taken(request)
    if kept is None:
        return redirect("dashboard")
    return render(request, "portal/pages/resume.html", {"title": "Go on where you were", "kept": kept})
