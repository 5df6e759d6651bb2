"""Celery: the application and the whole schedule as one table."""

import os
import warnings

from celery import Celery
from celery.platforms import SecurityWarning
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")

# `make up` may run as root (in a container it often does); Celery's eight lines about it would bury the banner.
warnings.filterwarnings("ignore", category=SecurityWarning)

from django.conf import settings  # noqa: E402 - the settings' name must be set first

app = Celery("palisade")
app.conf.update(
    broker_url=settings.REDIS_URL.replace("unix://", "redis+socket://", 1),
    broker_connection_retry_on_startup=True,
    # Without the broker's connection a task can't be acknowledged and comes again: it stops here, rather than run twice
    # at once. It is Celery 6's default; unset, every lost connection is a deprecation warning.
    worker_cancel_long_running_tasks_on_connection_loss=True,
    task_ignore_result=True,
    task_acks_late=True,  # a task may run twice: each is harmless when repeated
    worker_prefetch_multiplier=1,
    timezone="UTC",
    beat_schedule={
        # What waits to be told is told within seconds; each task finds only what is due.
        "deliver": {"task": "apps.notifications.tasks.deliver_due", "schedule": 2.0},
        "forget_deliveries": {
            "task": "apps.notifications.tasks.forget_old_deliveries",
            "schedule": crontab(hour=2, minute=40),
        },
        # Who reached 80 % or 100 % of the included volume or of the spend cap is told within a minute.
        "budgets": {"task": "apps.usage.tasks.tell_budgets", "schedule": 60.0},
        # Payments: what the provider told, what is due or unanswered, and what nobody told.
        "provider_events": {"task": "apps.billing.tasks.work_through_events", "schedule": 5.0},
        "payments": {"task": "apps.billing.tasks.collect_payments", "schedule": 30.0},
        "provider_books": {
            "task": "apps.billing.tasks.reconcile_with_provider",
            "schedule": crontab(hour=4, minute=20),
        },
        # Scheduled plans begin and trials end within a minute; the gate knows to the second by itself.
        "plans": {"task": "apps.usage.tasks.follow_plans", "schedule": 60.0},
        # Months are closed within the first hour, when the last of them is recorded; whoever was missed, an hour later.
        "close_months": {"task": "apps.usage.tasks.close_months", "schedule": crontab(minute=35)},
        # What was served, journaled, recorded and rolled up agrees, or somebody is told.
        "reconcile": {"task": "apps.scoring.tasks.reconcile_books", "schedule": crontab(minute=20)},
        # Yesterday's features are what the stored past says they were.
        "compare_vectors": {"task": "apps.scoring.tasks.compare_vectors", "schedule": crontab(hour=3, minute=10)},
    },
)
app.autodiscover_tasks(["apps.notifications", "apps.billing", "apps.usage", "apps.scoring"])
