"""Money as rows, all in `public`: what was agreed (`subscription`), is owed (`invoice`) and was paid (`payment`)."""

from apps.billing.models.fields import (
    amount_field,
    new_credit_id,
    new_credit_note_id,
    new_invoice_id,
    price_field,
)
from apps.billing.models.invoice import (
    Closing,
    Coupon,
    CouponRedemption,
    Credit,
    CreditNote,
    CreditNoteLine,
    Invoice,
    InvoiceDeduction,
    InvoiceLine,
    NumberSeries,
)
from apps.billing.models.payment import (
    BALANCE,
    BY_HAND,
    TRANSFER,
    Payment,
    PaymentCard,
    ProviderEvent,
    Refund,
)
from apps.billing.models.subscription import (
    BillingClock,
    ClockStep,
    Limitation,
    PlanSpan,
    Subscription,
)

__all__ = [
    "BALANCE",
    "BY_HAND",
    "TRANSFER",
    "BillingClock",
    "ClockStep",
    "Closing",
    "Coupon",
    "CouponRedemption",
    "Credit",
    "CreditNote",
    "CreditNoteLine",
    "Invoice",
    "InvoiceDeduction",
    "InvoiceLine",
    "Limitation",
    "NumberSeries",
    "Payment",
    "PaymentCard",
    "PlanSpan",
    "ProviderEvent",
    "Refund",
    "Subscription",
    "amount_field",
    "new_credit_id",
    "new_credit_note_id",
    "new_invoice_id",
    "price_field",
]
