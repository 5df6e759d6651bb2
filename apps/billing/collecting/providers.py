"""The factory of the payment gateway: which provider this installation uses."""

from django.conf import settings

from apps.billing.collecting.gateway import Gateway
from apps.billing.collecting.transfer_gateway import TransferGateway


def get_gateway() -> Gateway:
    """Return the gateway of this installation: Stripe's when STRIPE_API_KEY is set, else bank transfer."""
    if not settings.STRIPE_API_KEY:
        return TransferGateway()
    from apps.billing.collecting.stripe_gateway import StripeGateway  # the library costs half a second and 40 MB

    return StripeGateway(
        api_key=settings.STRIPE_API_KEY,
        webhook_secret=settings.STRIPE_WEBHOOK_SECRET,
        base=settings.STRIPE_API_BASE,
        timeout=settings.STRIPE_TIMEOUT,
    )
