"""The canonical form of facts and requests: the same facts are the same bytes however written. Pure.

Whatever JSON or a client leaves open is settled: the order of members, white space, 1e3 and 1000.0 and 1000, -0.0 and
0, a time's zone, an é of one character or of two. What differs beyond that differs: capitals, spaces, null and nothing.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from apps import text, times
from apps.scoring.engine.schemas import SCHEMAS

_in_order = msgspec.json.Encoder(order="sorted").encode
_lines = msgspec.json.Encoder().encode_lines
#: Fields that are times in one schema or another. In none are they anything else.
MOMENTS = frozenset(schema.moment for schema in SCHEMAS.values() if schema.moment)
_FIT = range(-(2**63), 2**64)  # the integers msgspec writes


def of_facts(schema: str, facts: dict[str, Any]) -> bytes:
    """A transaction's facts, typed as its schema types them."""
    moment = SCHEMAS[schema].moment
    if moment in facts:
        facts = {**facts, moment: times.instant_us(facts[moment])}
    written = _in_order(facts)
    return written if _is_settled(written) else _in_order_settled(facts)


def of_columns(columns: Mapping[str, Sequence[Any]]) -> list[bytes]:
    """`of_facts` of n transactions, by field; None is what was not sent. Of kinds without a time of their own."""
    if not columns:
        return []
    rows = list(map(_struct_of(tuple(sorted(columns))), *(columns[name] for name in sorted(columns))))
    written = _lines(rows)
    lines = written.split(b"\n")[:-1]  # a text's own ends of lines are written \\n
    if _is_settled(written):
        return lines
    return [line if _is_settled(line) else _in_order_settled(_sent(row)) for line, row in zip(lines, rows, strict=True)]


@lru_cache(maxsize=64)
def _struct_of(names: tuple[str, ...]) -> type[msgspec.Struct]:
    """Facts of these fields, in this order, written without those that were not sent: half the time of a dictionary."""
    return msgspec.defstruct("Facts", [(name, Any, None) for name in names], omit_defaults=True, gc=False)


def _sent(facts: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(facts).items() if value is not None}


def of_request(body: bytes) -> bytes:
    """A request's body as JSON; as it stands when it is nested too deeply to be told otherwise."""
    try:
        return _in_order(_respelled(msgspec.json.decode(body)))
    except (msgspec.DecodeError, RecursionError):
        return body


def _is_settled(written: bytes) -> bool:
    """Whether nothing but the order of members was left open."""
    return written.isascii() and b"-0.0" not in written


def _in_order_settled(facts: Mapping[str, Any]) -> bytes:
    return _in_order({name: _settled(value) for name, value in facts.items()})


def _settled(value: Any) -> Any:
    if type(value) is float:
        return value + 0.0  # -0.0 is 0.0
    return text.composed(value) if type(value) is str else value


def _respelled(value: Any, name: str = "") -> Any:
    match value:
        case dict():
            return {member: _respelled(inner, member) for member, inner in value.items()}
        case list():
            return [_respelled(inner) for inner in value]
        case str():
            return _moment(value) if name in MOMENTS else text.composed(value)
        case bool() | None:
            return value
        case _:
            return _number(value)


def _number(value: float) -> Any:
    """JSON knows one kind of number: a whole one is written as such, of whatever length."""
    whole = int(value) if value == value // 1 else None
    if whole is None or whole in _FIT:
        return value if whole is None else whole
    return msgspec.Raw(str(whole).encode())


def _moment(value: str) -> Any:
    try:
        return {"µs": times.instant_us(times.read(value))}
    except ValueError:
        return text.composed(value)
