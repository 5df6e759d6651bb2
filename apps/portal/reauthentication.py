"""Who is it that sits here? What can do harm asks for the password again, a quarter of an hour after it was given."""

from datetime import datetime, timedelta

from allauth.account.app_settings import REAUTHENTICATION_TIMEOUT
from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from allauth.usersessions.models import UserSession
from django.http import HttpRequest

#: A password, passkey or second factor counts for so long.
COUNTS_FOR = timedelta(seconds=REAUTHENTICATION_TIMEOUT)


def recently_identified(request: HttpRequest, now: datetime) -> bool:
    """Whether this session was begun a moment ago, or its person has shown since then who they are."""
    begun = UserSession.objects.filter(session_key=request.session.session_key, created_at__gt=now - COUNTS_FOR)
    return did_recently_reauthenticate(request) or begun.exists()
