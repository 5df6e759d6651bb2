"""Files that were answered once and are answered again on the loop: without a thread, without Django.

Pages wait for the database, files do not: a crowd that asks for files, whether it reads them or not, must not stand
before the pages in the threads' queue. What Django said of a file the first time is said again, as it was, to everybody
who asks for it the same way. Whoever asks otherwise (a part of it, only if it changed, through a proxy, whose headers
mean something to Django) is answered by Django.
"""

from collections.abc import Iterator
from typing import NamedTuple, cast

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from apps.request_ids import request_id_of
from config.serving.limits import KILOBYTE, MEGABYTE

#: What tells one answer from another.
ASKED_BY = ("PATH_INFO", "QUERY_STRING", "HTTP_HOST", "HTTP_ACCEPT_ENCODING")
#: Headers with which Django is asked.
MEANT_FOR_DJANGO = (
    "HTTP_RANGE", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_FORWARDED", "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST",
)  # fmt: skip
#: Bytes of all files that are kept, and of one.
MOST, MOST_OF_ONE = 32 * MEGABYTE, 4 * MEGABYTE
#: Bytes that are handed to a connection at once: of who doesn't read, no more than this waits.
PIECE = 64 * KILOBYTE

Key = tuple[str, ...]


class Kept(NamedTuple):
    """A file as it was answered."""

    headers: dict[str, str]
    content: bytes


class AtHand(StreamingHttpResponse):
    """An answer whose pieces are there: it is sent from the loop, as fast as it is taken."""


class KeptFiles:
    """Answers to requests for files below `prefix`, by how they were asked for."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._kept: dict[Key, Kept] = {}
        self._bytes = 0

    def answer(self, request: HttpRequest) -> AtHand | None:
        """The answer to a request, None when Django must be asked."""
        kept = self._kept.get(_key(request)) if self._is_plain(request) else None
        if kept is None:
            return None
        return AtHand(_pieces(kept.content), headers={**kept.headers, "X-Request-Id": request_id_of(request.META)})

    def keep(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Keep Django's answer if it is a whole file that nobody's cookie goes with, and give it on."""
        if response.status_code != 200 or response.cookies or not self._is_plain(request):
            return response
        if response.streaming and int(response.headers.get("Content-Length", MOST)) > MOST_OF_ONE:
            return response
        whole = _whole(response)
        self._remember(_key(request), Kept(dict(whole.headers), whole.content))
        return whole

    def _is_plain(self, request: HttpRequest) -> bool:
        if request.method != "GET" or not request.path.startswith(self._prefix):
            return False
        return not any(name in request.META for name in MEANT_FOR_DJANGO)

    def _remember(self, key: Key, kept: Kept) -> None:
        """All are forgotten when they become too much: addresses with made-up queries would fill any memory."""
        if self._bytes + len(kept.content) > MOST:
            self._kept, self._bytes = {}, 0
        if key not in self._kept:
            self._bytes += len(kept.content)
        self._kept[key] = kept


def _key(request: HttpRequest) -> Key:
    return tuple(request.META.get(name, "") for name in ASKED_BY)


def _whole(response: HttpResponseBase) -> HttpResponse:
    """The answer with all of its content, whose length it says."""
    whole = cast(HttpResponse, response)
    if response.streaming:
        whole = HttpResponse(b"".join(cast(StreamingHttpResponse, response)), headers=response.headers)
        response.close()
    whole.headers["Content-Length"] = str(len(whole.content))
    return whole


def _pieces(content: bytes) -> Iterator[memoryview]:
    view = memoryview(content)
    return (view[begin : begin + PIECE] for begin in range(0, len(content), PIECE))
