"""Celery tasks of the SLA, on the schedule of config/celery.py."""

import time
from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from apps.sla import evaluation, probes
from apps.sla.requests import forget_days, keep_days

#: Days looked at each time: a month, and whoever was away for some days.
READ_BACK = 35
#: The months that late data corrects, and two more.
KEPT = timedelta(days=155)


@shared_task(expires=probes.PULSE_EVERY)
def say_pulse() -> None:
    """The worker works: the prober listens."""
    probes.say_pulse(time.time())


@shared_task
def keep_measured_days() -> int:
    """Read the last days' requests once, so that months are added up from days. Harmless when repeated."""
    today = timezone.now().date()
    forget_days(today - KEPT)
    return keep_days([today - timedelta(days=back) for back in range(1, READ_BACK + 1)])


@shared_task
def evaluate_months() -> int:
    """State the last month where that was not done yet, and grant its credits. Harmless when repeated."""
    return evaluation.evaluate_due(timezone.now())


@shared_task
def correct_months() -> int:
    """Look again at the last months: late data corrects their statements. Harmless when repeated."""
    return evaluation.correct_due(timezone.now())
