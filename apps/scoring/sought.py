"""What a stored decision is found by, beside its id and time: its amount, its parties, the rules that were hit. Pure.

Read from what the journal carries, by the recorder, so that the request that scores pays nothing for it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from apps.scoring.engine.rules import RuleResult
from apps.scoring.engine.schemas import SCHEMAS
from apps.text import recognised


class Sought(NamedTuple):
    """`amount` in the transaction's own currency; `parties` as they are recognised."""

    amount: float
    parties: list[str]
    rules_hit: list[str]


class _Ruled(msgspec.Struct):
    """Of an answer what was said by rules."""

    rules: Sequence[RuleResult] = ()


_facts = msgspec.json.Decoder(dict).decode
_ruled = msgspec.json.Decoder(_Ruled).decode


def sought_of(schema_name: str, facts: bytes, answer: bytes) -> Sought:
    """What the decision on these facts (JSON) is found by, `answer` (JSON) being what was said."""
    schema, said = SCHEMAS[schema_name], _facts(facts)
    named = [said.get(field) for field in schema.searched]
    return Sought(
        amount=float(said.get(schema.amount_field) or 0),
        parties=[party_name(value) for value in named if value is not None],
        rules_hit=[rule.id for rule in _ruled(answer).rules if rule.outcome == "hit"],
    )


def party_name(value: object) -> str:
    """A party's name as it is kept and looked for: numbers without a fraction, texts however they are spelled."""
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return recognised(str(whole))
