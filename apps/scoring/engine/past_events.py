"""A past as it is kept: one bytes string of events, in order of event time. Pure. What it is for: `history.py`."""

from functools import lru_cache
from hashlib import blake2b
from struct import Struct

import numpy as np

from apps.scoring.engine.parties import Party
from apps.scoring.engine.transaction import FOREVER

# Event time in ms, amount, transaction hash, hashes of counterparty, kind, place and device, measure, flags.
EVENT = Struct("<qdQIIIIfI")
EVENT_BYTES = EVENT.size
_WHEN = Struct("<q")
_FLAGS = Struct("<I")
_TRANSACTION = slice(16, 24)  # of an event's bytes
FLAGS_AT = 44
EVENT_COLUMNS = np.dtype(
    [("when", "<i8"), ("amount", "<f8"), ("transaction", "<u8"), ("counterparty", "<u4"), ("kind", "<u4"),
     ("place", "<u4"), ("device", "<u4"), ("measure", "<f4"), ("flags", "<u4")]
)  # fmt: skip
REFUSED, FAILED = 1, 2  # flags: blocked or known to be fraud; refused by whoever was asked to pay
SINCE = 2  # bits below the minute since 1970 from which on `REFUSED` is known; 0: it always was
MINUTE_MS = 60_000
LOOKED_AT = 256  # events of a party, the newest at the transaction's time
KEPT = 512  # events of a party, the newest at the time of receipt; as many again dated after it
TRIMMED_AT = 640  # events: cutting off one at a time would write the whole past each time
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
TOLERATED_AHEAD_MS = HOUR_MS // 4
MOST_MEASURE = 3.0e38  # a float32 holds no more
NOBODY = 0  # the hash of an unknown name


@lru_cache(maxsize=4096)
def name_hash(name: str) -> int:
    """32 bits of BLAKE2b of a name; an empty name is `NOBODY`. Among 256 events no two names are taken for one."""
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "little") if name else NOBODY


def transaction_hash(name: str) -> int:
    """64 bits of BLAKE2b of a transaction's name."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


def event_of(party: Party, at_ms: int, amount: float, transaction: int) -> bytes:
    """A transaction as it is kept in the past of one of its parties: 48 bytes. The measure keeps 7 digits."""
    measure = min(max(party.measure, -MOST_MEASURE), MOST_MEASURE)
    names = (name_hash(party.counterparty), name_hash(party.kind), name_hash(party.place), name_hash(party.device))
    return EVENT.pack(at_ms, amount, transaction, *names, measure, FAILED if party.failed else 0)


def mark_of(event: bytes, known_ms: int | None = 0) -> tuple[bytes, bytes]:
    """An event's transaction, as it stands in the event, and the flags that mark it as one that makes no habit.

    `known_ms`: when that was learned, ms since 1970; rounded up to the minute, for nothing may see it sooner. 0: it
    was known at once. None: it makes a habit after all.
    """
    (flags,) = _FLAGS.unpack_from(event, FLAGS_AT)
    if known_ms is not None:
        flags |= REFUSED | -(-known_ms // MINUTE_MS) << SINCE
    return event[_TRANSACTION], _FLAGS.pack(flags)


def are_refused(flags: np.ndarray, at_ms: int) -> np.ndarray:
    """Which events are known at `at_ms` to make no habit: bool[n] of their flags."""
    return (flags & REFUSED != 0) & (flags >> SINCE <= max(0, at_ms // MINUTE_MS))


def refused(past: bytes, event: bytes, known_ms: int | None = 0) -> bytes:
    """The past with this event of it marked as `mark_of` says; `refusal.lua` does the same."""
    _, flags = mark_of(event, known_ms)
    at = copy_of(event, past, 0)
    return past if at < 0 else past[: at + FLAGS_AT] + flags + past[at + EVENT_BYTES :]


def newest_of(packed: bytes) -> bytes:
    """The last events of a past, as many as are looked at."""
    usable = len(packed) - len(packed) % EVENT_BYTES
    return packed[max(0, usable - LOOKED_AT * EVENT_BYTES) : usable]


def is_ahead(at_ms: int, received_ms: int) -> bool:
    """Whether a transaction is dated later than clocks differ."""
    return at_ms > received_ms + TOLERATED_AHEAD_MS


def seen_at(past: bytes, at_ms: int, received_ms: int = FOREVER) -> bytes:
    """What a transaction dated `at_ms` looks at of a party's past."""
    end = upto(past, at_ms)
    kept_from = upto(past, received_ms) - KEPT * EVENT_BYTES if end < len(past) else 0
    return past[max(0, kept_from, end - LOOKED_AT * EVENT_BYTES) : end]


def placed(past: bytes, event: bytes, received_ms: int = FOREVER) -> bytes:
    """The past with one more event in its place, after those of the same moment; or in place of its earlier copy.

    An event older than all that are kept is left out. One that is the latest looks for its copy among those that are
    looked at. `activity.lua` does the same to the bit: a test holds the two together.
    """
    end = upto(past, when_of(event))
    known = copy_of(event, past, len(past) - LOOKED_AT * EVENT_BYTES if end == len(past) else 0)
    if known < 0:
        return inserted(past, event, end, received_ms)
    if past.startswith(event, known):
        return past
    others = past[:known] + past[known + EVENT_BYTES :]
    end = upto(others, when_of(event))
    return others[:end] + event + others[end:]


def together(past: bytes, ahead: bytes) -> bytes:
    """What a transaction dated ahead looks at of both pasts, in order of event time."""
    if not ahead:
        return past
    events = np.frombuffer(past + ahead, EVENT_COLUMNS)
    return newest_of(events[np.argsort(events["when"], kind="stable")].tobytes())


def inserted(past: bytes, event: bytes, end: int, received_ms: int) -> bytes:
    if end < len(past) and len(past) >= KEPT * EVENT_BYTES and end <= upto(past, received_ms) - KEPT * EVENT_BYTES:
        return past
    return trimmed(past[:end] + event + past[end:], received_ms)


def trimmed(past: bytes, received_ms: int) -> bytes:
    """The newest `KEPT` of what can be past by now, and of what is dated later; once there are enough to cut off."""
    if len(past) <= TRIMMED_AT * EVENT_BYTES:
        return past
    by_now = upto(past, received_ms)
    if max(by_now, len(past) - by_now) <= TRIMMED_AT * EVENT_BYTES:
        return past
    kept = KEPT * EVENT_BYTES
    return past[max(0, by_now - kept) : by_now] + past[max(by_now, len(past) - kept) :]


def when_of(past: bytes, at: int = 0) -> int:
    return int(_WHEN.unpack_from(past, at)[0])


def upto(past: bytes, at_ms: int) -> int:
    """Where the events end that are dated no later than `at_ms`, in bytes."""
    if not past or when_of(past, len(past) - EVENT_BYTES) <= at_ms:
        return len(past)
    return int(np.frombuffer(past, EVENT_COLUMNS)["when"].searchsorted(at_ms, "right")) * EVENT_BYTES


def copy_of(event: bytes, past: bytes, start: int) -> int:
    """Where from `start` on an event of the same transaction stands in the past, -1 when none does."""
    found = past.find(event[_TRANSACTION], max(0, start))
    while found >= 0 and found % EVENT_BYTES != _TRANSACTION.start:
        found = past.find(event[_TRANSACTION], found + 1)
    return found - _TRANSACTION.start if found >= 0 else -1
