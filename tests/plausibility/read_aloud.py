"""Prints sampled answers as a person reads them, for docs/reasons-review.md: `python -m tests.plausibility.read_aloud`.

Half of a schema's sample are steps of the stories, half are drawn payments of the crowd.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from apps.scoring.engine.decide import Decision, Policy
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.explain import Reason
from apps.scoring.engine.models import load_active
from apps.scoring.engine.schemas import SCHEMAS
from tests.plausibility.__main__ import ARTIFACTS
from tests.plausibility.drafts import crowd, drawn
from tests.plausibility.play import play
from tests.plausibility.stories import suite

LONGEST = 160  # characters of a payment


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.plausibility.read_aloud", description=__doc__)
    parser.add_argument("schemas", nargs="*", help="all when none is named")
    parser.add_argument("--answers", type=int, default=200, help="of each schema")
    parser.add_argument("--artifacts", type=Path, default=ARTIFACTS, help="where the models stand")
    asked = parser.parse_args()
    for schema in asked.schemas or SCHEMAS:
        engine = Engine({schema: load_active(asked.artifacts, schema)})
        told = list(_of_stories(engine, schema))
        told = Random(schema).sample(told, min(len(told), asked.answers // 2))
        told += _of_the_crowd(engine, schema, asked.answers - len(told))
        print(f"\n## {schema}\n")
        print("\n".join(f"{number}. {answer}" for number, answer in enumerate(told, start=1)))


def _of_stories(engine: Engine, schema: str) -> Iterator[str]:
    for story in suite(schema).all():
        for played in play(engine, suite(schema), story):
            fields = suite(schema).sent(played.step.send)
            yield _aloud(f"{played.name} ({story.why})", fields, played.decision)


def _of_the_crowd(engine: Engine, schema: str, count: int) -> list[str]:
    random, people, told = Random(f"aloud {schema}"), crowd(schema), []
    for _ in range(count):
        draft = drawn(schema, random)
        parsed = people.parsed(draft)
        decision = engine.decide(schema, parsed, people.seen(draft, parsed), Policy(home_country="Uzbekistan"))
        told.append(_aloud("drawn", draft.fields, decision))
    return told


def _aloud(name: str, fields: dict[str, Any], decision: Decision) -> str:
    sent = ", ".join(f"{field} {value}" for field, value in fields.items())
    reasons = "\n".join(
        f"   - {_weight(reason)} {reason.code} [{_value(reason)}] {reason.text}" for reason in decision.reasons
    )
    return (
        f"{name}: {sent[:LONGEST]}\n   p {decision.fraud_probability:.4f}, rank {decision.risk_score}, "
        f"{decision.risk_level}, {decision.recommended_action}, {decision.fraud_type}, by {decision.decisive.id}\n"
        f"{reasons}"
    )


def _weight(reason: Reason) -> str:
    return "rule" if reason.contribution is None else f"{reason.contribution:+.2f}"


def _value(reason: Reason) -> str:
    usual = "" if reason.usual is None else f", usually {reason.usual:.4g}"
    return f"{'' if reason.value is None else reason.value} {reason.unit or ''}".strip() + usual


if __name__ == "__main__":
    main()
