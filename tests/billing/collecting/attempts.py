"""What a worker does about one invoice."""

from datetime import datetime
from typing import Any

from apps.billing.collecting import payments
from apps.billing.models import Invoice, Payment


def attempt(invoice: Invoice, gateway: Any, now: datetime) -> None:
    """What a worker does about an invoice: ask again, or try anew."""
    waiting = Payment.objects.filter(invoice=invoice, status__in=payments.OPEN).select_related("invoice").first()
    if waiting is None:
        payments.collect(invoice, gateway, now)
    else:
        payments.ask_again(waiting, gateway, now)
