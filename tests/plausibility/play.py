"""Plays stories through the engine with its history, in process: the code the service decides with."""

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

import msgspec

from apps.scoring.engine.decide import Decision, Policy
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.history import Replay
from apps.scoring.engine.past_events import transaction_hash
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import Parsed
from tests.plausibility.senders import AMOUNT, DAY_MS, HOUR_MS, Clerk
from tests.plausibility.stories import BANDS, Past, Step, Story, Suite, seconds, suite


class Played(NamedTuple):
    """A step's decision and everything in it that the story does not allow."""

    schema: str
    story: Story
    step: Step
    number: int
    decision: Decision
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.story.id if len(self.story.steps) == 1 else f"{self.story.id}[{self.number}]"


def play_all(engine: Engine, schema: str, model: str | None = None) -> list[Played]:
    """Every story of a schema, and the comparisons between them."""
    told = suite(schema)
    played = [one for story in told.all() for one in play(engine, told, story, model)]
    last = {one.story.id: one.decision for one in played}
    return [_compared(one, last) for one in played]


def play(engine: Engine, told: Suite, story: Story, model: str | None = None) -> Iterator[Played]:
    """A story's steps one after the other, each with its own past."""
    stage = Stage(engine, told, story, model)
    number, before = 0, 0.0
    for step in story.steps:
        for _ in range(step.times):
            number += 1
            decision = stage.decide(step)
            problems = problems_of(step, decision)
            probability = decision.fraud_probability or 0.0
            if story.rises and probability < before:
                problems += (f"fell from {before:.4f} to {probability:.4f}",)
            before = probability
            yield Played(told.schema, story, step, number, decision, problems)


class Stage:
    """One story's clock, books and history."""

    def __init__(self, engine: Engine, told: Suite, story: Story, model: str | None) -> None:
        self._engine, self._told, self._model = engine, told, model
        self._schema = SCHEMAS[told.schema]
        self._policy = msgspec.convert(told.policy, Policy)
        self._clerk = Clerk(told.schema, story.id, told.begins_ms)
        self._replay, self._now_ms, self._written = Replay(self._schema.roles), told.begins_ms, 0
        for at_ms, fields in sorted(self._past(story), key=lambda one: one[0]):
            self._remember(self._parsed(fields, at_ms))

    def decide(self, step: Step) -> Decision:
        """The step's decision, its past counted as the service would, then remembered."""
        self._now_ms = _at(step.at, self._now_ms + seconds(step.after) * 1000)
        parsed = self._parsed(self._told.sent(step.send), self._now_ms)
        parties, here = self._schema.parties(parsed.transaction), transaction_hash(f"payment {self._written + 1}")
        seen = self._replay.look(parties, parsed.at_ms, here, parsed.received_ms)
        decision = self._engine.decide(self._schema, parsed, seen, self._policy, self._model)
        self._remember(parsed)
        if decision.recommended_action == "block":
            self._replay.refuse(*self._event(parsed))
        return decision

    def _parsed(self, fields: dict[str, Any], at_ms: int) -> Parsed:
        return self._schema.parse(self._clerk.write(fields, at_ms), at_ms)

    def _remember(self, parsed: Parsed) -> None:
        self._written += 1
        self._replay.remember(*self._event(parsed))

    def _event(self, parsed: Parsed) -> tuple[Any, ...]:
        """The newest payment as history takes it."""
        transaction, name = parsed.transaction, transaction_hash(f"payment {self._written}")
        return (
            self._schema.parties(transaction), parsed.at_ms, self._schema.amount(transaction), name, parsed.received_ms
        )  # fmt: skip

    def _past(self, story: Story) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, past in enumerate(self._told.pasts.get(story.past or "", ())):
            yield from _drawn(past, self._told, Random(f"{story.past} {number}"))


def _drawn(past: Past, told: Suite, random: Random) -> Iterator[tuple[int, dict[str, Any]]]:
    """A past's payments: evenly over its days, at drawn times of the day, of drawn amounts."""
    today, count = told.begins_ms - told.begins_ms % DAY_MS, max(1, round(past.days / 7 * past.each_week))
    fields = told.sent(past.send)
    for index in range(count):
        day = today - round(past.days * (count - index) / count) * DAY_MS
        hour = random.uniform(*past.hours)
        amount = round(random.uniform(*past.amounts), 2)
        yield min(int(day + hour * HOUR_MS), told.begins_ms - HOUR_MS), {**fields, AMOUNT[told.schema]: amount}


def _at(time_of_day: str | None, at_ms: int) -> int:
    """The next such time of day from then on."""
    if time_of_day is None:
        return at_ms
    hours, minutes = map(int, time_of_day.split(":"))
    due = at_ms - at_ms % DAY_MS + (hours * 60 + minutes) * 60_000
    return due if due >= at_ms else due + DAY_MS


def problems_of(step: Step, decision: Decision) -> tuple[str, ...]:
    """What a decision says that its step does not allow."""
    return (*_out_of_band(step, decision), *_wrong_rules(step, decision), *_unsaid(step, decision))


def _out_of_band(step: Step, decision: Decision) -> Iterator[str]:
    if step.band is None:
        return
    band, probability = BANDS[step.band], decision.fraud_probability or 0.0
    if not band.least <= probability <= band.most:
        yield f"{probability:.4f} is not {step.band} ({band.least:g} to {band.most:g})"
    if decision.recommended_action not in band.actions:
        yield f"'{decision.recommended_action}' is not {step.band}"


def _wrong_rules(step: Step, decision: Decision) -> Iterator[str]:
    hit = {rule.id for rule in decision.rules if rule.outcome == "hit"}
    yield from (f"the rule {name} was not hit" for name in step.hits if name not in hit)
    yield from (f"the rule {name} was hit" for name in step.misses if name in hit)


def _unsaid(step: Step, decision: Decision) -> Iterator[str]:
    if step.warns and not any(step.warns in warning for warning in decision.warnings):
        yield f"no warning says '{step.warns}'"
    if step.says and not any(step.says in reason.text for reason in decision.reasons):
        yield f"no reason says '{step.says}'"


def _compared(one: Played, last: dict[str, Decision]) -> Played:
    """With the complaint that a case which must be no safer than another one is."""
    other = one.story.riskier_than
    if other is None or one.decision is not last[one.story.id]:
        return one
    ours, theirs = one.decision.fraud_probability or 0.0, last[other].fraud_probability or 0.0
    if ours >= theirs:
        return one
    return one._replace(problems=(*one.problems, f"{ours:.4f} is safer than {other} ({theirs:.4f})"))
