"""Card numbers (PANs) in what others send: found in any text and masked, first six and last four digits left. Pure.

Found is what a person would read as one: 13 to 19 decimal digits of any script that pass Luhn's check (ISO/IEC 7812-1),
written together or with up to three spaces, dashes, pluses or invisible characters between two of them, also
percent-encoded. The separators stay, every hidden digit becomes an asterisk: a text keeps its length, and masking it
again changes nothing. What is no card although Luhn's check passes (it does for one number in ten):

    a run of 20 digits and more; a moment, as ms, µs or ns since 1970 or as YYYYMMDDhhmmss
    zeros; a fraction, 0.…; a telephone number with its +
    the digits of a UUID or of a hexadecimal word of 24 characters and more
    some groups out of a longer row of groups, unless an issuer's range and length fit
    in an id, or as a number: whatever no issuer's range and length fit

`NETWORKS` is the table of ranges and lengths.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

SHORTEST, LONGEST = 13, 19
LONGEST_CALL = 15  # digits of a telephone number with its country's, by E.164
SHOWN_FIRST, SHOWN_LAST = 6, 4
#: A cut never shows more of a number than its mask: so much more than what is kept is looked at.
AHEAD = 120


class Network(NamedTuple):
    """Who issues: first digits from `low` to `high`, and how long such numbers are."""

    name: str
    low: str
    high: str
    lengths: frozenset[int]


def _of(name: str, lengths: range | tuple[int, ...], *ranges: str) -> tuple[Network, ...]:
    bounds = [one.split("-") for one in ranges]
    return tuple(Network(name, bound[0], bound[-1], frozenset(lengths)) for bound in bounds)


_16_TO_19 = range(16, 20)
#: The issuers' ranges, as they and ISO's register publish them.
NETWORKS: tuple[Network, ...] = (
    *_of("Visa", (13, 16, 19), "4"),
    *_of("Mastercard", (16,), "51-55", "2221-2720"),
    *_of("American Express", (15,), "34", "37"),
    *_of("Discover", _16_TO_19, "6011", "622126-622925", "644-649", "65"),
    *_of("Diners Club", range(14, 20), "300-305", "3095", "36", "38-39"),
    *_of("JCB", _16_TO_19, "3528-3589"),
    *_of("JCB, old", (15,), "1800", "2131"),
    *_of("UnionPay", _16_TO_19, "62", "81"),
    *_of("Maestro", range(13, 20), "5018", "5020", "5038", "5893", "6304", "6759", "6761-6763"),
    *_of("Maestro and national ones in its ranges", _16_TO_19, "50", "56-58", "6"),
    *_of("Switch", (16, 18, 19), "4903", "4905", "4911", "4936"),
    *_of("Mir", _16_TO_19, "2200-2204"),
    *_of("RuPay", (16,), "353", "356", "508", "60", "65", "81-82"),
    *_of("Troy", (16,), "65", "9792"),
    *_of("Verve", (16, 18, 19), "506099-506198", "507865-507964", "650002-650027"),
    *_of("Elo", (16,), "504175", "506699-506778", "509", "627780", "636297", "636368", "650031-650051"),
    *_of("Hipercard", (13, 16, 19), "3841", "606282", "637095", "637568", "637599", "637609", "637612"),
    *_of("UzCard", (16,), "5614", "8600"),
    *_of("Humo", (16,), "9860"),
    *_of("Elcart", (16,), "9417"),
    *_of("Belkart", (16,), "9112"),
)

# --- what is looked at ---

# Between two digits of one number: spaces, dashes, minus and plus, and what is not seen at all.
_DASHES = (
    r"\-+\u02d7\u058a\u05be\u1400\u1806\u2010-\u2015\u207b\u2212\u2e17\u2e3a\u2e3b\u301c\u3030\u30a0\ufe58\ufe63\uff0d"
)
_UNSEEN = r"\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe0f\ufeff\u20e3"
_BETWEEN = rf"[\s{_DASHES}{_UNSEEN}]{{0,3}}"
_ROW = rf"\d(?:{_BETWEEN}\d){{{SHORTEST - 1},}}"
#: Whether a text is worth a second look: most are not, and pay for this alone.
_look = re.compile(_ROW).search
_rows = re.compile(_ROW).finditer
_groups = re.compile(r"\d+").finditer
_alone = re.compile(_ROW).fullmatch
_escape = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
# Hexadecimal words: digests, our own ids, UUIDs.
_hexadecimal = re.compile(
    r"(?<![0-9A-Za-z])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])(?=[0-9]*[a-fA-F])(?:[0-9a-f]{24,}|[0-9A-F]{24,})(?![0-9A-Za-z])"
).finditer
_MOMENT = re.compile(
    r"1[4-9](?:\d{11}|\d{14}|\d{17})"  # since 1970: from 2014 to 2033
    r"|20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])(?:[0-5]\d){2}(?:\d{3})?"
).fullmatch
_A_FRACTION = re.compile(r"(?<![\w.])0\.$").search
_A_CALL = re.compile(r"(?<![^\s(,:;=])\+$").search

Span = tuple[int, int]


def mask(text: str) -> str:
    """The text with every card number in it masked."""
    return _masked(text, is_id=False)


def mask_id(text: str) -> str:
    """The same of an id: a number in it is a card's only if an issuer's range and length fit."""
    return _masked(text, is_id=True)


def mask_number(number: int | float) -> int | float | str:
    """The number, or the masked text of one that is a card's by an issuer's range and length."""
    if not 10 ** (SHORTEST - 1) <= number < 10**LONGEST or number != int(number):
        return number
    digits = str(int(number))
    return _stars(digits) if _passes_luhn(digits) and of_network(digits) else number


def mask_json(value: Any) -> Any:
    """Anything JSON can say, with its names, masked; the same object when there is nothing to mask."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return mask_number(value)
    if isinstance(value, Mapping):
        masked = {mask_json(name): mask_json(one) for name, one in value.items()}
        return value if masked == value else masked
    if isinstance(value, list | tuple):
        rows = [mask_json(one) for one in value]
        return value if all(one is other for one, other in zip(rows, value, strict=True)) else rows
    return value


