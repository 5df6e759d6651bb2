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
    task_ignore_result=True,
    task_acks_late=True,  # a task may run twice: each is harmless when repeated
    worker_prefetch_multiplier=1,
    timezone="UTC",
    beat_schedule={
        # What was served, journaled, recorded and rolled up agrees, or somebody is told.
        "reconcile": {"task": "apps.scoring.tasks.reconcile_books", "schedule": crontab(minute=20)},
    },
)
app.autodiscover_tasks(["apps.scoring"])
