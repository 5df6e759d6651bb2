"""The portal's application: Django as it is, but for files that were asked for before."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")
# A connection a thread, kept: a new one reads Postgres' catalogues anew, a third of a page's time.
os.environ.setdefault("PALISADE_CONNECTION_SECONDS", "60")

import django

django.setup(set_prefix=False)

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from config.serving.application import Application
from config.serving.kept_files import KeptFiles


class Portal(Application):
    """Pages, and beside them the files they need."""

    def __init__(self) -> None:
        super().__init__()
        self._files = KeptFiles(settings.STATIC_URL)

    def at_once(self, request: HttpRequest) -> HttpResponseBase | None:
        return self._files.answer(request)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._files.keep(request, super().__call__(request))


application = Portal()
