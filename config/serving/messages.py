"""HTTP/1.1 messages: parses a head into Django's request, serialises Django's response. Pure but for the date.

A header is one value: lines of the same name are joined as RFC 9110 5.3 says. A name with an underscore is dropped: as
an environment variable it could not be told from the one with a dash, which a proxy may have set.
"""

import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import cached_property, lru_cache
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from django.http import HttpRequest, HttpResponse, QueryDict, parse_cookie
from django.http.response import HttpResponseBase
from django.utils.encoding import repercent_broken_unicode
from django.utils.http import parse_header_parameters

from config.serving.uploads import Upload

Header = tuple[bytes, bytes]

#: Header names as META has them; bounded, for a client may make up any.
_NAMES: dict[bytes, str] = {}
_MOST_NAMES = 1_000
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
#: Bytes of an answer from which on a copy costs more than a second write.
LARGE = 32_768
#: Statuses of answers that have no body, whatever their headers say.
BODILESS = (204, 304)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Malformed(ValueError):
    """A head that is no HTTP request's; the message says why."""


class Request(HttpRequest):
    """A request as Django knows it, made of a head; its body follows by `take` or `take_upload`."""

    upload: Upload | None = None

    def __init__(
        self, method: str, target: bytes, headers: Iterable[Header], client: str, server: tuple[str, str]
    ) -> None:
        path, _, query = _origin_form(target).partition(b"?")
        self.method = method
        self.path = self.path_info = _path(path)
        self.META = {
            "REQUEST_METHOD": method,
            "PATH_INFO": self.path,
            "QUERY_STRING": query.decode("latin-1"),
            "SCRIPT_NAME": "",
            "REMOTE_ADDR": client,
            "SERVER_NAME": server[0],
            "SERVER_PORT": server[1],
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
        }
        _add_headers(self.META, headers)
        self.resolver_match = None
        self._read_started = False
        self._post_parse_error = False
        self._body = b""
        self.content_type, self.content_params = _content_type(self.META.get("CONTENT_TYPE", ""))

    def take(self, body: bytes) -> None:
        """Hand the whole body over."""
        self._body = body
        self._stream = BytesIO(body)
        self.META["CONTENT_LENGTH"] = str(len(body))

    def take_upload(self, upload: Upload, size: int) -> None:
        """Hand a body over that became a file; what reads it streams it, `body` would hold it whole."""
        self.upload = upload
        del self._body
        self._stream = upload.path.open("rb")
        self.META["CONTENT_LENGTH"] = str(size)

    def forget_upload(self) -> None:
        """Whoever wanted the file has moved it by now."""
        if self.upload is not None:
            self._stream.close()
            self.upload.discard()

    @cached_property
    def GET(self) -> QueryDict:  # type: ignore[override]
        return QueryDict(self.META["QUERY_STRING"], encoding=self._encoding)  # type: ignore[attr-defined]

    @cached_property
    def COOKIES(self) -> dict[str, str]:  # type: ignore[override]
        return parse_cookie(self.META.get("HTTP_COOKIE", ""))

    def _get_post(self) -> QueryDict:
        if not hasattr(self, "_post"):
            self._load_post_and_files()
        return self._post

    def _set_post(self, post: QueryDict) -> None:
        self._post = post

    @property
    def FILES(self) -> Any:  # type: ignore[override]
        if not hasattr(self, "_files"):
            self._load_post_and_files()
        return self._files  # type: ignore[attr-defined]

    POST = property(_get_post, _set_post)


def response_head(response: HttpResponseBase, *, keep_alive: bool, chunked: bool = False) -> bytes:
    """The status line and headers, up to the empty line, their names in lower case as in HTTP/2. `chunked`: the body's
    length isn't known beforehand."""
    lines = [_STATUS_LINES.get(response.status_code) or f"HTTP/1.1 {response.status_code} {response.reason_phrase}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, (_, value) in response.headers._store.items()]  # in lower case there
    lines += [f"set-cookie: {morsel.OutputString()}\r\n" for morsel in response.cookies.values()]
    if chunked:
        lines.append("transfer-encoding: chunked\r\n")
    lines.append(f"date: {_date(int(time.time()))}\r\n")
    if not keep_alive:
        lines.append("connection: close\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1")


def pieces(response: HttpResponse, *, keep_alive: bool, head_only: bool = False) -> tuple[bytes, ...]:
    """A response that is all there: as one piece, or, when it is large, without a copy of its content."""
    content = response.content
    if "Content-Length" not in response.headers and response.status_code not in BODILESS:
        response.headers["Content-Length"] = str(len(content))
    head = response_head(response, keep_alive=keep_alive)
    if head_only:
        return (head,)
    return (head + content,) if len(content) < LARGE else (head, content)


def chunk(data: bytes) -> bytes:
    """One chunk of a body whose length isn't known; the last one is empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _content_type(text: str) -> tuple[str, dict[str, str]]:
    """A body's type and its parameters. Of them `charset` is never asked: what we read is UTF-8, and Python's codec of
    any name a client may think of would be handed the query, too."""
    try:
        return parse_header_parameters(text)
    except (ValueError, LookupError) as wrong:
        raise Malformed("The Content-Type can't be read.") from wrong


def _origin_form(target: bytes) -> bytes:
    """`/path?query` of a request's target, which may be a whole URL (RFC 9112 3.2.2)."""
    if target[:1] == b"/":
        return target
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https"):
        raise Malformed("The request's target is neither a path nor a URL.")
    _, slash, path = rest.partition(b"/")
    return slash + path if slash else b"/"


def _path(raw: bytes) -> str:
    if b"%" not in raw and raw.isascii():
        return raw.decode("ascii")
    return repercent_broken_unicode(unquote_to_bytes(raw)).decode()


def _add_headers(meta: dict[str, Any], headers: Iterable[Header]) -> None:
    for raw, value in headers:
        name = _NAMES.get(raw) or _name(raw)
        if not name:
            continue
        text = value.decode("latin-1")
        if name in meta:
            text = f"{meta[name]}{'; ' if name == 'HTTP_COOKIE' else ','}{text}"
        meta[name] = text


def _name(raw: bytes) -> str:
    """A header's name in META, "" for one that is dropped."""
    if b"_" in raw:
        return ""
    plain = raw.decode("latin-1").upper().replace("-", "_")
    name = plain if plain in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{plain}"
    if len(_NAMES) < _MOST_NAMES:
        _NAMES[raw] = name
    return name


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
