"""Bodies of requests: decoded and checked in one pass, and what is wrong with one in our own words. Pure."""

import json
import re
from collections.abc import Callable, Iterator
from math import isinf
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from apps import card_numbers, text
from apps.errors import Problem

Body = TypeVar("Body")
Noticed = Annotated[tuple[str, ...], Meta(description="What we noticed: that a card number was masked.")]
LONGEST_TOLD = 80  # characters of a sender's own value
_AT = re.compile(r" - at `\$\.?([^`]*)`$")
_STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")


def decode(body: bytes, kind: type[Body]) -> Body:
    """The body as `kind`. Raises `Problem` naming the field."""
    if not body:
        raise Problem("body_malformed", "The body is empty.")
    try:
        value = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as wrong:
        raise _field_problem(str(wrong), body, kind) from wrong
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise Problem("body_malformed", _malformed(body, str(wrong))) from wrong
    except RecursionError as wrong:
        raise Problem("body_malformed", "The body is nested too deeply.") from wrong
    _check_texts(value, "")
    try:
        check_members(body, msgspec.json.decode(body))
    except msgspec.DecodeError:  # a number too large for a double, in a field that nothing reads
        _find_double(body)
    return value


def check_members(body: bytes, document: Any, more: int = 0) -> None:
    """Refuse a body in which a member stands twice: msgspec would take the last in silence. Raises `Problem`.

    `document` is what was decoded; `more`: colons of the body that are not in it. Outside of texts a colon stands after
    each member's name and nowhere else, so a body with as many as its members and texts have is sound (about 1 µs).
    Others are read once more, member by member; `\\u003a`, a colon in disguise, is one of those.
    """
    colons = body.count(b":") - more
    disguised = body.find(b"\\") >= 0 and b"\\u003" in body  # the former alone is five times as fast
    if not disguised and colons == _members(document):
        return
    try:
        if disguised or colons != _colons(document):
            _find_double(body)
    except RecursionError as wrong:
        raise Problem("body_malformed", "The body is nested too deeply.") from wrong


def _members(document: Any) -> int:
    """Members of an object, or of a list of objects: all the colons there are where texts have none."""
    if type(document) is list:
        return sum([len(row) for row in document if type(row) is dict])
    return len(document) if type(document) is dict else 0


def _colons(document: Any) -> int:
    """Colons that JSON of a value has: one a member, and those of its texts."""
    if type(document) is str:
        return document.count(":")
    if type(document) is not dict:
        return sum(map(_colons, document)) if type(document) is list else 0
    colons = len(document)
    for name, value in document.items():
        colons += name.count(":")
        if type(value) is str:
            colons += value.count(":")
        elif type(value) is dict or type(value) is list:
            colons += _colons(value)
    return colons


