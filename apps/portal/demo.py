"""The demo's login: for trying out, in demo mode, for browsers on this very machine and nobody else."""

from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from apps import addresses

EMAIL, PASSWORD = "demo@example.com", "demo123"


def at_home(request: HttpRequest) -> bool:
    """Whether this copy is in demo mode and the browser runs on the same machine, with nobody in between."""
    address = addresses.client_address(request.META, settings.TRUSTED_PROXIES)
    inside = addresses.inside(address, addresses.LOOPBACK)
    return settings.DEMO_MODE and inside and not addresses.was_forwarded(request.META)


def shows_mails(request: HttpRequest) -> bool:
    """Whether this browser may read what this copy would have mailed: at home, where mails become files."""
    return settings.EMAIL_BACKEND.endswith("filebased.EmailBackend") and at_home(request)


class DemoAtHomeOnly:
    """Authentication backend, asked before those that look at passwords: the demo's is known to everybody.

    It lets nobody in. A copy that once was in demo mode still has the account; from elsewhere it can't be used.
    """

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        names = (credentials.get("email"), credentials.get("username"))
        named = any(str(name).strip().lower() == EMAIL for name in names if name)
        if named and (request is None or not at_home(request)):
            raise PermissionDenied
