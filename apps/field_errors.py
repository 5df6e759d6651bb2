"""Everything a decoded body has that its type does not take, field by field, in words. Pure.

msgspec stops at the first thing it refuses and says so in English sentences of its own. Only once it has refused a body
is it walked here, along the same declarations (`Meta`, `Literal`, structs), so that all is told at once.
"""

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from math import isinf
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, UnsetType

from apps import card_numbers, text
from apps.errors import FieldError

LONGEST_TOLD = 80  # characters of a sender's own value
#: Types that take what JSON calls so, and the word for it in a sentence.
KINDS: Mapping[type, str] = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list",
    dict: "a JSON object", NoneType: "null",
}  # fmt: skip
#: What is counted of values of bounded length.
COUNTED: Mapping[type, str] = {list: "item", str: "character", dict: "field"}


class _Choice(NamedTuple):
    """One of the types a field may have, with what is said of it."""

    kind: Any
    metas: tuple[Meta, ...]

    @property
    def takes(self) -> type:
        """What JSON calls a value of it; `object` where it may be anything."""
        origin = get_origin(self.kind) or self.kind
        if origin is Literal:
            return type(get_args(self.kind)[0])
        if origin in (tuple, list, set, frozenset):
            return list
        return dict if origin is dict or issubclass(origin, msgspec.Struct) else origin


def field_errors(value: Any, kind: Any, at: str = "") -> Iterator[FieldError]:
    """Yield what of a decoded JSON value `kind` does not take: in the value's order, missing fields last."""
    if isinstance(value, float) and isinf(value):
        yield FieldError(at, "The number is too large for a double.")
        return
    choices = [choice for choice in _choices(kind) if choice.kind is not UnsetType]
    fitting = [choice for choice in choices if choice.kind is Any or _is(value, choice.takes)]
    if not fitting:
        yield FieldError(at, f"{_subject(at)} takes {_listed(choices)}, not {KINDS[type(value)]}.")
    elif refusal := _out_of_bounds(value, fitting[0]):
        yield FieldError(at, f"{_subject(at)} {refusal}.")
    else:
        yield from _within(value, fitting[0].kind, at)


def forbidden_texts(content: Any, at: str = "") -> Iterator[FieldError]:
    """Yield every text of a decoded body's fields that is not one line a store can hold.

    What stands in lists and in objects without fields of ours, as transactions do, is their own types' to check.
    """
    if isinstance(content, str):
        if never := text.forbidden(content):
            yield FieldError(at, f"{_subject(at)} {never}.")
    elif isinstance(content, msgspec.Struct):
        for name in content.__struct_fields__:
            yield from forbidden_texts(getattr(content, name), _member(at, name))


def _choices(kind: Any, metas: tuple[Meta, ...] = ()) -> Iterator[_Choice]:
    """A type without its wrappers: each of a union, with what is said of it."""
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        yield from _choices(inner, (*metas, *(meta for meta in more if isinstance(meta, Meta))))
    elif get_origin(kind) in (Union, UnionType):
        for one in get_args(kind):
            yield from _choices(one, metas)
    else:
        yield _Choice(kind, metas)


def _is(value: Any, kind: type) -> bool:
    """Whether a JSON value is of that kind: a whole number is a number, true is none."""
    return type(value) is kind or (kind is float and type(value) is int)


def _listed(choices: list[_Choice]) -> str:
    return " or ".join(dict.fromkeys(KINDS.get(choice.takes, choice.takes.__name__) for choice in choices))


def _subject(at: str) -> str:
    return f"'{at}'" if at else "The body"


# --- a value by itself ------------------------------------------------------------------------------------------------


def _out_of_bounds(value: Any, choice: _Choice) -> str:
    """How a value of the right kind breaks what is said of it: the end of a sentence, "" when it does not."""
    if get_origin(choice.kind) is Literal:
        return _other_value(value, get_args(choice.kind))
    for meta in choice.metas:
        refusal = _other_number(value, meta) or _other_length(value, meta) or _other_text(value, meta)
        if refusal:
            return f"takes {refusal}"
    return ""


def _other_value(value: Any, allowed: tuple[Any, ...]) -> str:
    if value in allowed:
        return ""
    names = ", ".join(one if isinstance(one, str) else json.dumps(one) for one in allowed)
    sent = f"'{card_numbers.cut(value, LONGEST_TOLD)}'" if isinstance(value, str) else json.dumps(value)
    return f"takes {'one of ' if len(allowed) > 1 else ''}{names}; not {sent}"


def _other_number(value: Any, meta: Meta) -> str:
    if not isinstance(value, int | float):
        return ""
    bounds = (
        (meta.ge, "at least", lambda bound: value >= bound), (meta.gt, "more than", lambda bound: value > bound),
        (meta.le, "at most", lambda bound: value <= bound), (meta.lt, "less than", lambda bound: value < bound),
    )  # fmt: skip
    broken = ((bound, words) for bound, words, holds in bounds if bound is not None and not holds(bound))
    return next(
        (f"{words} {bound:,.0f}" if float(bound).is_integer() else f"{words} {bound:,}" for bound, words in broken), ""
    )


def _other_length(value: Any, meta: Meta) -> str:
    if type(value) not in COUNTED:
        return ""
    least, most, what = meta.min_length, meta.max_length, COUNTED[type(value)]
    if least is not None and len(value) < least:
        return f"at least {least:,} {what}{'' if least == 1 else 's'}"
    if most is not None and len(value) > most:
        return f"at most {most:,} {what}{'' if most == 1 else 's'}"
    return ""


def _other_text(value: Any, meta: Meta) -> str:
    """`needs` in a pattern's `Meta` says what it asks for."""
    if not isinstance(value, str) or meta.pattern is None or re.search(meta.pattern, value):
        return ""
    return str((meta.extra or {}).get("needs", "text of another form"))


# --- what stands within it --------------------------------------------------------------------------------------------


def _within(value: Any, kind: Any, at: str) -> Iterator[FieldError]:
    if isinstance(value, list):
        inner = next((one for one in get_args(kind) if one is not Ellipsis), Any)
        for index, item in enumerate(value):
            yield from field_errors(item, inner, f"{at}[{index}]")
    elif isinstance(value, dict):
        struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        yield from _in_struct(value, kind, at) if struct else _in_mapping(value, kind, at)


def _in_mapping(value: dict[str, Any], kind: Any, at: str) -> Iterator[FieldError]:
    inner = get_args(kind)[1] if get_args(kind) else Any
    for name, item in value.items():
        yield from field_errors(item, inner, _member(at, name))


def _in_struct(value: dict[str, Any], kind: type[msgspec.Struct], at: str) -> Iterator[FieldError]:
    types = get_type_hints(kind, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, item in value.items():
        if name in fields:
            refusal = list(field_errors(item, types[fields[name].name], _member(at, name)))
            yield from refusal or forbidden_texts(item, _member(at, name))
        elif kind.__struct_config__.forbid_unknown_fields:
            yield FieldError(_member(at, name), f"There is no field '{_shown(name)}' here{_perhaps(name, fields)}")
    for name, field in fields.items():
        if field.required and name not in value:
            yield FieldError(_member(at, name), f"'{_member(at, name)}' is missing.")


def _perhaps(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name[:LONGEST_TOLD], known, 1)
    return f": did you mean '{near[0]}'?" if near else "."


def _member(at: str, name: str) -> str:
    return f"{at}.{_shown(name)}" if at else _shown(name)


def _shown(name: str) -> str:
    """A sender's name, short and whole: half a character is told as its number."""
    return card_numbers.cut(name, LONGEST_TOLD).encode("utf-8", "backslashreplace").decode()
