"""Security: how one logs in, where one is logged in, from where keys may call, what was changed."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.accounts.audit import record_audit
from apps.accounts.models import AuditEntry
from apps.api_keys.models import ApiKey
from apps.portal.page import Page
from apps.portal.roles import Permission

#: Of one's own account, on this page.
EVENTS_SHOWN = 10

Kind = Authenticator.Type


class SecurityPage(Page):
    """Everybody's own: password, second factors, sessions; and the company's networks and audit log."""

    title, template = "Security", "portal/pages/security.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        factors = list(Authenticator.objects.filter(user=self.request.user).order_by("created_at"))
        codes = next((one for one in factors if one.type == Kind.RECOVERY_CODES), None)
        events = AuditEntry.objects.filter(tenant=None, actor=self.actor)
        return {
            "has_password": self.request.user.has_usable_password(),
            "app": next((one for one in factors if one.type == Kind.TOTP), None),
            "passkeys": [one.wrap() for one in factors if one.type == Kind.WEBAUTHN],
            "codes_left": len(codes.wrap().get_unused_codes()) if codes else None,
            "sessions": self._sessions(),
            "here": self.request.session.session_key,
            "keys": list(ApiKey.objects.filter(tenant=self.tenant, revoked_at=None, livemode=self.livemode)),
            "events": [(entry, _in_words(entry)) for entry in events.order_by("-at", "-pk")[:EVENTS_SHOWN]],
            "may_audit": self.may(Permission.AUDIT),
        }

    def _sessions(self) -> list[UserSession]:
        """This one first, then the newest."""
        there = UserSession.objects.purge_and_list(self.request.user)
        here = self.request.session.session_key
        return sorted(there, key=lambda one: (one.session_key != here, -one.created_at.timestamp()))


class EndSession(Page):
    """Logging oneself out somewhere else, at once."""

    works_when_closed = True
    http_method_names = ["post"]

    def post(self, request: HttpRequest, session_id: int) -> HttpResponse:
        session = UserSession.objects.filter(pk=session_id, user=self.request.user).first()
        if session is None:
            raise Http404
        session.end()
        record_audit(
            tenant=None, actor=self.actor, action="user.session_ended", target=self.actor,
            before={"address": session.ip, "browser": session.user_agent}, now=self.now,
        )  # fmt: skip
        messages.success(request, f"The session at {session.ip} is over.")
        return redirect("security")


def _in_words(entry: AuditEntry) -> str:
    """`user.logged_in` as people say it: Logged in."""
    return entry.action.removeprefix("user.").replace("_", " ").capitalize()
