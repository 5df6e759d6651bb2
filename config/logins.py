"""Logging in to the portal and the admin: how often it may fail, the messages people see, the audit trail's entries.

Failures are counted in Postgres by django-axes; what is counted stands in RULES. A lock ends 15 minutes after the last
failure that was counted. While it holds no password is looked at and nothing is counted: going on trying prolongs
nothing. A name that strangers lock stays open to the addresses it has logged in from, so that they can't keep its owner
out. `manage.py axes_reset_username NAME`, `axes_reset_ip ADDRESS` and `axes_reset` end locks at once.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any, NamedTuple

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import F, Max, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from apps import addresses
from apps.accounts.audit import record_audit
from apps.accounts.models import User
from apps.accounts.passwords import TooManyLogins

Credentials = Mapping[str, Any] | None


class Rule(NamedTuple):
    """So many failures by what they have in common. `spares_known`: not for addresses the name has logged in from."""

    common: tuple[str, ...]
    failures: int
    spares_known: bool = False


RULES = (
    Rule(("username", "ip_address"), 5),  # one person's tries
    Rule(("ip_address",), 20),  # one address trying names
    Rule(("username",), 30, spares_known=True),  # many addresses trying one name
)
#: How long an address counts as known after a login from it.
KNOWN_FOR = timedelta(days=90)
#: What can't be anybody's name is counted as one name, and never written down: people type passwords there.
NO_NAME = "(no e-mail address)"


class Logins(AxesDatabaseHandler):
    """django-axes' handler with our rules; it keeps no header, query or form of those who log in."""

    def get_failures(self, request: HttpRequest, credentials: Credentials = None) -> int:
        """How many rules are used up."""
        return len(_used_up(request, credentials))

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
        request.axes_credentials = credentials
        if request.axes_locked_out:
            return
        self.clean_expired_user_attempts(request, credentials)
        _count(name_of(request, credentials), request.axes_ip_address)
        _audit(request, credentials, "user.login_failed")
        if self.get_failures(request, credentials):
            request.axes_locked_out = True
            _audit(request, credentials, "user.login_locked", until=try_again_at(request, credentials).isoformat())

    def user_logged_in(self, sender: Any, request: Any, user: AbstractBaseUser, **kwargs: Any) -> None:
        if getattr(request, "looks_on", False):  # an operator became somebody, or themselves again: nobody logged in
            return
        request.axes_user_agent = request.axes_http_accept = request.axes_path_info = ""
        super().user_logged_in(sender, request, user, **kwargs)
        AccessLog.objects.filter(attempt_time__lt=timezone.now() - KNOWN_FOR).delete()
        _audit(request, {"username": user.get_username()}, "user.logged_in")


class SayWhenBusy:
    """Middleware: when too many passwords wait to be checked, say so at once."""

    def __init__(self, respond: Callable[[HttpRequest], HttpResponse]) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._respond(request)

    def process_exception(self, request: HttpRequest, failure: Exception) -> HttpResponse | None:
        if not isinstance(failure, TooManyLogins):
            return None
        return _later(render(request, "portal/busy.html", status=503), 2)


def address_block(request: HttpRequest) -> str:
    """By what an address is counted: of IPv6 its /64, for one machine has all of it."""
    address = addresses.client_address(request.META, settings.TRUSTED_PROXIES)
    return str(ip_network(f"{address}/64", strict=False).network_address) if ":" in address else address


def name_of(request: HttpRequest, credentials: Credentials) -> str:
    """By what a name is counted."""
    message = credentials or {}
    typed = request.POST.get("username") or request.POST.get("login")  # the admin's form; the portal's
    value = str(message.get("username") or message.get("email") or typed or "").strip().lower()
    return value[:254] if "@" in value else NO_NAME


def try_again_at(request: HttpRequest, credentials: Credentials) -> datetime:
    """When no rule is used up any more."""
    last = [at for at in _used_up(request, credentials).values() if at is not None]
    return max(last, default=timezone.now()) + settings.AXES_COOLOFF_TIME


def locked_out(request: HttpRequest, answer: HttpResponse | None, credentials: Credentials) -> HttpResponse:
    """The message shown instead of the form."""
    until = try_again_at(request, credentials)
    seconds = max(1, math.ceil((until - timezone.now()).total_seconds()))
    context = {"until": until, "minutes": math.ceil(seconds / 60)}
    return _later(render(request, "portal/locked.html", context, status=429), seconds)


def _later(answer: HttpResponse, seconds: int) -> HttpResponse:
    answer["Retry-After"] = str(seconds)
    return answer


def _used_up(request: Any, credentials: Credentials) -> dict[Rule, datetime | None]:
    """The rules that are used up, and when they last counted something."""
    common = {"username": name_of(request, credentials), "ip_address": request.axes_ip_address}
    recent = AccessAttempt.objects.filter(attempt_time__gt=timezone.now() - settings.AXES_COOLOFF_TIME)
    found = {}
    for rule in RULES:
        counted = recent.filter(**{name: common[name] for name in rule.common})
        message = counted.aggregate(failures=Sum("failures_since_start"), last=Max("attempt_time"))
        if (message["failures"] or 0) >= rule.failures and not (rule.spares_known and _known(common)):
            found[rule] = message["last"]
    return found


def _known(common: Mapping[str, str]) -> bool:
    """Whether the name has logged in from there."""
    return AccessLog.objects.filter(**common, attempt_time__gt=timezone.now() - KNOWN_FOR).exists()


def _count(name: str, address: str) -> None:
    row, _ = AccessAttempt.objects.get_or_create(
        username=name, ip_address=address, user_agent="", defaults={"failures_since_start": 0}
    )
    AccessAttempt.objects.filter(pk=row.pk).update(
        failures_since_start=F("failures_since_start") + 1, attempt_time=timezone.now()
    )


def _audit(request: HttpRequest, credentials: Credentials, action: str, **more: str) -> None:
    """Somebody who has an account is named; what else was typed is nobody's name."""
    name = name_of(request, credentials)
    known = name != NO_NAME and User.objects.filter(email=name).exists()
    address = addresses.client_address(request.META, settings.TRUSTED_PROXIES)
    record_audit(
        tenant=None,
        actor=name if known else "somebody unknown",
        action=action,
        target=address,
        after={"address": address, **more},
        now=timezone.now(),
    )
