"""Rules over a block: each condition once for all rows, as an array, with the results `Programs.found` has row by row.

What can't be compared array by array (text beside a number, a field that is gone) is evaluated row by row, for the rows
the conditions before it left, so that a rule errs where it would err alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from math import nan
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NamedTuple

import numpy as np

from apps.scoring.engine.block import Block, RuleHits
from apps.scoring.engine.expressions.many_rows import Rows
from apps.scoring.engine.expressions.meaning import Condition as Expression
from apps.scoring.engine.expressions.meaning import Of
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.known_aggregates import PREFIX
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.engine.rule_fields import counted_of, names_of
from apps.scoring.engine.rule_programs import BROKEN, WHOLE, Compiled, Programs, text_of
from apps.scoring.engine.rules import Condition, Typology, holds, instants
from apps.scoring.engine.transaction import HOME_COUNTRY, Parsed, TransactionSchema
from apps.scoring.engine.values import NOWHERE, Values

#: Comparisons of columns; of texts the values are compared one by one.
ARRAYS: Mapping[str, Callable[[Any, Any], Any]] = {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}
LISTS = ("in", "not_in")


class Asked(NamedTuple):
    """A name's values on n rows: `kind` is number, text or time (ms), `known` is bool[n], None where all are."""

    kind: str
    values: np.ndarray
    known: np.ndarray | None


class BlockValues:
    """What rules may ask about n rows by name: what was sent, else a feature, else nothing; as columns."""

    def __init__(
        self,
        block: Block,
        features: np.ndarray,
        home_country: str,
        pasts: Sequence[Any] = (),
        known_lists: Mapping[ListCheck, np.ndarray] | None = None,
        known_aggregates: Mapping[str, np.ndarray] | None = None,
        unknown_lists: Mapping[ListCheck, np.ndarray] | None = None,
    ) -> None:
        """`known_lists` are bool[n] by check; a check that is not there is unknown, and so are the rows of one that
        `unknown_lists` (bool[n]) names."""
        self.schema, self.block, self.features = block.schema, block, features
        self.known_lists, self.known_aggregates = known_lists or {}, known_aggregates or {}
        self.unknown_lists = unknown_lists or {}
        self._home, self.pasts = home_country, pasts
        self._met: dict[Expression, np.ndarray] = {}
        self._asked: dict[str, Asked | None] = {}
        self._held: dict[Condition, np.ndarray | None] = {}

    def __len__(self) -> int:
        return len(self.features)

    def column(self, name: str, of: Of) -> np.ndarray:
        """What expressions see under a name: float64[n], nan for unknown, or of texts object[n], None for unknown."""
        if name.startswith(PREFIX):
            return self.aggregate(name)
        counted = counted_of(self.schema).get(name)
        if counted is not None:
            return getattr(self.pasts[counted.role], counted.what)
        if name == HOME_COUNTRY:
            return np.full(len(self), self._home or None, dtype=object)
        place = self.schema.place_of[name]
        if name not in self.schema.types:
            return self.features[:, place]
        sent = getattr(self.block.columns, name)
        if of == "text":
            return np.array([text_of(value) for value in sent.tolist()], dtype=object)
        return sent if place == NOWHERE else np.where(sent == sent, sent, self.features[:, place])

    def aggregate(self, name: str) -> np.ndarray:
        """float64[n]: what an aggregate came to, nan where that is not known."""
        found = self.known_aggregates.get(name)
        return np.full(len(self), nan) if found is None else found

    def known_lists_of(self, row: int) -> dict[ListCheck, bool]:
        """What is known of the lists for one row."""
        return {
            check: bool(found[row])
            for check, found in self.known_lists.items()
            if check not in self.unknown_lists or not self.unknown_lists[check][row]
        }

    def meets(self, expression: Expression) -> np.ndarray:
        """bool[n]: on which rows a tenant's rule holds. `Rows` is made for each: kept, it and the values would keep one
        another, and all columns with them until the garbage is collected."""
        return Rows(len(self), self.column, self.known_lists.get, self._met).holds(expression)

    def ask(self, name: str) -> Asked | None:
        """A name's column; None for one that has none of a single kind."""
        if name not in self._asked:
            self._asked[name] = self._column(name)
        return self._asked[name]

    def is_known(self, name: str) -> np.ndarray:
        """bool[n]: on which rows anything is known under a name."""
        column = self.column(name, "text" if names_of(self.schema)[name].kind == "text" else "number")
        return np.array([value is not None and value == value for value in column.tolist()], dtype=bool)

    def holds(self, condition: Condition) -> np.ndarray | None:
        """On which rows a condition holds, bool[n]; None when that has to be asked row by row."""
        if condition not in self._held:
            self._held[condition] = _held(condition, self)
        return self._held[condition]

    def row(self, index: int) -> Values:
        """One row's values, as a single decision asks for them."""
        return self.told(index, self.block.parse(index))

    def told(self, index: int, parsed: Parsed) -> Values:
        """The same of a row that was read already."""
        values = self.schema.values(parsed.facts, self.features[index].tolist(), self._home)
        values.look_back(counted_of(self.schema), [_PastOf(past, index) for past in self.pasts])
        values.tell({name: float(found[index]) for name, found in self.known_aggregates.items()})
        return values

    def _column(self, name: str) -> Asked | None:
        if name == HOME_COUNTRY:
            return Asked("text", np.full(len(self), self._home, dtype=object), None)
        place = self.schema.place_of.get(name)
        if place is None:
            return None
        feature = None if place == NOWHERE else self.features[:, place]
        if name not in self.schema.types:
            return Asked("number", self.features[:, place], None)
        kind, sent = kind_of(self.schema, name), getattr(self.block.columns, name)
        if kind == "text":
            known = np.array([value is not None for value in sent.tolist()], dtype=bool)
            return Asked(kind, sent, known) if feature is None or known.all() else None
        if feature is None:
            return Asked(kind, sent, sent == sent)
        return Asked(kind, np.where(sent == sent, sent, feature), None) if kind == "number" else None


