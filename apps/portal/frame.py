"""What the frame around every page says: whose portal this is, where one may go, live or test."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.accounts.models import Membership
from apps.accounts.tenancy import LOOKING_ON
from apps.portal import demo
from apps.portal.navigation import Line, menu_for
from apps.portal.roles import Permission, may
from apps.portal.tenancy import memberships_seen


class Frame:
    """Drawn by templates/portal/base.html, for whoever is logged in."""

    def __init__(self, request: Any) -> None:
        self.membership: Membership | None = request.membership or None
        self.livemode: bool = request.livemode
        self._request = request
        self.looking_on: bool = LOOKING_ON in request.session

    @property
    def memberships(self) -> list[Membership]:
        """To switch between."""
        return memberships_seen(self._request) if self._request.user.is_authenticated else []

    @property
    def menu(self) -> dict[str, list[Line]]:
        return menu_for(self.membership.role, self._request.path) if self.membership else {}

    @property
    def may(self) -> dict[str, bool]:
        """Permission → whether this person has it: `frame.may.KEYS` in a template."""
        role = self.membership.role if self.membership else None
        return {permission.name: bool(role and may(role, permission)) for permission in Permission}


def frame(request: HttpRequest) -> dict[str, Any]:
    """Template context: the frame, made when a template asks for it, and where the API is."""
    return {
        "frame": SimpleLazyObject(lambda: Frame(request)),
        "demo": settings.DEMO_MODE,
        "demo_login": _demo_login(request),
        "mails_shown": demo.shows_mails(request),
    }


def _demo_login(request: HttpRequest) -> tuple[str, str] | None:
    """Who may log in here without having signed up, and with which password."""
    return (demo.EMAIL, demo.PASSWORD) if demo.at_home(request) else None
