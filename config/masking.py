"""The portal's door for card numbers: what a page, a form, a message or the audit trail is made of has none."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict

from apps import card_numbers

#: Told to nobody and stored as digests alone; another text would be another password.
_AS_SENT = ("password", "csrfmiddlewaretoken")


class MaskCardNumbers:
    """Masks card numbers in path, query and form before anything reads them, and tells who filled in the form."""

    def __init__(self, respond: Callable[[HttpRequest], HttpResponse]) -> None:
        self.respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.path, request.path_info = card_numbers.mask(request.path), card_numbers.mask(request.path_info)
        for name in ("QUERY_STRING", "PATH_INFO"):
            request.META[name] = card_numbers.mask(request.META.get(name, ""))
        return self.respond(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Here the form is read, sessions and messages are there, and the view is not yet."""
        masked, fields = _masked(request.POST)
        if fields:
            request.POST = masked  # type: ignore[assignment]  # a QueryDict, as Django's own setter takes it
            messages.warning(request, *card_numbers.warning(fields))


def _masked(form: QueryDict) -> tuple[QueryDict, list[str]]:
    """The form without card numbers, and which of its fields had one."""
    masked, fields = QueryDict(mutable=True, encoding=form.encoding), []
    for name, values in form.lists():
        shown = values if any(word in name for word in _AS_SENT) else [card_numbers.mask(value) for value in values]
        masked.setlist(card_numbers.mask(name), shown)
        if shown != values:
            fields.append(card_numbers.cut(name, 40))
    masked._mutable = False
    return masked, fields
