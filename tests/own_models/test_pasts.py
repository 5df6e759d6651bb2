"""What own models know of a party is the same online, in bulk and from Postgres, and never of what came later."""

import numpy as np
import pytest

from apps.api_keys.gate import names_of
from apps.scoring.engine.own_features import block_of, parties_of, row_of
from apps.scoring.engine.own_past import (
    BUCKET_MS,
    DAY_SECONDS,
    FOR_GOOD,
    WIDTH,
    Doings,
    Frauds,
    bucket_of,
    counted_columns,
    hundredths_of,
    known_second,
)
from apps.scoring.serving import own_pasts
from apps.scoring.serving.own_pasts import Doing
from apps.valkey import Valkey

DAY_MS = DAY_SECONDS * 1000
BEGIN_MS = 1_522_540_800_000
MERCHANTS = 5


class Log:
    """Decisions of some merchants over 80 days, some of them known to be frauds days later, some of these corrected."""

    def __init__(self, seed: int, count: int = 600) -> None:
        random = np.random.default_rng(seed)
        self.at_ms = np.sort(random.integers(BEGIN_MS, BEGIN_MS + 80 * DAY_MS, count))
        self.party = random.integers(0, MERCHANTS, count)
        self.amount = np.round(random.gamma(2.0, 20.0, count), 2)
        is_fraud = random.random(count) < 0.2
        known = np.array([known_second(int(at + random.integers(0, 20 * DAY_MS)), int(at)) for at in self.at_ms])
        until = np.where(random.random(count) < 0.3, known + random.integers(1, 9 * DAY_SECONDS, count), FOR_GOOD)
        self.labels = [(row, int(known[row]), int(until[row])) for row in np.flatnonzero(is_fraud).tolist()]

    def doing(self, row: int) -> Doing:
        name = own_pasts.hashed(f"m{self.party[row]}")
        parties = tuple(name if field == "merchant_id" else "" for field in parties_of("payments"))
        return Doing("payments", parties, int(self.at_ms[row]), float(self.amount[row]), False, row + 1)

    def columns(self) -> np.ndarray:
        row, known, until = np.array(self.labels, dtype=np.int64).T
        hundredths = np.array([hundredths_of(amount) for amount in self.amount.tolist()], dtype=np.float64)
        return counted_columns(Doings(self.party, self.at_ms, hundredths), Frauds(self.party[row], known, until))


def online(valkey: Valkey, log: Log) -> np.ndarray:
    """Each decision as it is made, each label as it becomes known."""
    names = names_of("abc123", True)
    marks = [(known, row, known * 1000) for row, known, _ in log.labels]
    marks += [(until, row, None) for row, _, until in log.labels if until < FOR_GOOD]
    marks.sort(key=lambda mark: mark[0])
    found = []
    for row, at_ms in enumerate(log.at_ms.tolist()):
        while marks and marks[0][0] * 1000 <= at_ms:
            _, marked, known_ms = marks.pop(0)
            own_pasts.mark(valkey, names, [(log.doing(marked), known_ms)])
        found += own_pasts.observe(valkey, names, [log.doing(row)], add=True)
    return np.array(found)[:, 1 + WIDTH : 1 + 2 * WIDTH]


@pytest.mark.parametrize("seed", range(3))
def test_online_is_offline_to_the_bit(valkey: Valkey, flush: None, seed: int) -> None:
    log = Log(seed)
    offline = log.columns()
    assert np.array_equal(online(valkey, log), offline, equal_nan=True)
    assert np.nanmax(offline, axis=0).min() > 0  # every number counts something


def test_later_knowledge_is_found_nowhere() -> None:
    """Whatever is dated later, doings and labels, changes nothing of what was known before."""
    log = Log(11)
    whole, half = log.columns(), len(log.at_ms) // 2
    at = int(log.at_ms[half])
    log.amount[half:] = 1e6
    log.labels = [label if label[1] * 1000 <= at else (label[0], label[1] + 9 * DAY_SECONDS, FOR_GOOD)
                  for label in log.labels if label[2] == FOR_GOOD or label[2] * 1000 > at]  # fmt: skip
    before = Log(11)
    before.labels = [label for label in before.labels if label[2] == FOR_GOOD or label[2] * 1000 > at]
    assert np.array_equal(log.columns()[:half], before.columns()[:half], equal_nan=True)
    assert whole.shape == (len(log.at_ms), WIDTH)


def test_a_decision_sees_neither_its_own_bucket_nor_a_label_of_its_own_second() -> None:
    now = BEGIN_MS + 40 * DAY_MS
    doings = Doings(np.zeros(3, np.int64), np.array([now - BUCKET_MS, now, now + 1]), np.full(3, 100.0))
    frauds = Frauds(np.zeros(1, np.int64), np.array([known_second(now, now)]), np.array([FOR_GOOD]))
    assert bucket_of(now) == bucket_of(now + 1)
    assert counted_columns(doings, frauds)[1, :9].tolist() == [1, 1, 1, 100, 100, 100, 0, 0, 0]


def test_a_row_has_the_features_of_a_block() -> None:
    log = Log(5)
    numbers = np.column_stack([log.amount * 100.0, log.columns()])
    numbers[3, 1:] = np.nan
    rows = np.array([row_of(row, 0.01) for row in numbers.tolist()])
    assert np.allclose(rows, block_of(numbers, 0.01), rtol=1e-15, atol=1e-15, equal_nan=True)


def test_observing_adds_nothing_where_that_is_not_wanted(valkey: Valkey, flush: None) -> None:
    log, names = Log(6), names_of("abc123", True)
    for _ in range(2):
        (numbers,) = own_pasts.observe(valkey, names, [log.doing(0)], add=False)
        assert numbers[1 + WIDTH : 10 + WIDTH] == (0.0,) * 9 and numbers[1] != numbers[1]
