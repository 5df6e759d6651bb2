"""A policy as an operator writes it: a file of JSON, plain or packed, read strictly and held against the engine. Pure.

    bytes ─► unpacked (gzip, zlib) ─► text (UTF-8, with or without its mark) ─► members ─► Policy, checked

Whatever is wrong is said with its place: the line and column where the JSON breaks, else the path of the member
(`rules[2].all[0].value`) with the rule's id. `InvalidPolicy` is raised for all of it.
"""

import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from math import isfinite, ulp
from typing import Any, NamedTuple

import msgspec

from apps import card_numbers, text
from apps.decoding import decode
from apps.errors import Problem
from apps.scoring.engine.aggregate_check import check_aggregates
from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rule_check import check_lists, check_rules, check_tunings
from apps.scoring.engine.rules import Condition, InvalidRules, Rule, Tuning, decode_rules
from apps.scoring.engine.schemas import SCHEMAS

MOST_BYTES = 5_000_000  # of a file, and of what comes out of a packed one
MOST_DIGITS = 40  # of a number: a double has 17
LARGEST_WHOLE = 2**53 - 1  # whole numbers beyond are not the same in every reader of JSON
LONGEST_COUNTRY = 128
GZIP, ZLIB = b"\x1f\x8b", b"\x78"  # how they begin; zlib's second byte makes it a multiple of 31
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS  # told apart by their first bytes
#: How other encodings begin: their own marks, and JSON's first character beside an empty byte.
FOREIGN = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\x00\x00\xfe\xff", "UTF-32"))
#: How thresholds must stand: in words, the least of the first one, their names.
ORDERS = (
    ("0 < medium <= high <= critical <= 1", ulp(0.0), ("medium", "high", "critical")),
    ("0 <= review_at <= block_at <= 1", 0.0, ("review_at", "block_at")),
)


class InvalidPolicy(ValueError):
    """A policy that can't be published; the message says where, what, and how to mend it."""


def changed(policy: Policy, value: Mapping[str, Any], lists: Collection[str]) -> Policy:
    """The policy with what is said in place of what it said, card numbers masked, if that is one to publish; `lists`
    are the names of the tenant's.

    Raises `InvalidPolicy`.
    """
    found = _decoded({**msgspec.to_builtins(policy), **card_numbers.mask_json(value)})
    _check_thresholds(found)
    if found.home_country:
        _check_country(found.home_country)
    try:
        decode_rules(msgspec.to_builtins(found.rules), _known_fields())
        check_aggregates(found.aggregates)
        check_rules(found.rules, found.home_country, found.aggregates)
        check_lists(found.rules, policy.rules, lists)
        check_tunings(found.built_in)
    except InvalidRules as wrong:
        raise InvalidPolicy(str(wrong)) from wrong
    return found


def members(raw: bytes) -> dict[str, Any]:
    """What a file says, member by member of a policy. Raises `InvalidPolicy`."""
    _check_size(raw, "The file")
    value = _parsed(_text(_unpacked(raw)))
    for problem in _problems(value, ""):
        raise InvalidPolicy(problem)
    if not isinstance(value, dict):
        raise InvalidPolicy('the whole file must be one JSON object, like {"medium": 0.3}.')
    unknown = [name for name in value if name not in Policy.__struct_fields__]
    if unknown:
        raise InvalidPolicy(f"unknown: {', '.join(sorted(unknown))}. Known: {', '.join(Policy.__struct_fields__)}.")
    return value


# --- bytes to text ----------------------------------------------------------------------------------------------------


def _check_size(raw: bytes, what: str) -> None:
    if len(raw) > MOST_BYTES:
        raise InvalidPolicy(f"{what} has more than {MOST_BYTES:,} bytes; shorten its lists.")


def _unpacked(raw: bytes) -> bytes:
    """What was packed by gzip (in one part or more) or zlib; other bytes as they are."""
    if not _is_packed(raw):
        return raw
    out = b""
    while raw:
        unpacking = zlib.decompressobj(GZIP_OR_ZLIB)
        try:
            out += unpacking.decompress(raw, MOST_BYTES + 1 - len(out))
        except zlib.error as wrong:
            raise InvalidPolicy("The file is packed, but damaged; pack it again.") from wrong
        _check_size(out, "What the file unpacks to")
        if not unpacking.eof:
            raise InvalidPolicy("The file is packed, but cut off; pack it again.")
        raw = unpacking.unused_data
    if _is_packed(out):
        raise InvalidPolicy("The file is packed twice; pack it once.")
    return out


def _is_packed(raw: bytes) -> bool:
    return raw.startswith(GZIP) or (raw.startswith(ZLIB) and int.from_bytes(raw[:2], "big") % 31 == 0)