def name_of(name: str) -> str:
    """A name that is a card number and nothing else by its digits, however they are set apart; any other as it is.

    The issuer is not asked: a number that may be a card's is one number, whoever gave it out.
    """
    if len(name) < SHORTEST or not name[0].isdecimal() or not _alone(name):
        return name
    digits = _plain(name)
    return digits if len(digits) <= LONGEST and _passes_luhn(digits) else name


def holds_one(value: Any, characters: int = 20_000) -> bool:
    """Whether a card number stands anywhere in a JSON value, its first `characters` looked at."""
    looked = 0
    for leaf in _leaves(value):
        beginning = leaf[:characters] if isinstance(leaf, str) else leaf
        if mask_json(beginning) != beginning:
            return True
        looked += len(beginning) if isinstance(beginning, str) else LONGEST
        if looked > characters:
            return False
    return False


def cut(text: str, characters: int) -> str:
    """The beginning of a stranger's text, masked before it is cut: a part of a number would not be known as one."""
    return mask(text[: characters + AHEAD])[:characters]


def warning(places: list[str]) -> tuple[str, ...]:
    """What the sender is told when something was masked, or nothing."""
    if not places:
        return ()
    return (f"Card numbers were masked in: {', '.join(places)}. Send none: the first six and last four digits do.",)


def of_network(digits: str) -> bool:
    """Whether an issuer's range and length fit."""
    return any(
        len(digits) in network.lengths and network.low <= digits[: len(network.low)] <= network.high
        for network in NETWORKS
    )


# --- how ---


def _masked(text: str, *, is_id: bool) -> str:
    """Until nothing is left: what stays of one number may, with what stood beside it, be another."""
    if len(text) < SHORTEST:
        return text
    while _look(text) and (spans := _spans(text, is_id)):
        text = _starred(text, spans)
    return _through_escapes(text, is_id) if "%" in text and _escape.search(text) else text


def _starred(text: str, spans: list[Span]) -> str:
    pieces, at = [], 0
    for start, end in spans:
        pieces += [text[at:start], _stars(text[start:end])]
        at = end
    return "".join([*pieces, text[at:]])


def _spans(text: str, is_id: bool) -> list[Span]:
    """Where card numbers stand, in their order."""
    words: list[Span] | None = None
    found: list[Span] = []
    for row in _rows(text):
        for span in _in_row(text, row.span(), is_id):
            if words is None:
                words = [word.span() for word in _hexadecimal(text)]
            if not any(start <= span[0] and span[1] <= end for start, end in words):
                found.append(span)
    return found


