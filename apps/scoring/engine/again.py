"""A decision made again: from the facts and the row it was made on, under the policy and by the models it names.

Nothing is asked of history: the row holds what history said then. Nothing of a later date can come in.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from apps.scoring.engine import made_on
from apps.scoring.engine.aggregates import counted_by
from apps.scoring.engine.asking import Chosen, asked, scored_of
from apps.scoring.engine.conclusion import conclude
from apps.scoring.engine.decide import Decision, Policy
from apps.scoring.engine.made_on import MadeOn
from apps.scoring.engine.transaction import Parsed, TransactionSchema


class Kept(NamedTuple):
    """What was kept of a decision: its facts without card numbers, when its request came (ms since 1970), its float32
    vector (b"": no model), and its row."""

    facts: Mapping[str, Any]
    came_ms: int
    features: bytes
    made_on: MadeOn


def decide_again(schema: TransactionSchema, kept: Kept, policy: Policy, chosen: Chosen) -> Decision:
    """The engine's decision on what was kept, under the policy it was made under.

    Its warnings lack what was remarked when the request was read, and `degraded` tells of models alone.
    """
    row = kept.made_on.row
    vector = np.frombuffer(kept.features, "<f4") if kept.features else row.astype("<f4")
    answer = asked(chosen, vector.reshape(1, -1))
    scored = scored_of(chosen, answer, 0, vector.tobytes())
    pasts = made_on.pasts_of(schema, kept.made_on.counts)
    lists = made_on.known_lists(policy.list_checks, kept.made_on.lists)
    counted = counted_by(policy.aggregates, schema.name)
    aggregates = made_on.known_aggregates(counted, len(policy.list_checks), kept.made_on.lists)
    parsed = parsed_again(schema, kept.facts, kept.came_ms)
    return conclude(schema, parsed, row.tolist(), policy, scored, answer.away, pasts, lists, aggregates)


def parsed_again(schema: TransactionSchema, facts: Mapping[str, Any], came_ms: int) -> Parsed:
    """A transaction as it was read, from its stored facts; without its masked numbers, and without remarks."""
    typed = schema.retyped(facts)
    transaction = schema.recalled(typed)
    return Parsed(transaction, typed, transaction, typed, came_ms=came_ms)
