"""A call's parameters: read off the wire as Stripe reads them, and held against the types of Stripe's library."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, get_args
from urllib.parse import parse_qsl

from pydantic import ConfigDict, TypeAdapter, ValidationError
from stripe import RequestOptions
from typing_extensions import get_type_hints, is_typeddict

_PART = re.compile(r"\[([^\]]*)\]")


def decoded(form: str) -> dict[str, Any]:
    """`a[b][0]=c` → {"a": {"b": ["c"]}}: Stripe's form encoding."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        first, *rest = name.partition("[")[0], *_PART.findall(name)
        into = root
        for part, following in zip([first, *rest], rest, strict=False):
            into = into.setdefault(part, {})
            assert isinstance(into, dict), (name, following)
        into[[first, *rest][-1]] = value
    return {name: _lists(value) for name, value in root.items()}


def _lists(value: Any) -> Any:
    """Mappings with the keys 0, 1, 2 … are lists."""
    if not isinstance(value, dict):
        return value
    below = {name: _lists(one) for name, one in value.items()}
    return list(below.values()) if below and list(below) == [str(index) for index in range(len(below))] else below


def complaint(params: type, said: dict[str, Any]) -> str:
    """What is wrong with the parameters by the library's own types, "" when nothing is. Unknown names are wrong."""
    try:
        _adapter(params).validate_python(said)
    except ValidationError as wrong:
        return "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in wrong.errors())
    return ""


@cache
def _adapter(params: type) -> TypeAdapter[Any]:
    """The library's types, told to forbid what they don't name. What they inherit are options, not parameters."""
    for option in RequestOptions.__annotations__:
        params.__annotations__.pop(option, None)
    for one in _typed_dicts(params, set()):
        one.__pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=True)  # type: ignore[attr-defined]
    return TypeAdapter(params)


def _typed_dicts(found: Any, seen: set[type]) -> Iterable[type]:
    """A TypedDict and all that it is made of."""
    if is_typeddict(found) and found not in seen:
        seen.add(found)
        yield found
        for hint in get_type_hints(found).values():
            yield from _typed_dicts(hint, seen)
    for part in get_args(found):
        yield from _typed_dicts(part, seen)