def _text(raw: bytes) -> str:
    for begins, name in FOREIGN:
        if raw.startswith(begins):
            raise InvalidPolicy(f"The file is {name}; save it as UTF-8.")
    if b"\x00" in raw[:4]:
        raise InvalidPolicy("The file is UTF-16 or UTF-32; save it as UTF-8.")
    try:
        value = raw.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line, column = _place(raw[: wrong.start].decode("utf-8-sig", "replace"))
        raise InvalidPolicy(f"line {line}, column {column}: this is not UTF-8; save the file as UTF-8.") from wrong
    if not value.strip():
        raise InvalidPolicy('The file is empty; write a JSON object, like {"medium": 0.3}.')
    return value


def _place(before: str) -> tuple[int, int]:
    """Line and column after a text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


# --- text to members --------------------------------------------------------------------------------------------------


class _Long(NamedTuple):
    """A number of more digits than are taken."""

    digits: int


class _Twice(NamedTuple):
    """An object in which a name stands twice."""

    name: str


def _parsed(value: str) -> Any:
    try:
        return json.loads(value, parse_int=_whole, parse_float=_number, object_pairs_hook=_object)
    except json.JSONDecodeError as wrong:
        raise InvalidPolicy(f"line {wrong.lineno}, column {wrong.colno}: the JSON breaks: {wrong.msg}.") from wrong
    except RecursionError as wrong:
        raise InvalidPolicy("The JSON is nested too deeply.") from wrong


def _whole(digits: str) -> int | _Long:
    return int(digits) if len(digits) <= MOST_DIGITS else _Long(len(digits.lstrip("-")))


def _number(digits: str) -> float | _Long:
    return float(digits) if len(digits) <= MOST_DIGITS else _Long(sum(map(str.isdigit, digits)))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            return _Twice(name)
        found[name] = value
    return found


def _problems(value: Any, at: str) -> Iterator[str]:
    """What can't be meant, wherever it stands, with its path."""
    if isinstance(value, _Twice):
        yield f"{at or 'The file'}: '{_cut(value.name)}' stands there twice; leave one out."
    elif isinstance(value, _Long):
        yield f"{at}: the number has {value.digits:,} digits; at most {MOST_DIGITS} are taken."
    elif isinstance(value, float) and not isfinite(value):
        yield f"{at}: the number is not finite (NaN, Infinity, or beyond a double)."
    elif isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        yield f"{at}: whole numbers beyond {LARGEST_WHOLE:,} are not exact; write a smaller one."
    elif isinstance(value, str) and (why := text.refusal(value)).startswith("holds"):
        yield f"{at}: the text {why}."
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _problems(inner, f"{at}.{_cut(name)}" if at else _cut(name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _problems(inner, f"{at}[{index}]")


def _cut(name: str) -> str:
    return name[:40].encode("ascii", "backslashreplace").decode()


# --- members to a policy ----------------------------------------------------------------------------------------------


def _decoded(value: Mapping[str, Any]) -> Policy:
    rules = value.get("rules")
    for number, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict) and rule.get("all") == [] and not rule.get("when"):
            raise InvalidPolicy(
                f"rules[{number}].all{_named(value, f'rules[{number}]')}: the list has a length of 0; "
                "a rule without conditions would hit everything."
            )
    try:
        return decode(json.dumps(value).encode(), Policy)
    except Problem as wrong:
        raise InvalidPolicy(f"{wrong.param}{_named(value, wrong.param or '')}: {wrong.detail}{_near(wrong)}") from wrong


def _near(wrong: Problem) -> str:
    """The member that may have been meant, for one there is none of."""
    if not wrong.detail.startswith("There is no field"):
        return ""
    members = (
        *Rule.__struct_fields__,
        *Aggregate.__struct_fields__,
        *Condition.__struct_fields__,
        *Tuning.__struct_fields__,
    )
    near = get_close_matches(wrong.detail.split("'")[1], members, 1)
    return f" Did you mean '{near[0]}'?" if near else ""


def _named(value: Mapping[str, Any], at: str) -> str:
    """The id of the rule a path leads into."""
    number = at.removeprefix("rules[").partition("]")[0]
    if not (at.startswith("rules[") and number.isdigit()):
        return ""
    rule = value["rules"][int(number)]
    name = rule.get("id") if isinstance(rule, dict) else None
    return f" (rule '{_cut(name)}')" if isinstance(name, str) else ""


def _check_thresholds(policy: Policy) -> None:
    for order, least, names in ORDERS:
        values = [getattr(policy, name) for name in names]
        if not (least <= values[0] and values == sorted(values) and values[-1] <= 1):
            given = ", ".join(f"{name} is {value:g}" for name, value in zip(names, values, strict=True))
            raise InvalidPolicy(f"{order} must hold; {given}.")


def _check_country(name: str) -> None:
    why = text.refusal(name)
    if why or name != name.strip() or len(name) > LONGEST_COUNTRY:
        raise InvalidPolicy(
            f"home_country: it {why or 'has spaces around it or is too long'}; write it as your transactions name it, "
            f"in at most {LONGEST_COUNTRY} characters."
        )


def _known_fields() -> frozenset[str]:
    return frozenset().union(*(schema.known_to_rules for schema in SCHEMAS.values()))
