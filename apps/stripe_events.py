"""An event of Stripe's, as a webhook brings it or a list of theirs has it. Pure; what is no event is refused here.

Required is what every event documents: `id`, `type`, `created` and, in `data`, an `object`; what that has to hold is
read where it is worked through. JSON can say more than Postgres can hold: NUL characters and halves of characters (lone
surrogates) are kept as U+FFFD, the sign for a character that could not be.
"""

import json
import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple, NoReturn

from apps import text

#: Stripe's own bound of an id; a type is far shorter.
LONGEST_NAME = 255
#: The last second of the year 9999, which every store of ours can hold.
LAST_SECOND = 253_402_300_799
#: Lists and objects within each other: an event of Stripe's has about ten.
DEEPEST = 100
_NAME = re.compile(f"[!-~]{{1,{LONGEST_NAME}}}")


class NoEvent(ValueError):
    """It can never be an event of Stripe's; the message is a sentence that says why."""


class Event(NamedTuple):
    """`created`: seconds since 1970. `body`: all of it, as it can be stored."""

    id: str
    type: str
    created: int
    body: Mapping[str, Any]

    @property
    def object(self) -> Mapping[str, Any]:
        """What it is about."""
        about: Mapping[str, Any] = self.body["data"]["object"]
        return about


def event_in(body: bytes) -> Event:
    """The event a webhook brought. Raises `NoEvent`."""
    try:
        return event_of(json.loads(body.decode(), parse_constant=_refuse_constant))
    except NoEvent:
        raise
    except RecursionError:
        raise NoEvent("It is nested too deeply.") from None
    except ValueError:  # also of what is no UTF-8, and of numbers with thousands of digits
        raise NoEvent("It is not valid JSON.") from None


def event_of(value: Any) -> Event:
    """What decoded JSON says, as an event. Raises `NoEvent`."""
    body = _storable(value, DEEPEST)
    if not isinstance(body, Mapping):
        raise NoEvent("It is no JSON object.")
    for name, takes, fits in _REQUIRED:
        if name not in body:
            raise NoEvent(f"'{name}' is missing.")
        if not fits(body[name]):
            raise NoEvent(f"'{name}' takes {takes}.")
    return Event(body["id"], body["type"], body["created"], body)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _is_second(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LAST_SECOND


def _has_object(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("object"), Mapping)


#: Member → what it takes, as the end of a sentence, and whether a value is that.
_REQUIRED: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("id", f"1 to {LONGEST_NAME} visible ASCII characters", _is_name),
    ("type", f"1 to {LONGEST_NAME} visible ASCII characters", _is_name),
    ("created", "whole seconds since 1970", _is_second),
    ("data", "an object that has an `object`, which is one too", _has_object),
)


def _storable(value: Any, levels: int) -> Any:
    """The same in what JSON documents in Postgres can hold."""
    if isinstance(value, str):
        return text.storable(value)
    if isinstance(value, float) and not isfinite(value):
        raise NoEvent("It holds a number that is none, or too large for a double.")
    if not isinstance(value, Mapping | list):
        return value
    if not levels:
        raise NoEvent("It is nested too deeply.")
    if isinstance(value, list):
        return [_storable(one, levels - 1) for one in value]
    return {text.storable(name): _storable(one, levels - 1) for name, one in value.items()}


def _refuse_constant(word: str) -> NoReturn:
    raise NoEvent(f"It holds {word}, which is not JSON.")
