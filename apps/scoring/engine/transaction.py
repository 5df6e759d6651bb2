"""The schema of a kind of transaction: its fields, parties, amount and time, and the features read from it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from inspect import unwrap
from math import nan
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec
import numpy as np

from apps import card_numbers, text, times
from apps.scoring.engine.known_values import KnownValues
from apps.scoring.engine.operations import BLOCK, SCALAR, Operations, instant

if TYPE_CHECKING:
    from apps.scoring.engine.rules import BuiltIn, Typology
from apps.scoring.engine.features import Feature
from apps.scoring.engine.field_types import is_kind, may_hold_cards, metas
from apps.scoring.engine.parties import Party, Role, recognised_parties
from apps.scoring.engine.values import NOWHERE, Columns, Values

MOST_NAMED = 5  # unknown fields a warning names
NAME_CUT = 40  # characters of each
FOREVER = 2**53  # ms; after any event, and exact as a float
MOST_LOOKED_AT = 100  # unknown fields searched for card numbers, so that the sender hears of them: none is kept
FARTHEST_AHEAD_MS = 86_400_000  # clocks differ, and zones are forgotten
FARTHEST_BACK_MS = 3_653 * 86_400_000
NO_SECONDS = "; a count of seconds is not taken: it could be one of milliseconds."
IN_QUOTES = ", without quotes"  # told of a number or a flag that was sent as text
SAMPLES: tuple[Any, ...] = (1, 0.5, 0, -1, "x", True, "2026-01-15T10:30:00Z")  # one for every type of field
HOME_COUNTRY = "home_country"  # the tenant's, known to rules beside fields and features


class InvalidTransaction(ValueError):
    """A transaction that can't be scored. `param` is the offending field ("" for the whole body)."""

    def __init__(self, param: str, detail: str, *, missing: bool = False) -> None:
        super().__init__(detail)
        self.param = param
        self.detail = detail
        self.missing = missing


class Parsed(msgspec.Struct, frozen=True):
    """A transaction that can be scored: the struct as it was sent, the normalised facts as stored, what to tell the
    sender, when it happened (ms since 1970, or since its log began), and when it came (`FOREVER` where that can't be
    compared).

    `shown` and `facts` hold no card number: they may be stored, told and held against a policy. `transaction` and
    `sent`, the facts as they were sent, are for features, parties and hashes; without card numbers they are the same
    objects.
    """

    transaction: Any
    sent: dict[str, Any]
    shown: Any
    facts: dict[str, Any]
    warnings: tuple[str, ...] = ()
    at_ms: int = 0
    received_ms: int = FOREVER
    came_ms: int = 0  # when the request came, whatever the transaction says of time; 0 when nobody told

    @property
    def masked(self) -> tuple[str, ...]:
        """The fields whose card numbers are masked in `facts`."""
        if self.facts is self.sent:
            return ()
        return tuple(name for name, value in self.facts.items() if value is not self.sent[name])


def _nothing_to_remark(transaction: Any) -> tuple[str, ...]:
    return ()


def _nowhere(transaction: Any) -> str:
    return ""


def _as_it_is(transaction: Any) -> Any:
    return transaction


def _no_currency(transaction: Any) -> str | None:
    return None


