"""Blocks: many transactions of one schema as columns, and what was decided of them as columns. No object a row.

A row of a block and the same row alone get the same answer (`Engine.decide`); a test holds the two together.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.asking import Answer, Chosen, ensemble_of
from apps.scoring.engine.decide import SEVERITY, Action, Cause, Decision, ModelUsed, RiskLevel
from apps.scoring.engine.explain import Reason
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.engine.made_on import UNKNOWN, counted_block, packed_block
from apps.scoring.engine.rules import Rule, RuleResult, not_evaluated, told
from apps.scoring.engine.transaction import Parsed, TransactionSchema
from apps.scoring.engine.values import Columns

if TYPE_CHECKING:
    from apps.scoring.engine.block_rules import BlockValues

#: Which rows get reasons and contributions: none, those that are not approved at a low risk, all.
Explain = Literal["none", "flagged", "all"]
LEVELS: tuple[RiskLevel, ...] = ("low", "medium", "high", "critical")
ACTIONS: tuple[Action, ...] = SEVERITY


@dataclass(frozen=True, eq=False)
class Block:
    """n transactions of one schema.

    `columns` are what was sent, as `TransactionSchema.columns` makes them: float64[n] (nan: not sent), of texts
    object[n] (None: not sent). `at_ms` is float64[n]. `parse(row)` reads one row as a single call does: sentences,
    facts and warnings of few rows are made from it. `masked` are the rows whose facts are not what was sent.
    """

    schema: TransactionSchema
    columns: Columns
    at_ms: np.ndarray
    parse: Callable[[int], Parsed]
    masked: Collection[int] = ()

    def __len__(self) -> int:
        return len(self.at_ms)


def block_of(schema: TransactionSchema, parsed: Sequence[Parsed]) -> Block:
    """Transactions that were read one by one, as a block."""
    return Block(
        schema=schema,
        columns=schema.columns([one.transaction for one in parsed]),
        at_ms=np.array([one.at_ms for one in parsed], dtype=np.float64),
        parse=parsed.__getitem__,
        masked=[row for row, one in enumerate(parsed) if one.facts is not one.sent],
    )


@dataclass(frozen=True, eq=False)
class BlockScores:
    """What the models say of n rows. `probability` is calibrated and not rounded yet; `risk_score` is 0-1000."""

    probability: np.ndarray  # float64[n]
    risk_score: np.ndarray  # int16[n]
    used: ModelUsed


@dataclass(frozen=True, eq=False)
class BlockVerdicts:
    """What follows from rules and scores for n rows. `cause` stands in `causes`, -1 - `cause` is none."""

    level: np.ndarray  # int8[n], an index into LEVELS
    action: np.ndarray  # int8[n], an index into ACTIONS
    cause: np.ndarray  # int16[n], an index into `causes`
    causes: tuple[Cause, ...]
    fraud_type: np.ndarray  # object[n]: a text, or None

    @property
    def flagged(self) -> np.ndarray:
        """bool[n]: what is not approved at a low risk."""
        return (self.action != 0) | (self.level != 0)


@dataclass(frozen=True, eq=False)
class RuleHits:
    """Every rule's result on n rows; where neither, it was not hit."""

    rules: tuple[Rule, ...]
    hit: np.ndarray  # bool[rules, n]
    error: np.ndarray  # bool[rules, n]
    untold_ids: tuple[str, ...] = ()
    untold: np.ndarray | None = None  # bool[untold_ids, n]: what hit and is counted only; None where nothing can
    _known: dict[bytes, tuple[RuleResult, ...]] = field(default_factory=dict)

    def of(self, row: int) -> tuple[RuleResult, ...]:
        """A row's results as a decision tells them; rows with the same results share one tuple."""
        key = self.hit[:, row].tobytes() + self.error[:, row].tobytes()
        if key not in self._known:
            self._known[key] = tuple(
                told(rule.id, "error" if error else "hit" if hit else "no_hit")
                for rule, hit, error in zip(self.rules, self.hit[:, row], self.error[:, row], strict=True)
            )
        return self._known[key]

    def untold_of(self, row: int) -> tuple[str, ...]:
        """The ids of the rules that hit a row and are not told."""
        if self.untold is None:
            return ()
        return tuple(self.untold_ids[number] for number in self.untold[:, row].nonzero()[0].tolist())


