"""Aggregates a tenant names: velocity over a party of its choosing, which rules ask for as `aggregates.NAME`. Pure.

An aggregate counts one kind of transaction by one or two of its fields: how many, how much, how many different ones,
how long ago. What is kept of a party is a past like those of `history.py`, in the same 48-byte events and under the
same rules: the newest `LOOKED_AT` by event time, a repeated transaction once, those dated ahead apart, and

    t - window < event time <= t, the present transaction never among them.

Aggregates that count the same transactions by the same fields share one past (`aggregate_plan.py`), whatever their
windows.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from math import nan
from operator import add
from struct import Struct
from typing import Annotated, Literal, NamedTuple, get_args

import msgspec
from msgspec import Meta

from apps.scoring.engine.expressions.tokens import LONGEST
from apps.scoring.engine.known_aggregates import PREFIX, KnownAggregates
from apps.scoring.engine.past_events import (
    DAY_MS,
    EVENT,
    EVENT_BYTES,
    HOUR_MS,
    MINUTE_MS,
    name_hash,
    newest_of,
)
from apps.scoring.engine.windows import FEW, looked_at_before

Function = Literal["count", "sum", "max", "average", "distinct", "since_last"]
Window = Literal[
    "1m", "5m", "10m", "15m", "30m", "1h", "2h", "3h", "6h", "12h", "24h", "2d", "3d", "7d", "14d", "30d"
]  # fmt: skip
#: The windows there are, in ms.
WINDOWS: dict[Window, int] = {
    name: int(name[:-1]) * {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}[name[-1]] for name in get_args(Window)
}
MONTH_MS = max(WINDOWS.values())
#: What each function wants to be told of beside the party: a number, somebody or something by name, or nothing.
WANTS: dict[Function, Literal["", "number", "name"]] = {
    "count": "", "sum": "number", "max": "number", "average": "number", "distinct": "name", "since_last": "",
}  # fmt: skip
#: Functions that reach from 0 to as many events as are looked at, and those that never fall below 0.
UP_TO_LOOKED_AT: tuple[Function, ...] = ("count", "distinct")
NEVER_BELOW_NOTHING: tuple[Function, ...] = ("count", "distinct", "since_last")
MOST_FIELDS = 2  # by which is counted
MOST_COUNTED = 20  # of one kind of transaction
MOST_KEPT = 200  # archived ones included
#: Numbers that name something, beside all texts, by kind of transaction.
NAMING_NUMBERS = {
    "card_activity": ("User_ID", "Merchant_ID", "Device_ID"),
    "ieee_cis": ("card1", "card2", "card3", "card5", "addr1", "addr2"),
}
#: Texts that name the transaction itself.
OF_ITSELF = "transaction_id"

AggregateName = Annotated[
    str,
    Meta(
        max_length=40,
        pattern=r"^[a-z][a-z0-9_]*\Z",
        description="Rules ask for it by this name: `aggregates.card_count_1h`. Small letters, digits and _.",
    ),
]


class Aggregate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tenant has counted: `function` over a `window` of the transactions of a `schema` that share what they hold
    in the fields `by`, and of which `where` holds. `of` is the field that is summed, or told apart."""

    name: AggregateName
    schema: str
    by: Annotated[tuple[str, ...], Meta(min_length=1, max_length=MOST_FIELDS)]
    function: Function
    window: Window
    of: str = ""
    where: Annotated[str, Meta(max_length=LONGEST)] = ""
    description: Annotated[str, Meta(max_length=200)] = ""
    archived: bool = False  # neither counted nor asked for any more

    @property
    def asked_as(self) -> str:
        """The name rules ask for it by."""
        return f"{PREFIX}{self.name}"

    @property
    def window_ms(self) -> int:
        return WINDOWS[self.window]

    @property
    def counts(self) -> tuple[str, ...]:
        """What it counts, whatever it is called."""
        return (self.schema, *self.by, self.function, self.of, self.window, self.where)


