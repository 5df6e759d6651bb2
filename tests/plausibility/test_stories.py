"""The shipped models answer every story as an analyst would."""

from functools import cache
from pathlib import Path

import pytest

from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import load_active
from apps.scoring.engine.schemas import SCHEMAS
from tests.plausibility.__main__ import ARTIFACTS
from tests.plausibility.play import play_all
from tests.plausibility.stories import BANDS, suite

#: Answers that are not yet as they must be, "<schema> <story>" a line. One that is right by now must leave the list:
#: `python -m tests.plausibility --list > tests/plausibility/not_yet.txt`.
NOT_YET = Path(__file__).parent / "not_yet.txt"


@cache
def wrong(schema: str) -> frozenset[str]:
    engine = Engine({schema: load_active(ARTIFACTS, schema)})
    return frozenset(f"{schema} {one.name}" for one in play_all(engine, schema) if one.problems)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_answer_is_one_an_analyst_would_sign(schema: str) -> None:
    not_yet = {line for line in NOT_YET.read_text().splitlines() if line.startswith(f"{schema} ")}
    assert wrong(schema) == not_yet


@pytest.mark.parametrize("schema", SCHEMAS)
def test_there_are_stories_enough_and_each_says_why(schema: str) -> None:
    told = suite(schema).all()
    assert len(told) >= 60
    assert len({one.id for one in told}) == len(told)
    assert all(one.why for one in told)
    assert all(step.band is None or step.band in BANDS for one in told for step in one.steps)
