"""Text that others send: which of it is taken, and when two names are the same. Pure; one rule for every door.

Taken is all that can be written in Unicode, whatever is newer than this interpreter included: emoji, private use, marks
of direction, joiners, spaces of any width, line separators (U+2028, U+2029: not control characters, harmless in JSON).
Refused are control characters (U+0000 to U+001F, U+007F to U+009F), halves of characters (lone surrogates), which no
UTF-8 can hold, and what is blank: of such characters alone as nobody sees.
"""

import re
from collections.abc import Sequence
from unicodedata import normalize

from apps import card_numbers

#: White space as Unicode has it, the blank pattern of Braille, and what is as wide as nothing: soft hyphens, joiners,
#: marks of direction, byte order marks. At a name's ends they mean nothing.
SPACES = (
    "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\u2800"
    "\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
)
#: Unicode's default ignorable characters beyond those, which change the one before them or hold a place, and formats of
#: annotations, shorthand, music and hieroglyphs: nobody sees them by themselves.
UNSEEN = SPACES + (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2065\u206a-\u206f\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufffb"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_NEVER = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SEEN = re.compile(f"[^{UNSEEN}]")
_ENDS = re.compile(f"^[{SPACES}]+|[{SPACES}]+\\Z")


def refusal(text: str) -> str:
    """Why a text is not taken, as the end of a sentence about it; "" when it is. An empty one is the field's matter."""
    if text.isascii() and text.isprintable():  # nearly every text there is
        return "is blank" if text.isspace() else ""
    return forbidden(text) or ("" if _SEEN.search(text) else "is blank")


def forbidden(text: str) -> str:
    """Why a text may stand nowhere, not even where a blank one may; "" when it may."""
    found = _NEVER.search(text)
    return f"holds {_called(ord(found.group()))}" if found else ""


def _called(number: int) -> str:
    return f"{'a control character' if number < 0xA0 else 'half a character'} (U+{number:04X})"


def unstorable(text: str) -> bool:
    """Whether no store of ours can hold a text."""
    return _UNSTORABLE.search(text) is not None


def storable(text: str) -> str:
    """The text with U+FFFD, the sign for a character that could not be, for what no store can hold."""
    return _UNSTORABLE.sub("\ufffd", text)


def composed(text: str) -> str:
    """A text in Unicode's form NFC: "é" is one character, however it was typed."""
    return text if text.isascii() else normalize("NFC", text)


def spellings(text: str) -> tuple[str, ...]:
    """A text as it may be stored, composed or not."""
    return (text,) if text.isascii() else tuple({text, composed(text), normalize("NFD", text)})


def all_recognised(names: Sequence[str | None]) -> list[str]:
    """`recognised` of many names, "" of those there are not: of names of ASCII alone in half the time."""
    told = [name or "" for name in names]
    joined = "\n".join(told)
    if not joined.isascii() or joined.count("\n") != max(len(told) - 1, 0):
        return [recognised(name) for name in told]
    lowered = map(str.strip, joined.lower().split("\n") if told else ())
    return [name if len(name) < card_numbers.SHORTEST else card_numbers.name_of(name) for name in lowered]


def recognised(name: str) -> str:
    """Who a name names, however it is written: composed (NFC), without case, trimmed of what nobody sees; a card
    number by its digits. Parties, items of lists and the hashes of what is masked all go by it."""
    if name.isascii():
        return card_numbers.name_of(name.strip().lower())
    return card_numbers.name_of(_ENDS.sub("", normalize("NFC", normalize("NFD", name).casefold())))