def counted_by(aggregates: Sequence[Aggregate], schema_name: str) -> tuple[Aggregate, ...]:
    """Those in use of one kind of transaction."""
    return tuple(one for one in aggregates if one.schema == schema_name and not one.archived)


def event(at_ms: int, transaction: int, number: float, name: str) -> bytes:
    """A transaction as it is kept in the past of an aggregate's party: with its number, or the hash of a name."""
    return EVENT.pack(at_ms, number, transaction, name_hash(name), 0, 0, 0, 0.0, 0)


#: Of an event what aggregates read: time, number, transaction and name.
_READ = Struct("<qdQI20x")


class _Seen(NamedTuple):
    """The events of a past, each transaction once and the present one never, the oldest first; names are hashes."""

    when: Sequence[int]
    numbers: Sequence[float]
    names: Sequence[int]


NOTHING = _Seen((), (), ())


class Asked(NamedTuple):
    """An aggregate, as far as it is asked of a past."""

    value: "Value"
    window_ms: int


def asked_of(aggregates: Iterable[Aggregate]) -> tuple[Asked, ...]:
    """Aggregates as `values_of` takes them."""
    return tuple(Asked(VALUES[one.function], one.window_ms) for one in aggregates)


def values_of(asked: Sequence[Asked], past: bytes, at_ms: int, transaction: int) -> list[float]:
    """What aggregates of one source come to for a transaction, given what it sees of its party's past.

    nan: nothing is known, as of the largest of nothing.
    """
    seen = _seen(newest_of(past), at_ms, transaction) if past else NOTHING
    when = seen.when
    return [value(seen, bisect_right(when, at_ms - window_ms), at_ms) for value, window_ms in asked]


def _seen(past: bytes, at_ms: int, transaction: int) -> _Seen:
    """The events a transaction counts; many are read as arrays, which takes the same from them."""
    if len(past) > FEW * EVENT_BYTES:
        events = looked_at_before(past, at_ms, transaction, MONTH_MS)[::-1]
        return _Seen(events["when"].tolist(), events["amount"].tolist(), events["counterparty"].tolist())
    when, numbers, transactions, names = zip(*_READ.iter_unpack(past), strict=True)
    if when[-1] <= at_ms and transaction not in transactions and len(set(transactions)) == len(transactions):
        return _Seen(when, numbers, names)
    last = {one: place for place, one in enumerate(transactions)}  # of a repeated one the newest counts
    kept = [place for place in sorted(last.values()) if transactions[place] != transaction and when[place] <= at_ms]
    return _Seen(*([column[place] for place in kept] for column in (when, numbers, names)))


def _count(seen: _Seen, begin: int, at_ms: int) -> float:
    return float(len(seen.when) - begin)


def _sum(seen: _Seen, begin: int, at_ms: int) -> float:
    """From the newest to the oldest, always in that order: equal to the bit wherever it is made."""
    return reduce(add, seen.numbers[begin:][::-1], 0.0)


def _max(seen: _Seen, begin: int, at_ms: int) -> float:
    return max(seen.numbers[begin:], default=nan)


def _average(seen: _Seen, begin: int, at_ms: int) -> float:
    count = len(seen.when) - begin
    return _sum(seen, begin, at_ms) / count if count else nan


def _distinct(seen: _Seen, begin: int, at_ms: int) -> float:
    return float(len(set(seen.names[begin:])))


def _since_last(seen: _Seen, begin: int, at_ms: int) -> float:
    return (at_ms - seen.when[-1]) / 1000.0 if begin < len(seen.when) else nan


#: What an aggregate comes to, of the events from `begin` on, for a transaction at a moment.
Value = Callable[[_Seen, int, int], float]
VALUES: dict[Function, Value] = {
    "count": _count, "sum": _sum, "max": _max, "average": _average, "distinct": _distinct, "since_last": _since_last,
}  # fmt: skip


def told(asked: Sequence[Aggregate], known: KnownAggregates | None) -> list[float]:
    """What is known of aggregates, in their order; nan where nothing is."""
    return [nan if known is None else known.get(one.asked_as, nan) for one in asked]
