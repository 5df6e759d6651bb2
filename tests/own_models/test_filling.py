"""The live store is told of decisions no call made as if calls had made them, whatever calls told it meanwhile."""

import numpy as np
import pytest

from apps.api_keys.gate import names_of
from apps.scoring.engine.past_events import DAY_MS, FLAGS_AT, KEPT, mark_of, placed
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving import activity
from apps.scoring.serving.activity import Seen
from apps.scoring.serving.filling import Filling
from apps.valkey import Valkey

SCHEMA = SCHEMAS["payments"]
BEGIN_S, NOW_MS = 1_522_540_800, 1_790_000_000_000
NAMES = names_of("abc123", True)


def payments(seed: int, count: int) -> list[tuple[Seen, int | None]]:
    """In no order of time, of few users, some blocked or known to be frauds."""
    random, found = np.random.default_rng(seed), []
    for number, hour in enumerate(random.permutation(count).tolist()):
        said = {"user_id": f"u{random.integers(3)}", "merchant_id": f"m{random.integers(9)}", "device_id": "d1",
                "amount": float(random.integers(1, 500)), "timestamp": iso(BEGIN_S + 3600 * hour)}  # fmt: skip
        told = SCHEMA.parse(said, NOW_MS)
        refused = (None, None, 0, told.at_ms + DAY_MS)[int(random.integers(4))]
        found.append((activity.seen(SCHEMA, told, number + 1), refused))
    return found


def iso(seconds: int) -> str:
    return np.datetime_as_string(np.datetime64(seconds, "s")) + "Z"


def as_calls_would(rows: list[tuple[Seen, int | None]]) -> dict[str, bytes]:
    """The pasts calls would have left, in order of event time."""
    pasts: dict[str, bytes] = {}
    for row, refused in sorted(rows, key=lambda pair: pair[0].parsed.at_ms):
        for party, event in zip(row.parties, activity.events_of(row), strict=True):
            key = NAMES.party("payments", party.role, party.name)
            flags = b"" if refused is None else mark_of(event, refused)[1]
            event = event if not flags else event[:FLAGS_AT] + flags
            pasts[key] = placed(pasts.get(key, b""), event)
    return {key: past[-KEPT * 48 :] for key, past in pasts.items()}


def written(valkey: Valkey, rows: list[tuple[Seen, int | None]]) -> None:
    filling = Filling(NAMES)
    for row, refused in rows:
        filling.add(row, refused)
    filling.write(valkey)


@pytest.mark.parametrize("count", [1, 400, 1500])
def test_pasts_are_those_calls_would_have_left(valkey: Valkey, flush: None, count: int) -> None:
    rows = payments(1, count)
    expected = as_calls_would(rows)
    for _ in range(2):  # harmless when repeated
        written(valkey, rows)
        assert {key: valkey.command("GET", key) for key in expected} == expected
    assert all(valkey.command("TTL", key) > 7 * 86_400 for key in expected)


def test_what_is_there_stays_and_what_is_missing_comes_between(valkey: Valkey, flush: None) -> None:
    rows = payments(2, 600)
    written(valkey, rows[::2])
    written(valkey, [(row, None) for row, _ in rows])
    expected = as_calls_would([(row, refused if place % 2 == 0 else None) for place, (row, refused) in enumerate(rows)])
    assert {key: valkey.command("GET", key) for key in expected} == expected


def test_what_is_dated_ahead_of_the_clocks_is_left_out(valkey: Valkey, flush: None) -> None:
    told = SCHEMA.parse({"user_id": "u", "merchant_id": "m", "amount": 1.0, "timestamp": iso(NOW_MS // 1000 + 3600)},
                        NOW_MS)  # fmt: skip
    filling = Filling(NAMES)
    filling.add(activity.seen(SCHEMA, told, 1))
    assert list(filling.pasts()) == []
