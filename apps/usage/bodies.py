"""Bodies of requests: decoded and checked in one pass. Pure."""

import re
from typing import TypeVar

import msgspec

from apps.errors import Problem

Body = TypeVar("Body")
_AT = re.compile(r" - at `\$\.?([^`]*)`$")


def decode(body: bytes, kind: type[Body]) -> Body:
    """The body as `kind`. Raises `Problem` naming the field."""
    if not body:
        raise Problem("body_malformed", "The body is empty.")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as wrong:
        raise _field_problem(str(wrong)) from wrong
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise Problem("body_malformed", f"{wrong}.") from wrong
    except RecursionError as wrong:
        raise Problem("body_malformed", "The body is nested too deeply.") from wrong


def _field_problem(said: str) -> Problem:
    found = _AT.search(said)
    if found:
        return Problem("field_invalid", f"{_AT.sub('', said)}.", found.group(1))
    missing = re.search(r"missing required field `([^`]*)`", said)
    return Problem("field_invalid", f"{said}.", missing.group(1) if missing else "")