def kind_of(schema: TransactionSchema, name: str) -> str:
    """Whether a field is a text, a time or a number; yes and no are numbers."""
    if is_kind(str, schema.types[name]):
        return "text"
    return "time" if is_kind(datetime, schema.types[name]) else "number"


class _PastOf:
    """One row's past of a party, of those in columns."""

    def __init__(self, pasts: Any, row: int) -> None:
        self._pasts, self._row = pasts, row

    def __getattr__(self, name: str) -> float:
        return float(getattr(self._pasts, name)[self._row])


def evaluate_block(programs: Programs, values: BlockValues) -> RuleHits:
    """Every rule's result on every row. Masked rows are held against their facts, one by one."""
    rules, own = programs.rules, (*programs.live, *programs.shadows)
    shape, ids = (len(rules), len(values)), tuple(one.rule.id for one in own)
    untold = np.zeros((len(ids), len(values)), dtype=bool) if ids else None
    found = RuleHits(rules, np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool), ids, untold)
    for number, rule in enumerate(programs.built_in):
        hit, found.error[number] = _result(rule.all, values)
        found.hit[number] = _awake(rule.id, hit, programs, values)
    rows: Iterable[int] = values.block.masked
    try:
        for number, one in enumerate(own):
            _own(number, one, programs, values, found)
    except BROKEN:
        rows = range(len(values))
    for row in rows:
        _masked(row, programs, values, found)
    return found


def _own(number: int, one: Compiled, programs: Programs, values: BlockValues, found: RuleHits) -> None:
    """A tenant's rule on every row; a shadow, and whoever is outside a live one's share, is not told."""
    wrong = _unknown_lists(one, values)
    hit = np.zeros(len(values), dtype=bool) if one.condition is None else values.meets(one.condition) & ~wrong
    inside = np.zeros(len(values), dtype=bool)
    if number < len(programs.live):
        place = len(programs.built_in) + number
        inside = _deciding(one, hit, programs, values)
        found.hit[place], found.error[place] = hit & inside, wrong
    if found.untold is not None:
        found.untold[number] = hit & ~inside


def _unknown_lists(one: Compiled, values: BlockValues) -> np.ndarray:
    """bool[n]: where a rule can't be evaluated."""
    wrong = np.full(len(values), one.condition is None)
    for check in one.checks:
        if check not in values.known_lists:
            wrong |= values.is_known(check.field)
        elif check in values.unknown_lists:
            wrong |= values.unknown_lists[check] & values.is_known(check.field)
    return wrong


def _deciding(one: Compiled, hit: np.ndarray, programs: Programs, values: BlockValues) -> np.ndarray:
    """bool[n]: for which of the rows it hit a live rule decides."""
    inside = hit.copy()
    if one.rule.share < WHOLE or one.rule.id in programs.snoozes:
        for row in hit.nonzero()[0].tolist():
            parsed = values.block.parse(row)
            inside[row] = programs.decides(one.rule, parsed, values.told(row, parsed))
    return inside


def _awake(rule_id: str, hit: np.ndarray, programs: Programs, values: BlockValues) -> np.ndarray:
    """bool[n]: the rows a built-in rule hit, without those it leaves alone."""
    if rule_id in programs.snoozes:
        for row in hit.nonzero()[0].tolist():
            parsed = values.block.parse(row)
            hit[row] = not programs.is_snoozed(rule_id, parsed, values.told(row, parsed))
    return hit


