"""A policy's rules, ready to be asked of one kind of transaction: compiled when a process first needs them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from math import nan
from typing import Any

from apps.scoring.engine.aggregates import Aggregate, counted_by
from apps.scoring.engine.decide import Policy, tune
from apps.scoring.engine.expressions.errors import InvalidExpression
from apps.scoring.engine.expressions.meaning import Always, Condition, Of, list_checks, variables
from apps.scoring.engine.expressions.one_row import Conditions, function_of
from apps.scoring.engine.list_checks import KnownLists, ListCheck
from apps.scoring.engine.operations import instant
from apps.scoring.engine.rule_fields import names_of
from apps.scoring.engine.rule_meaning import meaning_of
from apps.scoring.engine.rules import BuiltIn, Rule, RuleResult, evaluate, told
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.snoozes import Snooze, by_rule
from apps.scoring.engine.transaction import Parsed, TransactionSchema

WHOLE = 100  # percent
NEVER = Always(holds=False)
#: What a condition could raise that was not typed before; nothing that is published does.
BROKEN = (ArithmeticError, TypeError, ValueError)


@dataclass(frozen=True, eq=False)
class Compiled:
    """A tenant's rule and when it holds; None for one that can't be evaluated: it errs, and is told so."""

    rule: Rule
    condition: Condition | None
    checks: tuple[ListCheck, ...]

    @property
    def is_sure(self) -> bool:
        """Whether it never errs."""
        return self.condition is not None and not self.checks

    def errs(self, values: Mapping[str, Any], known_lists: KnownLists) -> bool:
        """Whether it can't be evaluated, now or ever: a list it asks is not known."""
        if self.condition is None:
            return True
        return any(check not in known_lists and is_known(values[check.field]) for check in self.checks)


@dataclass(frozen=True, eq=False)
class Programs:
    """Of one policy and one kind of transaction: the built-in rules as tuned, the tenant's live ones, and its shadows.

    `names` are what those of the tenant ask for, with whether that is a number or a text; `checks` what of lists.
    """

    schema: TransactionSchema
    built_in: tuple[BuiltIn, ...]
    live: tuple[Compiled, ...]
    shadows: tuple[Compiled, ...]
    names: Mapping[str, Of]
    checks: tuple[ListCheck, ...]
    function: Conditions
    aggregates: tuple[Aggregate, ...]  # all the tenant has counted of this kind
    snoozes: Mapping[str, tuple[Snooze, ...]]  # by rule

    @cached_property
    def unsure(self) -> frozenset[int]:
        """The places of the live rules that may err."""
        return frozenset(place for place, one in enumerate(self.live) if not one.is_sure)

    @cached_property
    def missed(self) -> tuple[RuleResult, ...]:
        """The live rules' results where none hits, which is nearly always."""
        return tuple(told(one.rule.id, "no_hit") for one in self.live)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Those that are told, in the order of their results."""
        return (*self.built_in, *(one.rule for one in self.live))

    def found(
        self, parsed: Parsed, values: Mapping[str, Any], known_lists: KnownLists | None
    ) -> tuple[tuple[RuleResult, ...], tuple[str, ...]]:
        """Every told rule's result on one transaction, and the ids of the tenant's rules that hit and are not told."""
        results = evaluate(self.built_in, values)
        if self.snoozes:
            results = tuple([self._awake(result, parsed, values) for result in results])
        if not (self.live or self.shadows):
            return results, ()
        known = known_lists or {}
        hits = self._hits([*self._values(values), *[known.get(check) for check in self.checks]])
        own, untold = list(self.missed), []
        decisive, quiet = hits[: len(self.live)], hits[len(self.live) :]
        asked = enumerate(decisive) if True in decisive or None in decisive else ()  # nearly never
        for place in sorted(self.unsure.union(place for place, hit in asked if hit is not False)):
            one = self.live[place]
            if hits[place] is None or one.errs(values, known):
                own[place] = told(one.rule.id, "error")
            elif hits[place] and self.decides(one.rule, parsed, values):
                own[place] = told(one.rule.id, "hit")
            elif hits[place]:
                untold.append(one.rule.id)
        if True in quiet:
            untold += [
                one.rule.id for one, hit in zip(self.shadows, quiet, strict=True)
                if hit and not one.errs(values, known)
            ]  # fmt: skip
        return (*results, *own), tuple(untold)

    def _hits(self, seen: Sequence[Any]) -> tuple[bool | None, ...]:
        """Whether each rule's condition holds; None for one that breaks, which the others must not feel."""
        try:
            return self.function(seen)
        except BROKEN:
            return tuple(_alone(function, seen) for function in self.functions)

    @cached_property
    def functions(self) -> tuple[Conditions, ...]:
        """Each rule's condition by itself."""
        conditions = [NEVER if one.condition is None else one.condition for one in (*self.live, *self.shadows)]
        return tuple(function_of([one], tuple(self.names), self.checks) for one in conditions)

    def decides(self, rule: Rule, parsed: Parsed, values: Mapping[str, Any]) -> bool:
        """Whether a live rule that hits a transaction is told and may decide: its share, and no snooze."""
        return in_share(rule, self.schema, parsed) and not self.is_snoozed(rule.id, parsed, values)

    def is_snoozed(self, rule_id: str, parsed: Parsed, values: Mapping[str, Any]) -> bool:
        """Whether a rule leaves the transaction alone."""
        return any(one.holds(values, parsed.came_ms) for one in self.snoozes.get(rule_id, ()))

    def _awake(self, result: RuleResult, parsed: Parsed, values: Mapping[str, Any]) -> RuleResult:
        if result.outcome == "hit" and self.is_snoozed(result.id, parsed, values):
            return told(result.id, "no_hit")
        return result

    def _values(self, values: Mapping[str, Any]) -> list[Any]:
        return [number_of(values[name]) if of == "number" else text_of(values[name]) for name, of in self.names.items()]


