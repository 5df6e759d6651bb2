"""For which tenant, and in which mode, somebody looks at the portal.

The session remembers both; a membership is looked up anew at every request, so that whoever was removed is out at
once, and a session never leads into a tenant without one.
"""

from collections.abc import Callable
from typing import cast

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from apps.accounts.models import Membership, User
from apps.accounts.tenancy import LOOKING_ON
from apps.log_context import ANSWERING
from apps.one_look import asked_once

TENANT, LIVEMODE = "tenant", "livemode"


class CurrentTenant:
    """Middleware: `request.membership` (None without one) and `request.livemode`."""

    def __init__(self, respond: Callable[[HttpRequest], HttpResponse]) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.membership = SimpleLazyObject(lambda: membership_of(request))  # type: ignore[attr-defined]
        request.livemode = bool(request.session.get(LIVEMODE, False))  # type: ignore[attr-defined]
        return self._respond(request)


def membership_of(request: HttpRequest) -> Membership | None:
    """The membership in the tenant that was chosen, else in the one joined first."""
    if not request.user.is_authenticated:
        return None
    memberships = memberships_seen(request)
    chosen = request.session.get(TENANT)
    found = next(
        (membership for membership in memberships if membership.tenant_id == chosen),
        memberships[0] if memberships else None,
    )
    if found is not None:
        ANSWERING.set(ANSWERING.get()._replace(tenant=found.tenant.schema_name))
    return found


def memberships_seen(request: HttpRequest) -> list[Membership]:
    """The memberships to choose from: an operator who looks on sees the one tenant they gave a reason for."""
    alone = request.session.get(LOOKING_ON, {}).get("tenant")
    return [one for one in memberships_of(cast(User, request.user)) if alone in (None, one.tenant_id)]


@asked_once
def memberships_of(user: User) -> "list[Membership]":
    """Somebody's memberships with their tenants, the oldest first."""
    return list(Membership.objects.filter(user=user).select_related("tenant").order_by("pk"))


def choose(request: HttpRequest, user: User, tenant_id: int) -> bool:
    """Look at another tenant from now on; False when the user has no membership there."""
    if not Membership.objects.filter(user=user, tenant_id=tenant_id).exists():
        return False
    request.session[TENANT] = tenant_id
    return True