def _masked(row: int, programs: Programs, values: BlockValues, found: RuleHits) -> None:
    parsed = values.block.parse(row)
    told, untold = values.told(row, parsed), set[str]()
    results, ids = programs.found(parsed, told, values.known_lists_of(row))
    untold.update(ids)
    found.hit[:, row] = [result.outcome == "hit" for result in results]
    found.error[:, row] = [result.outcome == "error" for result in results]
    if found.untold is not None:
        found.untold[:, row] = [name in untold for name in found.untold_ids]


def typical_block(typologies: Iterable[Typology], values: BlockValues, rows: np.ndarray) -> np.ndarray:
    """object[len(rows)]: the first kind of fraud whose picture each of these rows fits, None where none does."""
    found, open_ = np.full(len(rows), None, dtype=object), np.ones(len(rows), dtype=bool)
    for typology in typologies:
        fits = open_ & _result(typology.all, values)[0][rows]
        found[fits] = typology.fraud_type
        open_ &= ~fits
    return found


def _result(conditions: Sequence[Condition], values: BlockValues) -> tuple[np.ndarray, np.ndarray]:
    """Where all conditions hold, and where one of them errs before another fails."""
    alive, errs = np.ones(len(values), dtype=bool), np.zeros(len(values), dtype=bool)
    for condition in conditions:
        held = values.holds(condition)
        if held is None:
            held, wrong = _one_by_one(condition, values, alive)
            errs |= wrong
        alive = alive & held
        if not alive.any():
            break
    return alive, errs


def _one_by_one(condition: Condition, values: BlockValues, alive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a condition holds and where it errs, of the rows that are still `alive`."""
    held, wrong = np.zeros(len(values), dtype=bool), np.zeros(len(values), dtype=bool)
    for row in alive.nonzero()[0].tolist():
        try:
            held[row] = holds(condition, values.row(row))
        except (KeyError, TypeError, ValueError):
            wrong[row] = True
    return held, wrong


def _held(condition: Condition, values: BlockValues) -> np.ndarray | None:
    left = values.ask(condition.field)
    if left is None:
        return None
    if condition.other is not None:
        return _against_column(condition.op, left, values.ask(condition.other))
    if left.kind == "text":
        return _texts(condition.op, left, condition.value)
    return _numbers(condition.op, left, condition.value)


def _against_column(op: str, left: Asked, right: Asked | None) -> np.ndarray | None:
    """Two columns of one kind. An unknown left one compares to nothing, nor does a right one that was not sent."""
    if right is None or right.kind != left.kind or op in LISTS:
        return None
    if left.kind == "text":
        pairs = zip(left.values.tolist(), right.values.tolist(), strict=True)
        compare = ARRAYS[op]
        return np.array([None not in pair and compare(*pair) for pair in pairs], dtype=bool)
    return _where_known(ARRAYS[op](left.values, right.values), left, right)


def _where_known(found: np.ndarray, left: Asked, right: Asked | None = None) -> np.ndarray:
    found = found & (left.values == left.values)
    return found if right is None or right.known is None else found & right.known


def _texts(op: str, left: Asked, value: Any) -> np.ndarray | None:
    """A column of texts against one, or against a list of them; each text that stands there is compared once."""
    if not _all_of(value, str, op):
        return None
    known: dict[Any, bool] = {None: False}
    compare = _membership(op, value) if op in LISTS else lambda text: ARRAYS[op](text, value)
    return np.array(
        [known[text] if text in known else known.setdefault(text, compare(text)) for text in left.values.tolist()],
        dtype=bool,
    )


def _numbers(op: str, left: Asked, value: Any) -> np.ndarray | None:
    """A column of numbers or times against one, or against a list of them."""
    if left.kind == "time":
        try:
            value = instants(value)
        except (TypeError, ValueError):
            return None
    if not _all_of(value, (bool, int, float), op):
        return None
    if op not in LISTS:
        return _where_known(ARRAYS[op](left.values, value), left)
    among = np.isin(left.values, np.array(value, dtype=np.float64))
    return _where_known(among if op == "in" else ~among, left)


def _membership(op: str, values: Sequence[str]) -> Callable[[str], bool]:
    chosen = frozenset(values)
    return (lambda text: text in chosen) if op == "in" else (lambda text: text not in chosen)


def _all_of(value: Any, kinds: Any, op: str) -> bool:
    """Whether a condition's value is of these kinds, and a list where its operation wants one."""
    if op not in LISTS:
        return isinstance(value, kinds)
    return isinstance(value, tuple) and all(isinstance(one, kinds) for one in value)