def _alone(function: Conditions, seen: Sequence[Any]) -> bool | None:
    try:
        return function(seen)[0]
    except BROKEN:
        return None


def programs_of(policy: Policy, schema: TransactionSchema) -> Programs:
    """The policy's rules for one kind of transaction; compiled when first asked for."""
    found = policy.programs.get(schema.name)
    if found is None:
        found = policy.programs[schema.name] = _compiled(policy, schema)
    return found


def _compiled(policy: Policy, schema: TransactionSchema) -> Programs:
    aggregates = policy.aggregates
    own = [rule for rule in policy.rules if meant_for(schema.name, rule, aggregates)]
    live = tuple(_each(rule, schema, aggregates) for rule in own if rule.state == "live")
    shadows = tuple(_each(rule, schema, aggregates) for rule in own if rule.state == "shadow")
    conditions = [NEVER if one.condition is None else one.condition for one in (*live, *shadows)]
    asked = sorted(frozenset[str]().union(*map(variables, conditions)))
    fields = names_of(schema, aggregates)
    names: dict[str, Of] = {name: "text" if fields[name].kind == "text" else "number" for name in asked}
    checks = tuple(dict.fromkeys(check for one in (*live, *shadows) for check in one.checks))
    function = function_of(conditions, tuple(names), checks)
    snoozes = by_rule(policy.snoozes, fields)
    counted = counted_by(aggregates, schema.name)
    return Programs(schema, tune(schema, policy.built_in), live, shadows, names, checks, function, counted, snoozes)


def _each(rule: Rule, schema: TransactionSchema, aggregates: tuple[Aggregate, ...]) -> Compiled:
    try:
        condition = meaning_of(rule, schema.name, aggregates).true
    except InvalidExpression:  # published before it was asked for, or what it asks for is gone since
        return Compiled(rule, None, ())
    return Compiled(rule, condition, list_checks(condition))


def meant_for(schema: str, rule: Rule, aggregates: tuple[Aggregate, ...] = ()) -> bool:
    """Whether a tenant's rule is asked of this kind of transaction: by its name, or by the names it asks for.

    Names that no kind has together are asked for everywhere: the rule errs, and is told so.
    """
    if rule.schema:
        return rule.schema == schema
    able = [name for name, one in SCHEMAS.items() if rule.names <= names_of(one, aggregates).keys()]
    return schema in able or not able


def in_share(rule: Rule, schema: TransactionSchema, parsed: Parsed) -> bool:
    """Whether a live rule decides for this party: the same ones at every call, and more of them at a larger share."""
    return rule.share == WHOLE or percentile(rule.id, party_of(schema, parsed)) < rule.share


def percentile(rule_id: str, party: str) -> int:
    """0 to 99, by a hash of both: two rules choose their shares independently."""
    digest = blake2b(f"{rule_id}\0{party}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % WHOLE


def party_of(schema: TransactionSchema, parsed: Parsed) -> str:
    """By whom a share is chosen: the first party of the transaction, else its id, else what it says; card numbers
    masked, so that it is the same when the decision is made again from what is stored."""
    parties = schema.parties(parsed.shown)
    if parties:
        return parties[0].name
    return schema.transaction_id(parsed.shown) or repr(sorted(parsed.facts.items(), key=lambda one: one[0]))


def number_of(value: Any) -> float:
    """A number, a flag or a time (ms) as expressions know it; nan for what is unknown."""
    if type(value) is float:
        return value
    if value is None or isinstance(value, str):
        return nan
    return instant(value) if isinstance(value, datetime) else float(value)


def text_of(value: Any) -> str | None:
    """A text as expressions know it; an empty one counts as not sent."""
    return value if value and isinstance(value, str) else None


def is_known(value: Any) -> bool:
    """Whether anything is known under a name."""
    return value is not None and value == value and value != ""