def _in_row(text: str, row: Span, is_id: bool) -> Iterator[Span]:
    """The numbers in one row of groups of digits, the likeliest at each place, from left to right."""
    groups = [group.span() for group in _groups(text, *row)]
    digits = "".join(_plain(text[start:end]) for start, end in groups)
    ends = list(accumulate(end - start for start, end in groups))
    luhn = _Luhn(digits)
    first = 0
    while first < len(groups):
        last = _last_of_card(text, groups, digits, ends, first, luhn, is_id)
        if last is not None:
            yield groups[first][0], groups[last][1]
        first = first + 1 if last is None else last + 1


def _last_of_card(
    text: str, groups: list[Span], digits: str, ends: list[int], first: int, luhn: "_Luhn", is_id: bool
) -> int | None:
    """The group a card number that begins with group `first` ends with: an issuer's if there is one, the longest."""
    begin = ends[first - 1] if first else 0
    best: int | None = None
    best_fits = False
    for last in range(first, len(groups)):
        length = ends[last] - begin
        if length > LONGEST:
            break
        if length < SHORTEST or not luhn.passes(begin, ends[last]):
            continue
        number = digits[begin : ends[last]]
        fits = of_network(number)
        whole = first == last or (first == 0 and last == len(groups) - 1)
        if not (fits or (whole and not is_id)) or fits < best_fits:
            continue
        if not _is_none(text[: groups[first][0]][-3:], number, together=first == last):
            best, best_fits = last, fits
    return best


def _is_none(before: str, number: str, *, together: bool) -> bool:
    """What is written like a card number and is none; `before`: the characters before it."""
    if not together:
        return not number.strip("0")
    calls = len(number) <= LONGEST_CALL and _A_CALL(before)
    return bool(not number.strip("0") or _MOMENT(number) or _A_FRACTION(before) or calls)


class _Luhn:
    """Luhn's check of any part of a row of digits, each in one step: sums up to every place, of both alternations."""

    def __init__(self, digits: str) -> None:
        values = [int(digit) for digit in digits]
        doubled = [2 * value - 9 if value > 4 else 2 * value for value in values]
        self._sums = tuple(
            [0, *accumulate(doubled[i] if i % 2 == parity else values[i] for i in range(len(values)))]
            for parity in (0, 1)
        )

    def passes(self, begin: int, end: int) -> bool:
        """The last digit is counted once, the one before it doubled, and so on."""
        sums = self._sums[end % 2]
        return (sums[end] - sums[begin]) % 10 == 0


def _passes_luhn(digits: str) -> bool:
    return _Luhn(digits).passes(0, len(digits))


def _plain(text: str) -> str:
    """Its digits as 0 to 9."""
    return "".join([one if one.isascii() else str(int(one)) for one in text if one.isdecimal()])


def _stars(text: str) -> str:
    """A number with all digits but the first six and last four as asterisks."""
    last_hidden = sum(map(str.isdecimal, text)) - SHOWN_LAST
    place = 0
    shown: list[str] = []
    for one in text:
        place += one.isdecimal()
        shown.append("*" if one.isdecimal() and SHOWN_FIRST < place <= last_hidden else one)
    return "".join(shown)


def _through_escapes(text: str, is_id: bool) -> str:
    """The same of a text with percent-encoded characters: found in what they stand for, masked where they stand."""
    pieces = _pieces(text)
    plain = "".join([one for one, _ in pieces])
    while _look(plain) and (spans := _spans(plain, is_id)):
        plain = _starred(plain, spans)
    return "".join([written if one == other else other for (one, written), other in zip(pieces, plain, strict=True)])


def _pieces(text: str) -> list[tuple[str, str]]:
    """Each character a text stands for, and how it is written there."""
    pieces: list[tuple[str, str]] = []
    at = 0
    for escape in _escape.finditer(text):
        pieces += [(one, one) for one in text[at : escape.start()]]
        pieces += _decoded(escape.group())
        at = escape.end()
    return pieces + [(one, one) for one in text[at:]]


def _decoded(escapes: str) -> list[tuple[str, str]]:
    """Escapes character by character; bytes that are no UTF-8 stay what they are."""
    plain = unquote_to_bytes(escapes).decode("utf-8", "surrogateescape")
    written: list[tuple[str, str]] = []
    at = 0
    for one in plain:
        length = 3 * len(one.encode("utf-8", "surrogateescape"))
        written.append((one, escapes[at : at + length]))
        at += length
    return written


def _leaves(value: Any) -> Iterator[str | int | float]:
    """The texts and numbers of a JSON value, names included, without recursion: others nest as they like."""
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += [*one.values(), *one.keys()]
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, str | int | float) and not isinstance(one, bool):
            yield one