@dataclass(eq=False)
class TransactionSchema:
    """One kind of transaction. `struct` declares its fields in the documented order, the required ones first.

    `build(transaction, at_ms, pasts, ops)` is the one definition of the features, in the order of `features`; `pasts`
    follow `roles`. `parties` tells names as they were written; who reads it here gets them as they are recognised.

    `directions` are the laws every model of the schema is fitted under: feature → 1 when more of it may never lower the
    score, -1 when more of it may never raise it; features that are not named are free. `unknown_as` says which value of
    a free feature every model takes an unknown one for, so that leaving it out is never better than its best value.
    `event_time_ms(transaction, received_ms, ops)` says when it happened. Both serve a row and a block.
    """

    name: str
    struct: type[msgspec.Struct]
    roles: tuple[Role, ...]
    features: tuple[Feature, ...]
    build: Callable[[Any, Any, Sequence[Any], Operations], tuple[Any, ...]]
    parties: Callable[[Any], tuple[Party, ...]]
    event_time_ms: Callable[[Any, Any, Operations], Any]
    amount: Callable[[Any], Any]
    transaction_id: Callable[[Any], str | None]
    rules: tuple["BuiltIn", ...]
    typologies: tuple["Typology", ...] = ()
    words: Mapping[str, Mapping[float, str]] = field(default_factory=dict)  # feature → what its numbers stand for
    reach: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # feature → its least and most, where known
    directions: Mapping[str, int] = field(default_factory=dict)
    unknown_as: Mapping[str, float] = field(default_factory=dict)
    known_values: Mapping[str, KnownValues] = field(default_factory=dict)  # text field → what it may mean
    place: Callable[[Any], str] = _nowhere  # where it happened, in the words of the tenant's home country
    #: Of columns: each role's names and their counterparties', where names alone are kept; `parties` for a block.
    party_columns: Callable[[Any], Sequence[tuple[Sequence[str | None], Sequence[str | None]]]] | None = None
    tidy: Callable[[Any], Any] = _as_it_is
    untouched: Callable[[Any], np.ndarray] | None = None  # of columns: the rows tidy leaves alone; None: nobody can say
    remarks: Callable[[Any], tuple[str, ...]] = _nothing_to_remark
    sample: Mapping[str, Any] = field(default_factory=dict)  # beside the required fields, where others reach furthest
    usuals: Mapping[str, Callable[[Any, float], float | None]] = field(default_factory=dict)  # feature → what is usual
    currency: Callable[[Any], str | None] = _no_currency  # of a transaction's amount, where that is told
    stranger: str = "No earlier payment of the user is known."  # said of a past nobody knows
    new_today: str = "No payment of the user from before the last 24 hours is known."  # of one that began today
    known_by: str = ""  # the feature that is above 0 for those whose past is known, a day old at least
    of_today: str = ""  # the feature that counts the payments of the last 24 hours
    flags: frozenset[str] = frozenset()  # features that are yes or no, and under a law: only one of the two accuses
    searched: tuple[str, ...] = ()  # fields whose values decisions are found by, beside their amount
    amount_field: str = "amount"
    ids: frozenset[str] = frozenset()  # fields that name a party, a thing or the transaction: see card_numbers.mask_id

    def __post_init__(self) -> None:
        declared = msgspec.structs.fields(self.struct)
        self.types: Mapping[str, Any] = get_type_hints(self.struct, include_extras=True)
        self.fields = tuple(field.name for field in declared)
        self.written_parties = unwrap(self.parties)  # by the names as they were sent
        self.parties = recognised_parties(self.parties)
        self.role_of: Mapping[str, Role] = {role.name: role for role in self.roles}
        self.required = frozenset(field.name for field in declared if field.required)
        self.feature_names = tuple(feature.name for feature in self.features)
        self.own: Mapping[str, str] = {
            feature.name: feature.field if feature.own else feature.name
            for feature in self.features
            if feature.own or feature.name in self.types
        }
        #: Of each feature, the fields of which any may be missing when it is unknown.
        self.needed = tuple(feature.needs or (feature.field,) for feature in self.features)
        #: Flag → the value that may be told as a reason for a higher risk; the other one only for a lower.
        self.accusing: Mapping[str, float] = {name: 1.0 if self.directions[name] > 0 else 0.0 for name in self.flags}
        codes = [feature.code for feature in self.features]
        #: Features that share their code with others: the index of each → the indexes of all of them.
        self.shares_a_code: Mapping[int, list[int]] = {
            index: [other for other, same in enumerate(codes) if same == code]
            for index, code in enumerate(codes)
            if codes.count(code) > 1
        }
        self.labels: Mapping[str, str] = {feature.name: feature.label for feature in self.features}
        self.known_to_rules = frozenset(self.fields) | frozenset(self.feature_names) | {HOME_COUNTRY}
        self._known = frozenset(self.fields)
        #: Where a feature stands in a row; fields that are none stand nowhere.
        self.place_of: Mapping[str, int] = dict.fromkeys(self.fields, NOWHERE) | {
            name: place for place, name in enumerate(self.feature_names)
        }
        #: The same as rules ask: a text that was not sent is unknown, whatever number a feature makes of that.
        self._asked_at = {
            name: NOWHERE if name in self.types and is_kind(str, self.types[name]) else place
            for name, place in self.place_of.items()
        }
        #: The field that says when it happened, where that is a date; other logs count from a start of their own.
        self.moment = next((name for name in self.fields if is_kind(datetime, self.types[name])), None)
        self._may_hold_cards = tuple(may_hold_cards(self.types, self.ids))
        #: Text fields whose unknown values are warned of, each with the values that are not.
        self._expected = tuple(
            (name, frozenset((*known.values, *known.synonyms)))
            for name, known in self.known_values.items()
            if known.consequence
        )
        self._fractional = frozenset(name for name in self.fields if is_kind(float, self.types[name]))
        self._integers = frozenset(name for name in self.fields if is_kind(int, self.types[name]))

    def parse(self, raw: bytes | dict[str, Any], received_ms: int = 0) -> Parsed:
        """Check a transaction strictly: no numbers in quotes, no NaN, nothing out of its bounds.

        `received_ms` is when the request came, for transactions that don't say their own time. Raises
        `InvalidTransaction` naming the first offending field in the documented order.
        """
        content = raw if isinstance(raw, dict) else _decode(raw)
        if isinstance(content, dict):
            content = self.read(content)
        try:
            transaction = msgspec.convert(content, self.struct)
        except (msgspec.ValidationError, OverflowError, RecursionError, UnicodeError, TypeError) as refusal:
            raise self._first_problem(content) from refusal
        if not _all_clean(content):
            for problem in self.problems(content):
                raise problem
        transaction = self.tidy(transaction)
        facts = {name: value for name, value in msgspec.structs.asdict(transaction).items() if value is not None}
        at_ms = int(self.event_time_ms(transaction, received_ms, SCALAR))
        masked = self._cards_in(transaction)
        shown = msgspec.structs.replace(transaction, **masked) if masked else transaction
        noticed = (
            *self._ignored(content, list(masked)), *self._far_off(transaction, at_ms, received_ms),
            *self._unknown_values(shown), *self._remarks(transaction, shown, masked),
        )  # fmt: skip
        came_ms = received_ms if received_ms and self.moment else FOREVER
        told = facts | masked if masked else facts
        return Parsed(transaction, facts, shown, told, noticed, at_ms, came_ms, received_ms)

    def _remarks(self, transaction: Any, shown: Any, masked: Mapping[str, Any]) -> tuple[str, ...]:
        """What the schema remarks; nothing when a number was masked: a remark would count with it, and tell it."""
        if any(not isinstance(getattr(transaction, name), str) for name in masked):
            return ()
        return self.remarks(shown)

    def kept_as(self, name: str, value: Any) -> Any:
        """What a field holds once a value was sent for it; None for one that counts as not sent.

        Raises `InvalidTransaction` for a value that no transaction can have there.
        """
        return self.parse({**self._any, name: value}).facts.get(name)

    @cached_property
    def _any(self) -> dict[str, Any]:
        """Some transaction: the required fields, each with the first sample it takes, and the schema's `sample`."""
        required = (name for name in self.fields if name in self.required)
        return {
            **{name: next(sample for sample in SAMPLES if self.problem(name, sample) is None) for name in required},
            **self.sample,
        }

    def read(self, content: dict[str, Any]) -> dict[str, Any]:
        """The content with what JSON has no word for. 15.0 is the integer 15: JSON knows one kind of number, and pandas
        writes whole columns so. A time is read as clients write them; what is none stays, to be refused."""
        for name, value in content.items():
            if type(value) is float and name in self._integers and value.is_integer():
                content = {**content, name: int(value)}
        if self.moment is not None and type(moment := content.get(self.moment)) is str:
            with suppress(ValueError):
                content = {**content, self.moment: times.read(moment)}
        return content

    def row(self, transaction: Any, at_ms: int, pasts: Sequence[Any]) -> tuple[float, ...]:
        """The features of one transaction, as Python floats in the order of `features`; `pasts` follow `roles`."""
        return self.build(transaction, float(at_ms), pasts, SCALAR)

    def block(self, columns: Any, at_ms: np.ndarray, pasts: Sequence[Any]) -> np.ndarray:
        """The features of n transactions given as columns, which happened at float64[n] ms: float64[n, features]."""
        built = self.build(columns, at_ms, pasts, BLOCK)
        return np.column_stack([np.asarray(column, dtype=np.float64) for column in built])

    def is_stranger(self, row: Sequence[float]) -> bool:
        """Whether it is by somebody whose past is not known, as far as the schema can tell."""
        return bool(self.known_by) and not row[self.place_of[self.known_by]] > 0.0

    def said_of_stranger(self, row: Sequence[float]) -> str:
        """What is not known of a stranger's past: beside what today's payments are told of, no more than that."""
        return self.new_today if self.of_today and row[self.place_of[self.of_today]] > 0.0 else self.stranger

    def recalled(self, facts: Mapping[str, Any]) -> SimpleNamespace:
        """A transaction from its stored facts, to be asked for its fields: None for what was not sent."""
        return SimpleNamespace(**{name: facts.get(name) for name in self.fields})

    def retyped(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Stored facts as they were before JSON and Postgres had them: in the order of the fields, times as times, and
        whole numbers of fractional fields as such."""
        told = self.read({name: facts[name] for name in self.fields if name in facts})
        whole = (name for name in told if type(told[name]) is int and name in self._fractional)
        return {**told, **{name: float(told[name]) for name in whole}}

    def columns(self, transactions: Sequence[Any]) -> "Columns":
        """Transactions as one array a field."""
        return Columns(lambda name: self.column(name, [getattr(transaction, name) for transaction in transactions]))

    def column(self, name: str, values: Sequence[Any]) -> np.ndarray:
        """A field's values as the features are built from them: float64 (None is nan), for texts objects."""
        if is_kind(str, self.types[name]):
            return np.array(values, dtype=object)
        if is_kind(datetime, self.types[name]):
            return np.array([instant(value) for value in values], dtype=np.float64)
        return np.array([nan if value is None else value for value in values], dtype=np.float64)

    def values(self, facts: Mapping[str, Any], row: Sequence[float], home_country: str = "") -> "Values":
        """What rules may ask about: every field (None when not given), every feature, the tenant's home country."""
        found = Values(facts)
        found[HOME_COUNTRY] = home_country
        found.look_up(self._asked_at, row)
        return found

    def problems(self, content: Any) -> Iterator[InvalidTransaction]:
        """Everything that is wrong with a transaction, in the documented order of its fields."""
        if not isinstance(content, dict):
            yield InvalidTransaction("", "The transaction must be a JSON object.")
            return
        content = self.read(content)
        for name in self.fields:
            if name in content:
                problem = self.problem(name, content[name])
            elif name in self.required:
                problem = InvalidTransaction(name, f"'{name}' is missing: send {self.needs(name)}.", missing=True)
            else:
                problem = None
            if problem:
                yield problem

    def _first_problem(self, content: Any) -> InvalidTransaction:
        return next(self.problems(content), InvalidTransaction("", "The transaction could not be read."))

    def problem(self, name: str, value: Any) -> InvalidTransaction | None:
        """What is wrong with one field's value; None when it would be taken."""
        quoted = type(value) is str and not any(is_kind(kind, self.types[name]) for kind in (str, datetime))
        must = f"'{name}' must be {self.needs(name)}{IN_QUOTES if quoted else ''}"
        try:
            checked = msgspec.convert(value, self.types[name])
        except (msgspec.ValidationError, OverflowError, RecursionError, UnicodeError, TypeError):
            return InvalidTransaction(name, must + (NO_SECONDS if name == self.moment and _counts(value) else "."))
        if isinstance(checked, str) and (why := text.refusal(checked)):
            return InvalidTransaction(name, f"{must}; it {why}.")
        return None if _finite(checked) else InvalidTransaction(name, f"{must}.")

    def meaning(self, name: str) -> str:
        """What a field is, in one or more sentences."""
        return next((meta.description for meta in metas(self.types[name]) if meta.description), "")

    def needs(self, name: str) -> str:
        """What has to be sent for a field: a number from 0 to 1, text of at most 128 printable characters."""
        for meta in metas(self.types[name]):
            if meta.extra and "needs" in meta.extra:
                return str(meta.extra["needs"])
        return "a valid value"

    def _cards_in(self, transaction: Any) -> dict[str, str]:
        """The fields with a card number in them, masked."""
        found = {}
        for name, mask in self._may_hold_cards:
            value = getattr(transaction, name)
            if value is None or (type(value) is str and len(value) < card_numbers.SHORTEST):
                continue  # nearly always
            if (masked := mask(value)) != value:
                found[name] = masked
        return found

    def _ignored(self, content: dict[str, Any], masked: list[str]) -> tuple[str, ...]:
        """The warnings of unknown fields, and of card numbers: in `masked` fields or in unknown ones."""
        unknown = content.keys() - self._known
        if not unknown:
            return card_numbers.warning(masked)
        return ignored("Unknown fields", {name: content[name] for name in content if name in unknown}, masked)

    def _unknown_values(self, transaction: Any) -> tuple[str, ...]:
        """A warning for each text that is none of its field's known values."""
        found = []
        for name, expected in self._expected:
            value = getattr(transaction, name)
            if value is not None and value not in expected:
                found.append(self.known_values[name].warning(name, value[:NAME_CUT]))
        return tuple(found)

    def _far_off(self, transaction: Any, at_ms: int, received_ms: int) -> tuple[str, ...]:
        """A time of the sender's that can hardly be meant: it is held to, for a past may be scored again."""
        ahead_ms = at_ms - received_ms
        if not received_ms or self.moment is None or -FARTHEST_BACK_MS <= ahead_ms <= FARTHEST_AHEAD_MS:
            return ()
        far = "more than a day ahead" if ahead_ms > 0 else "more than ten years ago"
        day = getattr(transaction, self.moment).date().isoformat()
        return (f"{self.moment} is {far} ({day}): is that meant? Recent activity was counted up to then.",)


def ignored(what: str, fields: Mapping[str, Any], masked: Sequence[str] = ()) -> tuple[str, ...]:
    """The warnings that fields were sent which nothing reads, the first few named, and of card numbers in them or in
    `masked`, fields that are read."""
    if not fields:
        return ()
    names = list(fields)
    named = [_safe(name) for name in names[:MOST_NAMED]]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    held = [name for name in names[:MOST_LOOKED_AT] if card_numbers.holds_one({name: fields[name]})]
    cards = card_numbers.warning([*masked, *map(_safe, held[:MOST_NAMED])])
    return (f"{what} were ignored: {', '.join(named)}{more}.", *cards)


def _decode(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeError, OverflowError) as refusal:
        raise InvalidTransaction("", "The transaction is not valid JSON.") from refusal


def _all_clean(content: Mapping[str, Any]) -> bool:
    """Whether no text and no number is wrong, unknown fields' included: as it was sent, before anything is tidied."""
    total = 0.0
    for value in content.values():
        if type(value) is float:
            total += value  # bounded fields can't overflow; nan and infinity stay what they are
        elif type(value) is str and text.refusal(value):
            return False
    return math.isfinite(total)


def _counts(value: Any) -> bool:
    """Whether a time may be meant as a count of seconds."""
    return type(value) in (int, float) or (type(value) is str and value.isdecimal())


def _finite(value: Any) -> bool:
    return math.isfinite(value) if isinstance(value, float) else True


def _safe(name: object) -> str:
    """A sender's own field name, short and harmless enough to be sent back and stored."""
    return (
        card_numbers.cut(str(name), NAME_CUT)
        .encode("ascii", "backslashreplace")
        .decode()[:NAME_CUT]
        .replace("\x00", "?")
    )