def _find_double(body: bytes) -> None:
    """Read a body member by member. Raises `Problem` for one of a name that was there before."""

    def once(members: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in members:
            if name in found:
                shown = card_numbers.cut(name, LONGEST_TOLD)
                raise Problem("field_invalid", f"'{shown}' stands twice in the JSON: leave one out.", shown)
            found[name] = value
        return found

    json.loads(body, object_pairs_hook=once, parse_int=str, parse_float=str, parse_constant=str)


def _check_texts(value: Any, at: str) -> None:
    """Every text of a body's fields is one line that a store can hold. Raises `Problem` naming one that is not.

    What stands in lists and in objects without fields of ours, as transactions do, is their own types' to check.
    """
    if isinstance(value, str):
        if never := text.forbidden(value):
            raise Problem("field_invalid", f"{_subject(at)} {never}.", at)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _check_texts(getattr(value, name), f"{at}.{name}" if at else name)


def without_cards(said: Body) -> tuple[Body, tuple[str, ...]]:
    """A body's texts with card numbers masked, and what to tell its sender about it."""
    fields = msgspec.structs.asdict(said)  # type: ignore[arg-type]  # every body is a struct
    masked = {name: card_numbers.mask(value) for name, value in fields.items() if isinstance(value, str)}
    changed = {name: value for name, value in masked.items() if value != fields[name]}
    if not changed:
        return said, ()
    return msgspec.structs.replace(said, **changed), card_numbers.warning(list(changed))  # type: ignore[type-var]


def _malformed(body: bytes, value: str) -> str:
    try:
        body.decode()
    except UnicodeDecodeError:
        return "The body is not UTF-8."
    return "The body ends in the middle of its JSON." if value == "Input data was truncated" else f"{value}."


def _field_problem(value: str, body: bytes, kind: Any) -> Problem:
    """What msgspec said of a body, as our problem: the field's path, and the sentence of `MESSAGES`."""
    found = _AT.search(value)
    at, message = (found.group(1), _AT.sub("", value)) if found else ("", value)
    if message == "Number out of range":
        return Problem("field_invalid", "The number is too large for a double.", _too_large(body) or at)
    if absent := re.fullmatch(r"Object missing required field `(.*)`", message):
        param = f"{at}.{absent.group(1)}" if at else absent.group(1)
        return Problem("field_invalid", f"'{param}' is missing.", param)
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", message, re.DOTALL):
        return Problem(
            "field_invalid", f"There is no field '{card_numbers.cut(unknown.group(1), LONGEST_TOLD)}' here.", at
        )
    return Problem("field_invalid", f"{_subject(at)} {_takes(message, _type_at(kind, at))}.", at)


def _subject(at: str) -> str:
    return f"'{at}'" if at else "The body"


def _takes(message: str, kind: Any) -> str:
    """What a field takes, from msgspec's message and the field's type: the end of a sentence."""
    for pattern, said in MESSAGES:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            return said(found, kind)
    return "is not what it has to be"


# --- msgspec's messages in our words ---

# What a type is called in a sentence.
KINDS = {
    "int": "a whole number", "float": "a number", "str": "text", "bool": "true or false", "array": "a list",
    "object": "a JSON object", "null": "null",
}  # fmt: skip
# What msgspec's comparisons are.
BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
COUNTED = {"array": "item", "str": "character", "object": "field"}

Words = Callable[[re.Match[str], Any], str]


def _other_kind(found: re.Match[str], kind: Any) -> str:
    wanted = " or ".join(_kind(one) for one in found.group(1).split(" | "))
    return f"takes {wanted}, not {_kind(found.group(2))}"


def _kind(name: str) -> str:
    return KINDS.get(name, name)


def _other_value(found: re.Match[str], kind: Any) -> str:
    values = get_args(kind) if get_origin(kind) is Literal else ()
    allowed = ", ".join(_as_json(value) for value in values) or "another value"
    return f"takes {'one of ' if len(values) > 1 else ''}{allowed}; not {_in_json(found.group(1))}"


def _in_json(value: str) -> str:
    return value.lower() if value in ("True", "False") else card_numbers.cut(value, LONGEST_TOLD)


def _as_json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _other_length(found: re.Match[str], kind: Any) -> str:
    what, bound, count = found.group(1), found.group(2), int(found.group(3))
    return f"takes {BOUNDS[bound]} {count:,} {COUNTED[what]}{'' if count == 1 else 's'}"


def _out_of_bounds(found: re.Match[str], kind: Any) -> str:
    bound, number = found.group(1), float(found.group(2))
    return f"takes {BOUNDS[bound]} {number:,.0f}" if number.is_integer() else f"takes {BOUNDS[bound]} {number:,}"


def _other_text(found: re.Match[str], kind: Any) -> str:
    return f"takes {getattr(kind, 'needs', '') or 'text of another form'}"


# In the order they are tried: what msgspec says, whole, and how the sentence goes on after the field's name.
MESSAGES: tuple[tuple[str, Words], ...] = (
    (r"Expected `([^`]*)`, got `([^`]*)`", _other_kind),
    (r"Invalid enum value (.*)", _other_value),
    (r"Expected `(array|str|object)` of length (>=|<=) (\d+)", _other_length),
    (r"Expected `(?:int|float)(?: \| null)?` (>=|<=|>|<) (\S+)", _out_of_bounds),
    (r"Expected `str(?: \| null)?` matching regex .*", _other_text),
)


# --- where in the body ---


class _Needs(msgspec.Struct, frozen=True):
    """A text of a certain form; `needs` says which."""

    needs: str


def _type_at(kind: Any, at: str) -> Any:
    """The type of the field at msgspec's path, or what its `Meta` says it needs; None where that is not known."""
    found = kind
    for step in _STEP.findall(at):
        found = next((inner for choice in _choices(found) if (inner := _inside(choice, step)) is not None), None)
    return next((choice for choice in _choices(found) if choice not in (None, NoneType)), None)


def _choices(kind: Any) -> Iterator[Any]:
    """A type without its wrappers: each of a union, and `_Needs` in place of one whose `Meta` says what it needs."""
    if get_origin(kind) is Annotated:
        inner, *metas = get_args(kind)
        needs = next((meta.extra["needs"] for meta in metas if meta.extra and "needs" in meta.extra), "")
        yield from [_Needs(needs)] if needs else _choices(inner)
    elif get_origin(kind) in (Union, UnionType):
        for argument in get_args(kind):
            yield from _choices(argument)
    else:
        yield kind


def _inside(kind: Any, step: str) -> Any:
    """The type of a list's items, a mapping's values, a struct's field."""
    if step.startswith("["):
        return next((argument for argument in get_args(kind)[::-1] if argument is not Ellipsis), None)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return get_type_hints(kind, include_extras=True).get(step)
    return None


def _too_large(body: bytes) -> str:
    """The path of the first number beyond a double: msgspec tells it of known fields only. "" when not found."""
    try:
        return next(_infinite(json.loads(body), ""), "")
    except (ValueError, RecursionError):
        return ""


def _infinite(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, float) and isinf(value):
        yield at
    elif isinstance(value, dict):
        for name, inner in value.items():
            told = card_numbers.cut(name, LONGEST_TOLD).encode("utf-8", "backslashreplace").decode()
            yield from _infinite(inner, f"{at}.{told}" if at else told)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _infinite(inner, f"{at}[{index}]")
