"""Refused calls are found by the hour, in whichever months the hours asked for are."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.usage.admission import refused_calls

HOUR = timedelta(hours=1)
THIS_HOUR = timezone.now().replace(minute=0, second=0, microsecond=0)
#: Of this year's, for what is counted is kept for 215 days: an hour of a month's first day, late and early.
FIRST = THIS_HOUR.replace(day=1, hour=0)


@pytest.mark.parametrize("hours", [0, 1, 2, 23, 24])
@pytest.mark.parametrize("span", [1, 24, 24 * 7, 24 * 40])
def test_hours_on_both_sides_of_a_months_beginning_are_found(hours: int, span: int, servers: object) -> None:
    handle, end = f"first{hours}x{span}", FIRST + (hours + 1) * HOUR
    last, before = end - HOUR, end - span * HOUR
    for at in {last, before}:
        refused_calls.note(handle, True, at + timedelta(minutes=59))
    refused_calls.note(handle, True, before - HOUR)
    refused_calls.note(handle, True, end)
    assert refused_calls.by_hour(handle, True, before, end) == {last: 1, before: 1}
