"""What the worker does for the outbox, on the schedule of config/celery.py."""

from celery import shared_task
from django.utils import timezone
from prometheus_client import Gauge

from apps.notifications import delivery
from apps.notifications.models import Delivery

OLDEST = Gauge(
    "palisade_outbox_oldest_due_seconds", "How late the oldest due delivery is", multiprocess_mode="mostrecent"
)


@shared_task(expires=10)  # what waited in the queue for so long is done by the next one
def deliver_due() -> int:
    """Try all that is due. Harmless when run twice or by several workers."""
    now = timezone.now()
    oldest = Delivery.objects.filter(state=Delivery.State.WAITING, next_try_at__lte=now).order_by("next_try_at").first()
    OLDEST.set((now - oldest.next_try_at).total_seconds() if oldest and oldest.next_try_at else 0.0)
    return delivery.deliver_due(timezone.now)


@shared_task
def forget_old_deliveries() -> int:
    return delivery.forget_old(timezone.now())
