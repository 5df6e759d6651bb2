"""The reasons of one decision don't contradict one another: what each says of the past is held against the others."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from random import Random

import numpy as np
import pytest

from apps.scoring.engine.explain import reasons
from apps.scoring.engine.history import Replay, unknown
from apps.scoring.engine.past_events import HOUR_MS
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from tests.scoring.engine.generated import parsed

#: Hours back at which a story's payments were made, the oldest first; the present one comes last.
STORIES = ((), (0.5,), (0.2, 0.1), (20,), (20, 0.3), (50,), (50, 20), (90, 50, 20, 0.5, 0.1), (200, 100, 50))
ANYTHING = (0.0, float("inf"))
_COUNT = r"(no|[\d,]+)"
#: A sentence about the past → what it says of payments of the hour, of the day and before: (least, most) each.
CLAIMS: Mapping[str, tuple[str, ...]] = {
    r"No earlier (payment|transaction) .* known\.": ("none", "none", "none"),
    r"No payment of the user from before the last 24 hours is known\.": ("", "some", "none"),
    rf"We know {_COUNT} payments? of the user from before the last 24 hours\.": ("", "", "count"),
    rf"The (?:user|origin) made {_COUNT} (?:payment|transaction)s? in the last hour\.": ("count", "", ""),
    rf"The (?:user|origin) made {_COUNT} (?:payment|transaction)s? in the last 24 hours\.": ("", "count", ""),
    rf"The user paid {_COUNT} merchants? in the last hour\.": ("least", "least", ""),
    rf"The user paid with {_COUNT} devices? in the last 24 hours\.": ("", "least", ""),
    rf"In the last hour {_COUNT} payments? of the user failed\.": ("least", "least", ""),
    r"The (?:user|origin) made no .* in the last 24 hours\.|The origin moved nothing in the last 24 hours\.":
        ("none", "none", ""),
}  # fmt: skip


def bounds(says: str, count: str) -> tuple[float, float]:
    """The least and the most payments a claim leaves."""
    number = 0.0 if count in ("", "no") else float(count.replace(",", ""))
    return {"": ANYTHING, "none": (0, 0), "some": (1, ANYTHING[1]), "count": (number, number),
            "least": (number, ANYTHING[1])}[says]  # fmt: skip


def claims(text: str) -> Iterator[tuple[int, float, float]]:
    """(window, least, most) of what a sentence says."""
    for pattern, windows in CLAIMS.items():
        if found := re.fullmatch(pattern, text):
            counts = [one for one in found.groups() if one and re.fullmatch(_COUNT, one)]
            for window, says in enumerate(windows):
                yield window, *bounds(says, counts[0] if counts else "")


def contradiction(texts: list[str]) -> bool:
    """Whether no past fits all of the sentences."""
    least, most = [0.0, 0.0, 0.0], [ANYTHING[1]] * 3
    for window, low, high in chain.from_iterable(map(claims, texts)):
        least[window], most[window] = max(least[window], low), min(most[window], high)
    return any(low > high for low, high in zip(least, most, strict=True)) or least[0] > most[1]


def told(schema: TransactionSchema, story: tuple[float, ...], random: Random) -> Iterator[list[str]]:
    """The reasons' sentences of the last payment of a story, for every few features that may have moved its score."""
    paid = parsed(schema, 1, random)[0]
    replay, parties = Replay(schema.roles), schema.parties(paid.transaction)
    for number, hours in enumerate(story, 1):
        replay.remember(parties, paid.at_ms - int(hours * HOUR_MS), schema.amount(paid.transaction), number)
    seen = replay.look(parties, paid.at_ms, len(story) + 1)
    pasts = [seen.get(role.name, unknown(role)) for role in schema.roles]
    row = schema.row(paid.transaction, paid.at_ms, pasts)
    for _ in range(20):
        added = np.array([random.choice((0.0, -1.0, 1.0, 2.0)) for _ in row], dtype="<f4")
        yield [one.text for one in reasons(schema, paid.transaction, row, added)]


@pytest.mark.parametrize("story", STORIES, ids=map(str, STORIES))
@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))
def test_reasons_of_one_decision_agree(schema: TransactionSchema, story: tuple[float, ...]) -> None:
    for texts in told(schema, story, Random(str(story))):
        assert not contradiction(texts), texts
