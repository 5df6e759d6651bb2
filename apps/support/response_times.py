"""How soon a request is answered, by plan: what the plans promise. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta

#: None: as soon as somebody has time.
ANSWERED_WITHIN: Mapping[str, timedelta | None] = {
    "free": None,
    "basic": timedelta(hours=48),
    "professional": timedelta(hours=24),
    "enterprise": timedelta(hours=4),
}


def answer_by(plan: str, now: datetime) -> datetime | None:
    """Until when what is asked now is answered."""
    within = ANSWERED_WITHIN[plan]
    return None if within is None else now + within
