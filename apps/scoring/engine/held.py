"""Stored decisions held against a policy: what it would have decided on the rows and probabilities they were made on.

A block of stored decisions ─► rules on all rows ─► which decides ─► actions. No model is asked and nothing of history:
a row holds what both said then. What a policy decides here on its own decisions is what it did (a test).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import nan
from typing import Any

import numpy as np

from apps import times
from apps.scoring.engine import made_on
from apps.scoring.engine.again import parsed_again
from apps.scoring.engine.block import Block, BlockScores, RuleHits
from apps.scoring.engine.block_conclusion import NO_RULE, deciding_rules, verdicts_of
from apps.scoring.engine.block_rules import BlockValues, evaluate_block
from apps.scoring.engine.decide import ModelUsed, Policy
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.engine.made_on import MadeOnBlock
from apps.scoring.engine.operations import instant
from apps.scoring.engine.rule_programs import programs_of
from apps.scoring.engine.rules import Rule
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.engine.values import Columns

#: Stands for whichever model gave the probability: what is asked here is not whose it was.
ANY_MODEL = ModelUsed("", "", 0.0)


@dataclass(frozen=True, eq=False)
class Stored:
    """n stored decisions of one kind: their facts as a block, and what they were made on."""

    block: Block
    made: MadeOnBlock

    def __len__(self) -> int:
        return len(self.made.rows)

    @property
    def probability(self) -> np.ndarray:
        """float64[n], not rounded; nan: decided without a model."""
        return self.made.probability


@dataclass(frozen=True, eq=False)
class Held:
    """What a policy decides on n stored decisions.

    `action` and `without` are int8[n], indexes into ACTIONS: what it decides, and what it would decide without the rule
    that did. `deciding` is int16[n], an index into `rules`; `NO_RULE` where the model decides, or nobody.
    """

    rules: tuple[Rule, ...]
    hit: np.ndarray  # bool[rules, n]
    action: np.ndarray
    without: np.ndarray
    deciding: np.ndarray


def hold(
    stored: Stored,
    policy: Policy,
    known_lists: Mapping[ListCheck, np.ndarray],
    known_aggregates: Mapping[str, np.ndarray] | None = None,
    unknown_lists: Mapping[ListCheck, np.ndarray] | None = None,
) -> Held:
    """Hold stored decisions against a policy; `known_lists` are bool[n] by check, as lists were then, `unknown_lists`
    bool[n] where nobody could tell, and `known_aggregates` float64[n] by the names rules ask for, as they were counted
    then."""
    programs = programs_of(policy, stored.block.schema)
    pasts = made_on.pasts_of_block(stored.block.schema, stored.made.counts)
    values = BlockValues(
        stored.block, stored.made.rows, policy.home_country, pasts, known_lists, known_aggregates, unknown_lists
    )
    hits, rules = evaluate_block(programs, values), programs.rules
    deciding = _deciding(hits, policy, stored.probability)
    return Held(
        rules=rules,
        hit=hits.hit,
        action=_actions(policy, rules, deciding, stored.probability),
        without=_without(hits, policy, deciding, stored.probability),
        deciding=deciding,
    )


def stored_facts(
    schema: TransactionSchema, facts: Sequence[Mapping[str, Any]], came_ms: Sequence[int], masked: Sequence[int]
) -> Block:
    """Stored facts, as JSON holds them, as a block, whose requests came then (ms since 1970); `masked` are those in
    which card numbers are."""
    return Block(
        schema=schema,
        columns=Columns(lambda name: _column(schema, name, [one.get(name) for one in facts])),
        at_ms=np.empty(len(facts)),
        parse=lambda row: parsed_again(schema, facts[row], came_ms[row]),
        masked=masked,
    )


def made_of(
    schema: TransactionSchema, kept: Sequence[bytes | None], features: Sequence[bytes], told: np.ndarray
) -> tuple[MadeOnBlock, np.ndarray]:
    """What n decisions were made on, and of which of them that is exact (bool[n]).

    Of decisions made before it was kept the float32 vector and the probability as it was `told` must do.
    """
    count, width = len(kept), len(schema.features)
    held = np.full((count, width), nan)
    for place, one in enumerate(features):
        if len(one) == 4 * width:
            held[place] = np.frombuffer(one, "<f4")
    whole = [place for place, one in enumerate(kept) if one and len(features[place]) in (0, 4 * width)]
    found = made_on.unpacked_block([kept[place] or b"" for place in whole], held[whole], schema)
    if len(whole) == count:
        return found, np.ones(count, dtype=bool)
    exact, counts, lists = np.zeros(count, dtype=bool), np.full((count, found.counts.shape[1]), nan), [b""] * count
    probability = told.copy()
    held[whole], probability[whole], counts[whole], exact[whole] = found.rows, found.probability, found.counts, True
    for place, one in zip(whole, found.lists, strict=True):
        lists[place] = one
    return MadeOnBlock(held, probability, counts, lists), exact


def _column(schema: TransactionSchema, name: str, values: Sequence[Any]) -> np.ndarray:
    """A field's stored values as `TransactionSchema.column` has those of a request."""
    if is_kind(str, schema.types[name]):
        return np.array(values, dtype=object)
    if is_kind(datetime, schema.types[name]):
        return np.array([nan if value is None else instant(times.read(value)) for value in values], dtype=np.float64)
    return np.array([nan if value is None or type(value) is str else value for value in values], dtype=np.float64)


def _deciding(hits: RuleHits, policy: Policy, probability: np.ndarray) -> np.ndarray:
    """int16[n]: `deciding_rules` of rows with a probability and of those without."""
    scored = probability == probability
    found = deciding_rules(hits, policy, _scores(probability))
    return found if scored.all() else np.where(scored, found, deciding_rules(hits, policy, None)).astype(np.int16)


def _actions(policy: Policy, rules: Sequence[Rule], deciding: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """int8[n]: what follows from the rules that decide, and from the probability where none does."""
    scored, count = probability == probability, len(deciding)
    found = verdicts_of(policy, rules, deciding, _scores(probability), count).action
    if scored.all():
        return found
    return np.where(scored, found, verdicts_of(policy, rules, deciding, None, count).action).astype(np.int8)


def _without(hits: RuleHits, policy: Policy, deciding: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """int8[n]: the action of each row without the rule that decides it."""
    found = _actions(policy, hits.rules, np.full(len(deciding), NO_RULE, dtype=np.int16), probability)
    ruled = (deciding != NO_RULE).nonzero()[0]
    if len(ruled):
        hit = hits.hit[:, ruled]
        hit[deciding[ruled], np.arange(len(ruled))] = False
        others = RuleHits(hits.rules, hit, hits.error[:, ruled])
        second = _deciding(others, policy, probability[ruled])
        found[ruled] = _actions(policy, hits.rules, second, probability[ruled])
    return found


def _scores(probability: np.ndarray) -> BlockScores:
    return BlockScores(probability, np.zeros(len(probability), dtype=np.int16), ANY_MODEL)