@dataclass(frozen=True, eq=False)
class BlockDecisions:
    """What was decided of the n rows of a block.

    `probability` is float64[n] of six decimals and `risk_score` int16[n]; both, `model` and `features` are None when no
    model answered; `values` and `exact` are what was decided on, not rounded. `reasons` and `contributions` (float32
    little-endian) are there for the rows that were to be explained, by their places in the block.
    """

    block: Block
    probability: np.ndarray | None
    risk_score: np.ndarray | None
    verdicts: BlockVerdicts
    rules: RuleHits
    model: ModelUsed | None
    features: np.ndarray | None  # float32[n, F]
    reasons: Mapping[int, tuple[Reason, ...]]
    contributions: Mapping[int, bytes]
    degraded: tuple[str, ...]
    policy_version: int
    list_checks: tuple[ListCheck, ...]
    aggregates: tuple[Aggregate, ...]
    values: "BlockValues"
    exact: np.ndarray | None  # float64[n]: the probability
    chosen: Chosen
    answer: Answer

    def __len__(self) -> int:
        return len(self.block)

    def decision(self, row: int, *, again: bool = True) -> Decision:
        """One row as `Engine.decide` answers it; one that was not explained has neither reasons nor contributions.

        `again`: with what it takes to decide again, which takes as long as all else.
        """
        verdicts, rules = self.verdicts, self.rules.of(row)
        scored = self.probability is not None and self.risk_score is not None and self.features is not None
        return Decision(
            fraud_probability=float(self.probability[row]) if scored else None,  # type: ignore[index]
            risk_score=int(self.risk_score[row]) if scored else None,  # type: ignore[index]
            risk_level=LEVELS[verdicts.level[row]],
            recommended_action=ACTIONS[verdicts.action[row]],
            fraud_type=verdicts.fraud_type[row],
            decisive=verdicts.causes[verdicts.cause[row]],
            reasons=self.reasons.get(row, ()),
            rules=rules,
            model=self.model,
            degraded=self.degraded,
            warnings=self.warnings(row),
            features=self.features[row].tobytes() if scored else b"",  # type: ignore[index]
            contributions=self.contributions.get(row, b""),
            policy_version=self.policy_version,
            made_on=self.made_on(np.array([row]))[0] if again else b"",
            ensemble=ensemble_of(self.chosen, self.answer, row),
            untold=self.rules.untold_of(row),
        )

    def made_on(self, rows: np.ndarray) -> list[bytes]:
        """What these rows were decided on, as it is kept."""
        values, schema = self.values, self.block.schema
        return packed_block(
            values.features[rows],
            None if self.features is None else self.features[rows],
            None if self.exact is None else self.exact[rows],
            counted_block(schema, values.pasts, rows),
            np.column_stack([self._answers_of_lists(rows), self._aggregated(rows)]),
        )

    def _answers_of_lists(self, rows: np.ndarray) -> np.ndarray:
        """uint8[len(rows), checks]."""
        found = np.full((len(rows), len(self.list_checks)), UNKNOWN, dtype=np.uint8)
        for place, check in enumerate(self.list_checks):
            if check in self.values.known_lists:
                found[:, place] = self.values.known_lists[check][rows]
        return found

    def _aggregated(self, rows: np.ndarray) -> np.ndarray:
        """uint8[len(rows), 8 an aggregate]: what they came to, float64 each."""
        columns = [self.values.aggregate(one.asked_as)[rows] for one in self.aggregates]
        if not columns:
            return np.empty((len(rows), 0), dtype=np.uint8)
        return np.ascontiguousarray(np.column_stack(columns), dtype="<f8").view(np.uint8)

    def warnings(self, row: int) -> tuple[str, ...]:
        """What the sender of one row is told: the row is read once more for it."""
        parsed, by = self.block.parse(row), self.answer.explained_by
        not_sent = by.not_sent(parsed.transaction) if by is not None else ()
        return parsed.warnings + not_evaluated(self.rules.of(row)) + not_sent
