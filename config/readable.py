"""The portal's door for text: what no page can read is refused in words (400) before any of them sees it.

Paths and parameters hold no control character. A form's fields are the form's to check, which tells it beside them.
What cookies with such characters say is not heard: they are ours, and ours never have any.
"""

from collections.abc import Callable, Iterable

from django.core.exceptions import BadRequest, RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, QueryDict, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.shortcuts import render

from apps import text

LONGEST_TOLD = 40
#: What Django refuses by itself, in words.
_SAID = (
    (TooManyFieldsSent, "There are too many parameters or fields."),
    (RequestDataTooBig, "The form is too large."),
    (MultiPartParserError, "The form's parts can't be told apart."),
    (UnreadablePostError, "The form broke off."),
)


class ReadableOnly:
    """Middleware that refuses what can't be read."""

    def __init__(self, respond: Callable[[HttpRequest], HttpResponse]) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if never := text.forbidden(request.path_info):
            raise BadRequest(f"The address {never}.")
        for name, value in _pairs(request.GET):
            if never := text.forbidden(name) or text.forbidden(value):
                raise BadRequest(f"The parameter '{_told(name)}' {never}.")
        request.COOKIES = {name: value for name, value in request.COOKIES.items() if not text.forbidden(name + value)}
        return self.respond(request)


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The portal's handler400."""
    value = next((words for kind, words in _SAID if isinstance(exception, kind)), "")
    context = {"said": value or (str(exception) if isinstance(exception, BadRequest) else "")}
    return render(request, "portal/refused.html", context, status=400)


def _pairs(said: QueryDict) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, values in said.lists() for value in values)


def _told(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode()[:LONGEST_TOLD]
