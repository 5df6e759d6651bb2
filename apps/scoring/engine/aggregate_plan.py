"""What a policy has counted of one kind of transaction, ready to be asked: whose pasts, and what goes in. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from apps.scoring.engine.aggregates import WANTS, Aggregate, Asked, asked_of, counted_by, event, values_of
from apps.scoring.engine.block import Block
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.expressions.grammar import parse
from apps.scoring.engine.expressions.lowering import lower
from apps.scoring.engine.expressions.many_rows import Rows
from apps.scoring.engine.expressions.meaning import Always, Condition, Of, variables
from apps.scoring.engine.expressions.one_row import function_of
from apps.scoring.engine.past_events import EVENT_COLUMNS, name_hash
from apps.scoring.engine.rule_fields import fields_of
from apps.scoring.engine.rule_programs import BROKEN, number_of, text_of
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import Parsed
from apps.text import recognised

#: Between the names of two fields by which is counted together: stands in no text that is taken.
BETWEEN = "\x1f"
DAY_SECONDS = 86_400

#: A name as it may be stored.
Hide = Callable[[str], str]


class Source(NamedTuple):
    """The transactions one past is kept of, by which fields, and what of each: a number, and a name ("": none)."""

    schema: str
    by: tuple[str, ...]
    where: str
    number: str
    name: str

    @property
    def id(self) -> str:
        """16 characters that name it in keys."""
        return blake2b(repr(tuple(self)).encode(), digest_size=8).hexdigest()


def source_of(one: Aggregate) -> Source:
    """What an aggregate's past is kept of. Where no other number is asked for it is the amount: so what is counted and
    what is summed share a past."""
    wants = WANTS[one.function]
    number = one.of if wants == "number" else SCHEMAS[one.schema].amount_field
    return Source(one.schema, one.by, one.where, number, one.of if wants == "name" else "")


class Part(NamedTuple):
    """A transaction's part in one source: whose past it looks at ("": nobody's), its event, and whether that `adds`."""

    party: str
    event: bytes
    adds: bool


@dataclass(frozen=True, eq=False)
class Plan:
    """The sources of one kind of transaction, and the aggregates each of them is for."""

    schema_name: str
    aggregates: tuple[Aggregate, ...]

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        return tuple(dict.fromkeys(map(source_of, self.aggregates)))

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The sources' names in keys."""
        return tuple(one.id for one in self.sources)

    @cached_property
    def asked(self) -> tuple[tuple[Aggregate, ...], ...]:
        """Each source's aggregates."""
        return tuple(tuple(one for one in self.aggregates if source_of(one) == source) for source in self.sources)

    @cached_property
    def life_seconds(self) -> tuple[int, ...]:
        """How long each source's pasts are kept after somebody was last named: a day beyond the longest window."""
        return tuple(max(one.window_ms for one in asked) // 1000 + DAY_SECONDS for asked in self.asked)

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Which transactions each source counts."""
        fields = fields_of(SCHEMAS[self.schema_name])
        return tuple(lower(parse(one.where), fields).true if one.where else Always(True) for one in self.sources)

    @cached_property
    def asks(self) -> Mapping[str, Of]:
        """The fields the conditions ask for, with whether each is a number or a text."""
        fields = fields_of(SCHEMAS[self.schema_name])
        names = sorted(frozenset[str]().union(*map(variables, self.conditions)))
        return {name: "text" if fields[name].kind == "text" else "number" for name in names}

    @cached_property
    def _holds(self) -> Callable[[Sequence[Any]], tuple[bool, ...]]:
        return function_of(self.conditions, tuple(self.asks), ())

    @cached_property
    def _told(self) -> "tuple[_Told, ...]":
        return tuple(map(_told_of, self.asked))

    def counts(self, facts: Mapping[str, Any]) -> tuple[bool, ...]:
        """Of which sources a transaction with these facts is one."""
        if not self.asks:
            return (True,) * len(self.sources)
        readers = ((name, text_of if of == "text" else number_of) for name, of in self.asks.items())
        seen = [read(facts.get(name)) for name, read in readers]
        try:
            return self._holds(seen)
        except BROKEN:  # nothing that was published does
            return (False,) * len(self.sources)

    def parts(self, parsed: Parsed, transaction: int, hide: Hide) -> list[Part]:
        """A transaction's part in each source; who its parties are is hidden by `hide`."""
        told, parties, events = parsed.transaction, dict[tuple[str, ...], str](), dict[Any, tuple[bytes, bool]]()
        found = []
        for source, counts in zip(self.sources, self.counts(parsed.facts), strict=True):
            if (party := parties.get(source.by)) is None:
                party = parties[source.by] = hide(party_of([getattr(told, field) for field in source.by]))
            if (kept := events.get(source[3:])) is None:
                kept = events[source[3:]] = _event(source, told, parsed.at_ms, transaction, hide)
            found.append(Part(party, kept[0], counts and kept[1]))
        return found

    def told(self, pasts: Sequence[bytes | None], at_ms: int, transaction: int) -> dict[str, float]:
        """What the aggregates come to, given what the transaction sees of each source's past (None: of nobody)."""
        found: dict[str, float] = {}
        for (names, asked, of_nothing), past in zip(self._told, pasts, strict=True):
            if past:
                found.update(zip(names, values_of(asked, past, at_ms, transaction), strict=True))
            elif past is not None:
                found.update(of_nothing)
        return found


class _Told(NamedTuple):
    """A source's aggregates: by which names rules ask for them, how they are asked, what they are of an empty past."""

    names: tuple[str, ...]
    asked: tuple[Asked, ...]
    of_nothing: Mapping[str, float]


def _told_of(aggregates: Sequence[Aggregate]) -> _Told:
    names, asked = tuple(one.asked_as for one in aggregates), asked_of(aggregates)
    return _Told(names, asked, dict(zip(names, values_of(asked, b"", 0, 0), strict=True)))


def _event(source: Source, told: Any, at_ms: int, transaction: int, hide: Hide) -> tuple[bytes, bool]:
    """A transaction as it is kept in a source's pasts, and whether its number and its name were sent."""
    number = number_of(getattr(told, source.number))
    name = word_of(getattr(told, source.name)) if source.name else ""
    is_known = number == number and bool(name or not source.name)
    return event(at_ms, transaction, number if number == number else 0.0, hide(name)), is_known


def plan_of(policy: Policy, schema_name: str) -> Plan:
    """What a policy has counted of one kind of transaction; made when first asked for."""
    found = policy.aggregate_plans.get(schema_name)
    if found is None:
        found = policy.aggregate_plans[schema_name] = Plan(schema_name, counted_by(policy.aggregates, schema_name))
    return found


def party_of(values: Sequence[Any]) -> str:
    """What a transaction holds in the fields by which is counted, as one name; "" unless all of them were sent."""
    words = [word_of(value) for value in values]
    return BETWEEN.join(words) if all(words) else ""


def word_of(value: Any) -> str:
    """A name however it is spelled, a number without a fraction; "" for what was not sent."""
    if value is None or value != value:
        return ""
    if type(value) is str:
        return recognised(value)
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


# --- blocks -----------------------------------------------------------------------------------------------------------


class PartBlock(NamedTuple):
    """n transactions' parts in one source: object[n] names of parties ("": nobody's), EVENT_COLUMNS[n], and which of
    them are counted, bool[n]."""

    parties: list[str]
    events: np.ndarray
    adds: np.ndarray


def parts_of_block(plan: Plan, block: Block, transactions: np.ndarray, hide: Hide) -> list[PartBlock]:
    """A block's parts in each source, what `Plan.parts` says of each row; `transactions` are uint64[n] hashes."""
    counts = _counts_of_block(plan, block)
    return [
        _part_of_block(source, block, transactions, some, hide)
        for source, some in zip(plan.sources, counts, strict=True)
    ]


def _part_of_block(source: Source, block: Block, transactions: np.ndarray, counts: np.ndarray, hide: Hide) -> PartBlock:
    known = {"": ""}
    names = _joined([_words(block, field) for field in source.by])
    parties = [known[one] if one in known else known.setdefault(one, hide(one)) for one in names]
    events, numbers = np.zeros(len(block), EVENT_COLUMNS), getattr(block.columns, source.number)
    events["when"], events["transaction"] = block.at_ms, transactions
    events["amount"], counts = np.where(numbers == numbers, numbers, 0.0), counts & (numbers == numbers)
    if source.name:
        told = _words(block, source.name)
        hashed = {word: name_hash(hide(word)) for word in set(told)}
        events["counterparty"] = [hashed[word] for word in told]
        counts = counts & np.array([bool(word) for word in told], dtype=bool)
    return PartBlock(parties, events, counts)


def _words(block: Block, field: str) -> list[str]:
    return [word_of(value) for value in getattr(block.columns, field).tolist()]


def _joined(words: Sequence[Sequence[str]]) -> list[str]:
    return [BETWEEN.join(row) if all(row) else "" for row in zip(*words, strict=True)]


def _counts_of_block(plan: Plan, block: Block) -> list[np.ndarray]:
    """bool[n] of each source; of rows whose facts are masked by their facts, as a single call has it."""

    def column(name: str, of: Of) -> np.ndarray:
        sent = getattr(block.columns, name)
        return np.array([text_of(value) for value in sent.tolist()], dtype=object) if of == "text" else sent

    rows = Rows(len(block), column, lambda check: None)
    found = [np.array(rows.holds(one)) for one in plan.conditions]
    for row in block.masked if plan.asks else ():
        for place, counts in enumerate(plan.counts(block.parse(row).facts)):
            found[place][row] = counts
    return found
