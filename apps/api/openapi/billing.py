"""The operations of plans, the subscription, invoices and credits, one row each."""

from collections.abc import Iterable
from typing import Any

from apps.api.billing import DEFAULT_A_PAGE, MOST_A_PAGE
from apps.api.openapi.operations import REQUEST_ID, Answer, Body, Json, Operation, parameter
from apps.api.openapi.schemas import ref

TAG = "Billing"
ABOUT = "Plans, the subscription, invoices and credits. Amounts are decimal strings, times UTC, months calendar months."
_INVOICE: Json = parameter(
    "invoice_id",
    "path",
    "The invoice's id.",
    {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    required=True,
    example="in_5d0c2f75d1e0b7c4a9f21e60",
)
_PAGE = (
    parameter(
        "limit",
        "query",
        "Invoices a page.",
        {"type": "integer", "minimum": 1, "maximum": MOST_A_PAGE, "default": DEFAULT_A_PAGE},
    ),
    parameter("cursor", "query", "`next_cursor` of the page before.", {"type": "string"}),
)
_CHANGE = {
    "up": {"summary": "A larger plan, at once", "value": {"plan": "enterprise"}},
    "down": {"summary": "A smaller plan, at the end of the month", "value": {"plan": "basic"}},
    "cancel": {"summary": "Cancel: Free from the end of the month", "value": {"plan": "free"}},
}
#: What a body that changes something may be told.
_CHANGES = ("body_malformed", "body_too_large", "media_type_unsupported", "live_key_required")


def _read(path: str, name: str, summary: str, description: str, answer: Answer, **more: Any) -> Operation:
    parameters = (*more.pop("parameters", ()), REQUEST_ID)
    said = f"{description} Scope: `read`."
    return Operation("GET", path, name, TAG, summary, said, answer, scope="read", parameters=parameters, **more)


OPERATIONS: Iterable[Operation] = (
    _read(
        "/v1/plans",
        "listPlans",
        "List the plans",
        "What is sold today, with the prices of every currency.",
        Answer(ref("PlanList"), "The plans, the smallest first."),
    ),
    _read(
        "/v1/subscription",
        "getSubscription",
        "Read the subscription",
        "The plan in force, what it allows this month, and what is scheduled.",
        Answer(ref("Subscription"), "The subscription."),
    ),
    Operation(
        "POST",
        "/v1/subscription",
        "changeSubscription",
        TAG,
        "Change the plan",
        "Up: at once, the fee and the included units prorated to the second. Down, and `free` to cancel: at the end of "
        "the month. The plan in force: what was scheduled is dropped. Scope: `admin`, with a live key.",
        Answer(ref("Subscription"), "The subscription as it is now."),
        scope="admin",
        parameters=(REQUEST_ID,),
        body=Body(ref("SubscriptionChange"), _CHANGE),
        problems=(*_CHANGES, "field_invalid", "payment_method_required"),
    ),
    _read(
        "/v1/invoices",
        "listInvoices",
        "List invoices",
        "Issued, paid and void ones. A test key has none.",
        Answer(ref("InvoicePage"), "A page of invoices, newest first."),
        parameters=_PAGE,
        problems=("field_invalid", "cursor_invalid"),
    ),
    _read(
        "/v1/invoices/{invoice_id}",
        "getInvoice",
        "Read an invoice",
        "It never changes once it was issued, but for being paid or voided; credit notes correct it.",
        Answer(ref("Invoice"), "The invoice."),
        parameters=(_INVOICE,),
        problems=("not_found",),
    ),
    _read(
        "/v1/invoices/{invoice_id}.pdf",
        "getInvoicePdf",
        "An invoice as PDF",
        "With the usage by day and by endpoint.",
        Answer({"type": "string", "contentMediaType": "application/pdf"}, "The PDF.", "application/pdf"),
        parameters=(_INVOICE,),
        problems=("not_found", "pdf_unavailable"),
    ),
    _read(
        "/v1/invoices/{invoice_id}.html",
        "getInvoiceHtml",
        "An invoice as a page",
        "The same as the PDF; it loads nothing from elsewhere.",
        Answer({"type": "string"}, "The page.", "text/html; charset=utf-8"),
        parameters=(_INVOICE,),
        problems=("not_found",),
    ),
    _read(
        "/v1/credits",
        "listCredits",
        "List credits",
        "What was granted, and what of it is left for the next invoices; the coupons that were redeemed. A test key "
        "sees none.",
        Answer(ref("CreditList"), "All credits and coupons, newest first."),
    ),
    Operation(
        "POST",
        "/v1/credits",
        "redeemCoupon",
        TAG,
        "Redeem a coupon",
        "It holds from this month's invoice on, for as many months as it says. Redeeming it again changes nothing. "
        "Scope: `admin`, with a live key.",
        Answer(ref("RedeemedCoupon"), "The coupon."),
        scope="admin",
        parameters=(REQUEST_ID,),
        body=Body(ref("CouponRequest"), {}),
        problems=(*_CHANGES, "field_invalid"),
    ),
)
