"""What a simulation comes to, added up block by block: memory is the same for ten decisions and ten million. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from apps.analytics.intervals import Interval, Z, wilson
from apps.scoring.engine.block import ACTIONS
from apps.scoring.engine.held import Held
from apps.simulation.curves import FRAUD, LEGITIMATE, Bins, Costs, Curve, curve_of

APPROVE, REVIEW = ACTIONS.index("approve"), ACTIONS.index("review")
DIGITS = 6


class SimulatedMeasure(msgspec.Struct, frozen=True):
    """A figure and how sure it is; null where it can't be told."""

    value: float | None
    interval_95: Interval | None


class SimulatedActions(msgspec.Struct, frozen=True):
    """Decisions by what was recommended."""

    approve: int = 0
    review: int = 0
    challenge: int = 0
    block: int = 0


class SimulatedQuality(msgspec.Struct, frozen=True):
    """By labelled decisions; one counts as caught when it was not approved."""

    caught: int
    precision: SimulatedMeasure
    recall: SimulatedMeasure
    false_positive_rate: SimulatedMeasure


class Side(msgspec.Struct, frozen=True):
    """What was decided, or would have been."""

    actions: SimulatedActions
    quality: SimulatedQuality
    reviews_a_day: Annotated[SimulatedMeasure, Meta(description="Mean over the days with decisions, and its interval.")]
    most_reviews_a_day: int


class SimulatedMoney(msgspec.Struct, frozen=True):
    """Amounts of labelled decisions that come out otherwise, in their own currencies; a fraud's is what was lost."""

    saved: Annotated[SimulatedMeasure, Meta(description="Of frauds that were approved and would be stopped.")]
    lost: Annotated[SimulatedMeasure, Meta(description="Of frauds that were stopped and would be approved.")]
    disturbed: Annotated[
        SimulatedMeasure, Meta(description="Of legitimate ones that were approved and would be stopped.")
    ]
    relieved: Annotated[
        SimulatedMeasure, Meta(description="Of legitimate ones that were stopped and would be approved.")
    ]


class FlipCount(msgspec.Struct, frozen=True):
    """Decisions that go from one action to another."""

    before: str
    after: str
    decisions: int
    frauds: int
    legitimate: int


class RuleEffect(msgspec.Struct, frozen=True):
    """What a rule of the policy does in the span.

    dead: it hits nothing. redundant: it hits, and without it nothing would be decided otherwise; a note is never that.
    """

    id: str
    schema: str
    state: Literal["live", "redundant", "dead"]
    hits: int
    decided: int
    makes_a_difference: Annotated[int, Meta(description="Decisions that would be others without it.")]
    frauds: Annotated[int, Meta(description="Of the hits, labelled as fraud.")]
    legitimate: int


class Outcome(msgspec.Struct, frozen=True):
    """What a simulation came to."""

    decisions: int
    not_exact: Annotated[
        int,
        Meta(description="Decisions made before rows were kept: held against features and scores that are rounded."),
    ]
    labels: int
    frauds: int
    immature: Annotated[
        float | None,
        Meta(
            description="Share of the span's labels that are expected later, by how long earlier ones took; null while "
            "there are too few to tell."
        ),
    ]
    before: Side
    after: Side
    flips: list[FlipCount]
    flipped: int
    money: SimulatedMoney
    rules: list[RuleEffect]
    thresholds: Annotated[list[Curve], Meta(description="A curve a kind of transaction.")]
    recounted: Annotated[
        dict[str, int],
        Meta(
            description="Aggregates by name, with how many of the decisions were made before they were counted: there "
            "they are counted anew from the stored decisions, by what had arrived until then."
        ),
    ] = {}


class Seen(NamedTuple):
    """A block of decisions as they were made: what was recommended (int8[n], indexes into ACTIONS), on which day
    (int64[n], since 1970), what is known of them (int8[n]: FRAUD, LEGITIMATE, UNKNOWN) and what they are worth."""

    action: np.ndarray
    day: np.ndarray
    label: np.ndarray
    amount: np.ndarray
    probability: np.ndarray
    exact: np.ndarray


class _Sum:
    """Amounts added up, with their squares: what is needed for an interval."""

    def __init__(self) -> None:
        self.total = self.squares = 0.0
        self.count = 0

    def add(self, amounts: np.ndarray) -> None:
        self.total += float(amounts.sum())
        self.squares += float((amounts**2).sum())
        self.count += len(amounts)

    def measure(self) -> SimulatedMeasure:
        """A compound Poisson sum: its variance is the sum of the squares."""
        if not self.count:
            return SimulatedMeasure(0.0, None)
        half = Z * sqrt(self.squares)
        return SimulatedMeasure(
            round(self.total, 2), (round(max(self.total - half, 0.0), 2), round(self.total + half, 2))
        )


