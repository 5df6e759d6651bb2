"""The portal's application: Django as it is, but for files that were asked for before."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")
# A connection a thread, kept: a new one reads Postgres' catalogues anew, a third of a page's time.
os.environ.setdefault("PALISADE_CONNECTION_SECONDS", "60")

import django

django.setup(set_prefix=False)

import re
from pathlib import Path

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.views import redirect_to_login
from django.contrib.sessions.backends.db import SessionStore
from django.db import DatabaseError, close_old_connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.batches.services import MOST_BYTES
from apps.errors import Problem
from apps.scoring.lists import importing
from config.serving.application import Application
from config.serving.kept_files import KeptFiles
from config.serving.limits import MEGABYTE

#: Where files are uploaded, and how large each may be: batches, and lists' items.
UPLOADS = ((re.compile("/batches/"), MOST_BYTES), (re.compile("/lists/[^/]+/"), importing.MOST_BYTES))
_SESSION = re.compile("[a-z0-9]{8,40}")


class Portal(Application):
    """Pages, and beside them the files they need."""

    def __init__(self) -> None:
        super().__init__()
        self._files = KeptFiles(settings.STATIC_URL)

    def body_limit(self, request: HttpRequest) -> int:
        most = _upload_limit(request)
        return most + MEGABYTE if most else super().body_limit(request)

    def before_body(self, request: HttpRequest) -> HttpResponseBase | None:
        """A file is received from somebody who is logged in alone."""
        if not _upload_limit(request):
            return None
        try:
            return None if _is_logged_in(request) else redirect_to_login(request.path_info)
        except DatabaseError:
            return self.refusal(Problem("stores_away", retry_after=2.0))

    def uploads_to(self, request: HttpRequest) -> Path | None:
        return settings.BATCH_SCRATCH if _upload_limit(request) else None

    def vouched_for(self, request: HttpRequest) -> bool:
        return _upload_limit(request) > 0

    def at_once(self, request: HttpRequest) -> HttpResponseBase | None:
        return self._files.answer(request)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._files.keep(request, super().__call__(request))


def _upload_limit(request: HttpRequest) -> int:
    """Bytes of the file such a request may bring; 0 where it brings none."""
    if request.method != "POST" or not request.META.get("CONTENT_TYPE", "").startswith("multipart/"):
        return 0
    return next((most for path, most in UPLOADS if path.fullmatch(request.path_info)), 0)


def _is_logged_in(request: HttpRequest) -> bool:
    """Whether the request's session is somebody's. Asked on the loop, whose connection nobody else looks after."""
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    close_old_connections()
    return bool(_SESSION.fullmatch(key)) and SESSION_KEY in SessionStore(key)


application = Portal()
