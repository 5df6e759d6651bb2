"""When a delivery is tried again: the table of Standard Webhooks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.notifications.schedule import LONGEST_WAIT, MOST_TRIES, next_try

START = datetime(2026, 11, 21, tzinfo=UTC)


def test_ten_tries_within_75_hours_35_minutes_and_5_seconds() -> None:
    at, times = START, []
    for tries in range(1, MOST_TRIES):
        again = next_try(tries, at, 0.0)
        assert again is not None
        at = again
        times.append(str(at - START))
    assert times == [
        "0:00:05", "0:05:05", "0:35:05", "2:35:05", "7:35:05", "17:35:05", "1 day, 7:35:05", "2 days, 3:35:05",
        "3 days, 3:35:05",
    ]  # fmt: skip
    assert next_try(MOST_TRIES, at, 0.0) is None


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [(None, 5), (1, 5), (60, 60), (10**9, LONGEST_WAIT.total_seconds())]
)
def test_retry_after_is_heeded_within_reason(retry_after: float | None, seconds: float) -> None:
    assert next_try(1, START, 0.0, retry_after) == START + timedelta(seconds=seconds)


@given(tries=st.integers(1, 9), luck=st.floats(0, 1, exclude_max=True))
def test_jitter_delays_by_a_tenth_at_most(tries: int, luck: float) -> None:
    plain, jittered = next_try(tries, START, 0.0), next_try(tries, START, luck)
    assert plain is not None
    assert jittered is not None
    assert plain <= jittered <= plain + (plain - START) / 10