class Tally:
    """What has been seen so far."""

    def __init__(self) -> None:
        self.count = np.zeros((3, len(ACTIONS), len(ACTIONS)), dtype=np.int64)  # label, before, after
        self.not_exact = 0
        self.reviews: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(3, dtype=np.int64))  # all, before, after
        self.sums = {name: _Sum() for name in SimulatedMoney.__struct_fields__}
        self.rules: dict[tuple[str, str, bool], np.ndarray] = {}  # id, schema, is a note
        self.bins: dict[str, Bins] = defaultdict(Bins)
        self.recounted: dict[str, int] = defaultdict(int)

    def add(self, schema: str, seen: Seen, held: Held) -> None:
        """Add a block of decisions of one kind, and what the policy makes of them."""
        size = len(ACTIONS)
        place = (seen.label.astype(np.int64) * size + seen.action) * size + held.action
        self.count += np.bincount(place, minlength=self.count.size).reshape(self.count.shape)
        self.not_exact += int((~seen.exact).sum())
        self._add_days(seen, held)
        self._add_money(seen, held)
        self._add_rules(schema, seen, held)
        self.bins[schema].add(seen.probability, seen.label, seen.amount)

    def add_recounted(self, recounted: Mapping[str, int]) -> None:
        """Add how many decisions of a block were made before each aggregate was counted."""
        for name, decisions in recounted.items():
            self.recounted[name] += decisions

    def _add_days(self, seen: Seen, held: Held) -> None:
        for day in np.unique(seen.day).tolist():
            today = seen.day == day
            reviews = [int((action[today] == REVIEW).sum()) for action in (seen.action, held.action)]
            self.reviews[day] += np.array([today.sum(), *reviews])

    def _add_money(self, seen: Seen, held: Held) -> None:
        was, becomes = seen.action != APPROVE, held.action != APPROVE
        fraud, honest = seen.label == FRAUD, seen.label == LEGITIMATE
        flips = {
            "saved": fraud & ~was & becomes, "lost": fraud & was & ~becomes,
            "disturbed": honest & ~was & becomes, "relieved": honest & was & ~becomes,
        }  # fmt: skip
        for name, rows in flips.items():
            self.sums[name].add(seen.amount[rows])

    def _add_rules(self, schema: str, seen: Seen, held: Held) -> None:
        differs = held.action != held.without
        for number, rule in enumerate(held.rules):
            hit, decided = held.hit[number], held.deciding == number
            found = [
                hit.sum(), decided.sum(), (decided & differs).sum(), (hit & (seen.label == FRAUD)).sum(),
                (hit & (seen.label == LEGITIMATE)).sum(),
            ]  # fmt: skip
            key = (rule.id, schema, rule.outcome == "note")
            self.rules[key] = self.rules.get(key, np.zeros(5, dtype=np.int64)) + np.array(found, dtype=np.int64)

    def outcome(self, costs: Costs, immature: float | None) -> Outcome:
        """What it comes to; `immature` is the share of labels that are still to come."""
        flips = self._flips()
        return Outcome(
            decisions=int(self.count.sum()),
            not_exact=self.not_exact,
            labels=int(self.count[[FRAUD, LEGITIMATE]].sum()),
            frauds=int(self.count[FRAUD].sum()),
            immature=immature,
            before=self._side(self.count.sum(axis=2), 1),
            after=self._side(self.count.sum(axis=1), 2),
            flips=flips,
            flipped=sum(one.decisions for one in flips),
            money=SimulatedMoney(**{name: one.measure() for name, one in self.sums.items()}),
            rules=[_effect(*key, found) for key, found in self.rules.items()],
            thresholds=[curve_of(schema, bins, costs) for schema, bins in sorted(self.bins.items())],
            recounted={name: decisions for name, decisions in sorted(self.recounted.items()) if decisions},
        )

    def _side(self, count: np.ndarray, column: int) -> Side:
        """`count` is int64[label, action]."""
        days = np.array([found[column] for found in self.reviews.values()], dtype=np.int64)
        return Side(
            SimulatedActions(*count.sum(axis=0).tolist()), _quality(count), _mean(days), int(days.max(initial=0))
        )

    def _flips(self) -> list[FlipCount]:
        found = []
        for before, after in zip(*self.count.sum(axis=0).nonzero(), strict=True):
            if before != after:
                frauds, honest, unknown = self.count[:, before, after].tolist()
                all_of_them = frauds + honest + unknown
                found.append(FlipCount(ACTIONS[before], ACTIONS[after], all_of_them, frauds, honest))
        return sorted(found, key=lambda one: -one.decisions)


def _quality(count: np.ndarray) -> SimulatedQuality:
    frauds, honest = count[FRAUD], count[LEGITIMATE]
    hits, alarms = int(frauds.sum() - frauds[APPROVE]), int(honest.sum() - honest[APPROVE])
    return SimulatedQuality(
        hits, _share(hits, hits + alarms), _share(hits, int(frauds.sum())), _share(alarms, int(honest.sum()))
    )


def _share(part: int, whole: int) -> SimulatedMeasure:
    interval = wilson(part, whole)
    if interval is None:
        return SimulatedMeasure(None, None)
    return SimulatedMeasure(round(part / whole, DIGITS), (round(interval[0], DIGITS), round(interval[1], DIGITS)))


def _mean(days: np.ndarray) -> SimulatedMeasure:
    """The mean of counts a day, with the interval of a mean."""
    if not len(days):
        return SimulatedMeasure(None, None)
    mean = float(days.mean())
    if len(days) == 1:
        return SimulatedMeasure(mean, None)
    half = Z * float(days.std(ddof=1)) / sqrt(len(days))
    return SimulatedMeasure(round(mean, 2), (round(max(mean - half, 0.0), 2), round(mean + half, 2)))


def _effect(rule: str, schema: str, is_note: bool, found: np.ndarray) -> RuleEffect:
    hits, decided, difference, frauds, honest = found.tolist()
    matters = difference or (is_note and hits)
    state: Literal["live", "redundant", "dead"] = "live" if matters else "redundant" if hits else "dead"
    return RuleEffect(rule, schema, state, hits, decided, difference, frauds, honest)


def causes_of(held: Held, rows: Sequence[int], otherwise: Mapping[int, str]) -> list[str]:
    """What decides each of these rows, as a decision has it: kind:id; `otherwise` where no rule does."""
    return [otherwise[row] if held.deciding[row] < 0 else f"rule:{held.rules[held.deciding[row]].id}" for row in rows]
