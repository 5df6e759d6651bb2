"""Static files and pages as they go over the wire: small, and not asked for twice. Nothing is built beforehand.

A file is compressed at its first use in a process and kept so; its address names its content, so that browsers may keep
it for a year. Pages are compressed one by one; those that show a secret never are (BREACH: who can put words of his own
into a compressed page learns from its length what else stands there).
"""

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from whitenoise.middleware import WhiteNoiseMiddleware

#: The parameter of a file's address that changes with its content.
VERSION = "v"
KEPT_FOR_A_YEAR = "max-age=31536000, public, immutable"
#: Bytes of a file that are read at once: Django's 4,096 make a megabyte 270 pieces.
BLOCK = 256 * 1024
#: Kinds of files and pages that become smaller.
TEXTS = ("text/", "application/javascript", "application/json", "image/svg+xml")
#: Where pages answer a GET with a secret: of a second factor, recovery codes. All others are shown after a POST.
SECRETS = ("/account/", "/admin/")


class VersionedFiles(StaticFilesStorage):
    """Addresses of files, each with a digest of what is in it."""

    def url(self, name: str | None) -> str:
        address = super().url(name)
        digest = _digest(name or "")
        return f"{address}?{VERSION}={digest}" if digest else address


class SmallFiles(WhiteNoiseMiddleware):
    """whitenoise, whose files need no compressed forms beside them."""

    def serve(self, static_file: Any, request: HttpRequest) -> HttpResponseBase:
        answer = WhiteNoiseMiddleware.serve(static_file, request)
        answer.block_size = BLOCK
        if request.GET.get(VERSION):
            answer["Cache-Control"] = KEPT_FOR_A_YEAR
        answer["Vary"] = "Accept-Encoding"
        return _smaller(answer, static_file.alternatives[0][1]) if _may_be_smaller(request, answer) else answer


class SmallPages(GZipMiddleware):
    """Django's compression with bytes of random number, for texts that show no secret."""

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        if request.method != "GET" or request.path.startswith(SECRETS) or not _is_text(response):
            return response
        return super().process_response(request, response)


def _may_be_smaller(request: HttpRequest, answer: HttpResponseBase) -> bool:
    """Whole files of text, for who takes gzip."""
    takes = "gzip" in request.META.get("HTTP_ACCEPT_ENCODING", "")
    return takes and answer.status_code == 200 and request.method == "GET" and _is_text(answer)


def _smaller(answer: HttpResponseBase, path: str) -> HttpResponse:
    """The same answer with the compressed file."""
    answer.close()
    headers = {**answer.headers, "Content-Encoding": "gzip"}
    headers.pop("Content-Length", None)
    return HttpResponse(_compressed(path), headers=headers)


def _is_text(answer: HttpResponseBase) -> bool:
    return answer.get("Content-Type", "").startswith(TEXTS)


@cache
def _compressed(path: str) -> bytes:
    return gzip.compress(Path(path).read_bytes(), 9, mtime=0)


@cache
def _digest(name: str) -> str:
    """Of a file's content, "" when there is no such file."""
    found = finders.find(name)
    return hashlib.sha256(Path(found).read_bytes()).hexdigest()[:12] if isinstance(found, str) else ""
