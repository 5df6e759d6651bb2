"""Which face answers the requests of a test in this process: the API's or the portal's addresses and middleware.

`override_settings` would do, but for its signal: Django forgets every address, and the next request reads the admin's
two hundred anew.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.urls import set_urlconf

from config.files import SmallFiles
from config.settings import portal


@contextmanager
def as_the_api() -> Iterator[None]:
    with _answering("config.urls_api", []):
        yield


@contextmanager
def as_the_portal() -> Iterator[None]:
    with _answering(portal.ROOT_URLCONF, portal.MIDDLEWARE):
        yield


@contextmanager
def _answering(addresses: str, middleware: Sequence[str]) -> Iterator[None]:
    before = settings.ROOT_URLCONF, settings.MIDDLEWARE
    _set(addresses, middleware)
    try:
        yield
    finally:
        _set(*before)


def _set(addresses: str, middleware: Sequence[str]) -> None:
    settings.ROOT_URLCONF, settings.MIDDLEWARE = addresses, list(middleware)
    set_urlconf(None)  # of the last request: `reverse` in a test means the face of now


def look_for_files_once() -> None:
    """Every new client has middleware of its own, and whitenoise's lists all files there are, for 40 ms."""
    look, found = SmallFiles.add_files_from_finders, dict[str, Any]()

    def once(files: SmallFiles) -> None:
        if not found:
            look(files)
            found.update(files.files)
        files.files.update(found)

    SmallFiles.add_files_from_finders = once
