"""The retry schedule of deliveries. Pure.

The delays are the example schedule of the Standard Webhooks specification 1.0.0: ten tries in 75 hours, then given up.
"""

from datetime import datetime, timedelta

DELAYS: tuple[timedelta, ...] = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
MOST_TRIES = 1 + len(DELAYS)
#: A delay grows by up to this share, so that what failed together is not tried together.
JITTER = 0.1
#: The longest `Retry-After` that is heeded.
LONGEST_WAIT = timedelta(hours=24)


def next_try(tries: int, now: datetime, luck: float, retry_after: float | None = None) -> datetime | None:
    """When to try again after `tries` failures, None = never. `luck` in [0, 1) jitters; `retry_after` in seconds."""
    if tries >= MOST_TRIES:
        return None
    delay = DELAYS[tries - 1] * (1 + JITTER * luck)
    return now + max(delay, min(timedelta(seconds=retry_after or 0), LONGEST_WAIT))
