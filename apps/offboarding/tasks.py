"""What the workers do about going: make exports, forget old ones, finish closings. Each is harmless when repeated."""

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from apps.billing.collecting.providers import get_gateway
from apps.offboarding import closing, erasures, exports, retention
from apps.valkey import server


@shared_task(expires=60)
def make_exports() -> int:
    """Make what was asked for, one after the other; how many."""
    made = 0
    while exports.make_next(timezone.now()):
        made += 1
    return made


@shared_task(expires=60)
def finish_erasures() -> int:
    """Go on with persons' erasures that something was still being written for; how many were completed."""
    return erasures.finish_held(server(settings.REDIS_URL, settings.REDIS_TIMEOUT), timezone.now())


@shared_task
def remove_old() -> int:
    """Remove what tenants keep no longer; how many rows."""
    return retention.remove_old(timezone.now())


@shared_task
def finish_closures() -> int:
    """Remove what is due, closed tenants' data and old exports; how many tenants."""
    now = timezone.now()
    exports.forget_old(now)
    outside = closing.Outside(server(settings.REDIS_URL, settings.REDIS_TIMEOUT), get_gateway())
    return closing.finish_closures(now, outside)
