"""The doors of what is agreed and owed: plans, the subscription, invoices. Amounts are decimal strings."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.accounts.models import Tenant
from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api.endpoint import ApiView, json_answer
from apps.api.parameters import count_in, cursor_in, query_of
from apps.api_keys.services import invalidate_pending
from apps.billing import models
from apps.billing.invoicing import documents, payment_instructions
from apps.billing.notifications import notify_customer
from apps.billing.rating.money import rounded
from apps.billing.rating.plans import CURRENT, PLANS, current
from apps.billing.rating.quotes import plain
from apps.billing.subscriptions import test_clock, timeline
from apps.billing.subscriptions.services import allowance, change_plan, subscription_of
from apps.decoding import decode
from apps.errors import Problem
from apps.usage.metering.events import moment
from apps.usage.metering.quantities import units_between

MOST_A_PAGE = 100
DEFAULT_A_PAGE = 20
_CURSOR = re.compile("[A-Za-z0-9_-]{0,64}")  # an invoice's id; an empty one begins at the beginning

Money = Annotated[str, Meta(description="A decimal string, such as 179.01.", examples=["179.01"])]
Moment = Annotated[str, Meta(description="UTC.", extra_json_schema={"format": "date-time"})]
Name = Literal["free", "basic", "professional", "enterprise"]


class TierPrice(msgspec.Struct, frozen=True):
    """One tier of overage."""

    up_to: Annotated[int | None, Meta(description="Units beyond the included ones; null: without end.")]
    price: Annotated[str, Meta(description="Of one unit.")]


class PlanPrice(msgspec.Struct, frozen=True):
    """A plan in one currency."""

    monthly: Money
    overage: list[TierPrice]


class Plan(msgspec.Struct, frozen=True):
    """A plan sold today."""

    object: Literal["plan"]
    code: Annotated[str, Meta(description="Dated: a customer keeps the one that was signed.")]
    name: str
    included: int
    rate_per_minute: int
    features: list[str]
    prices: Annotated[dict[str, PlanPrice], Meta(description="By currency.")]


class PlanList(msgspec.Struct, frozen=True):
    """The plans sold today, the smallest first."""

    object: Literal["list"]
    data: list[Plan]


class Subscription(msgspec.Struct, frozen=True):
    """What is agreed, and what holds now."""

    object: Literal["subscription"]
    plan: str
    name: str
    status: Literal["trialing", "active", "past_due", "limited", "cancelled"]
    currency: str
    rate_per_minute: int
    included: Annotated[int, Meta(description="Units this month includes.")]
    allowed_units: Annotated[int | None, Meta(description="Units this month may reach; null: no end.")]
    spend_cap: Money | None
    payment_method: Annotated[str | None, Meta(description="Such as visa •••• 4242; null: none.")]
    started_at: Moment
    next_plan: Annotated[str | None, Meta(description="The plan that takes over at `next_plan_at`.")]
    next_plan_at: Moment | None


class SubscriptionChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plan to change to: up at once, down at the end of the month, the one in force to stay with it."""

    plan: Name


class InvoiceLine(msgspec.Struct, frozen=True):
    """One line; amount = quantity × unit price, rounded once, half-up."""

    component: str
    description: str
    quantity: str
    unit_price: Annotated[str | None, Meta(description="null: units recorded late, priced by their own month.")]
    amount: Money
    start: Moment
    end: Moment


class Deduction(msgspec.Struct, frozen=True):
    """What a coupon or a credit took off."""

    kind: Literal["coupon", "credit"]
    description: str
    amount: Money


class CreditNoteLine(msgspec.Struct, frozen=True):
    """What a credit note takes of a line of its invoice."""

    line: Annotated[int, Meta(description="Its place among the invoice's lines, from 1.")]
    net: Money
    tax: Money


class CreditNote(msgspec.Struct, frozen=True):
    """A correction of the invoice: so much less is owed. Notes over all of it sum to it, line by line."""

    number: str
    amount: Annotated[Money, Meta(description="net + tax")]
    net: Money
    tax: Money
    reason: str
    issued_at: Moment
    lines: Annotated[
        list[CreditNoteLine], Meta(description="What it takes of which line; empty on notes from before 2026-12.")
    ]


class Refund(msgspec.Struct, frozen=True):
    """Money of its payment that was given back."""

    amount: Money
    status: Annotated[
        Literal["pending", "done", "failed"], Meta(description="done: on its way; banks take up to ten days.")
    ]
    created_at: Moment


class Invoice(msgspec.Struct, frozen=True):
    """subtotal − credits + tax = total."""

    id: str
    object: Literal["invoice"]
    number: str
    status: Literal["issued", "paid", "void"]
    period: Annotated[str | None, Meta(description="The month, such as 2026-11.")]
    currency: str
    plan: str | None
    units: int
    included: int
    subtotal: Money
    credits: Money
    tax: Money
    tax_name: str
    tax_percent: str
    total: Money
    issued_at: Moment
    due_at: Moment
    paid_at: Moment | None
    lines: list[InvoiceLine]
    deductions: list[Deduction]
    credit_notes: Annotated[list[CreditNote], Meta(description="What corrects it, the newest first.")]
    refunds: Annotated[list[Refund], Meta(description="The newest first.")]


class InvoicePage(msgspec.Struct, frozen=True):
    """Invoices, newest first."""

    object: Literal["list"]
    data: list[Invoice]
    has_more: bool
    next_cursor: Annotated[str | None, Meta(description="Send it as `cursor` for the next page.")]


class BillingView(ApiView):
    """What they share: whose time it is, and what is said while Postgres is away."""

    scopes: ClassVar = {"GET": "read", "POST": "admin"}

    @property
    def now(self) -> datetime:
        return moment(self.received_us)

    def answered(self, read: Callable[[], Any]) -> HttpResponse:
        """What Postgres says, as JSON."""
        try:
            return json_answer(read())
        except POSTGRES_AWAY as failure:
            raise Problem("stores_away", "This is read from Postgres, which is away.", retry_after=2.0) from failure


class PlansView(BillingView):
    """GET: the plans sold today."""

    endpoint = "plans"

    def get(self, request: HttpRequest) -> HttpResponse:
        self.admit_only(request)
        return json_answer(PlanList("list", [_plan(name) for name in CURRENT]))


class SubscriptionView(BillingView):
    """GET; POST: another plan."""

    endpoint = "subscription"

    def get(self, request: HttpRequest) -> HttpResponse:
        tenant_id = self.admit_only(request).tenant_id
        return self.answered(lambda: self._told(tenant_id))

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            asked = decode(self.read_body(request), SubscriptionChange)
        except Problem as wrong:
            self.refuse(request, wrong)
        admission = self.admit_live(request)
        self._change(admission.tenant_id, asked.plan, f"key:{admission.key_id}")
        return self.answered(lambda: self._told(admission.tenant_id))

    def _change(self, tenant_id: int, plan: str, actor: str) -> None:
        """The gate knows of the new plan before the answer is given."""
        before = subscription_of(tenant_id)
        if settings.STRIPE_API_KEY and _costs_more(before, plan) and not before.has_payment_method:
            raise Problem("payment_method_required")
        change = change_plan(tenant_id=tenant_id, plan=plan, now=test_clock.now_for(tenant_id, self.now), actor=actor)
        if change.kind != "kept":
            data = {"plan": change.plan.name, "before": before.plan_code, "at": told(change.at)}
            key = f"plan:{tenant_id}:{self.received_us}"
            tenant = Tenant.objects.get(pk=tenant_id)
            notify_customer(tenant, "subscription.changed", data, key=key, now=self.now)
        invalidate_pending(self.admissions.gate)

    def _told(self, tenant_id: int) -> Subscription:
        row, now = subscription_of(tenant_id), test_clock.now_for(tenant_id, self.now)
        allowed, following = allowance(tenant_id, self.now, units_between), timeline.scheduled(tenant_id, now)
        return Subscription(
            object="subscription",
            plan=allowed.plan.code,
            name=allowed.plan.name,
            status=row.status,  # type: ignore[arg-type]
            currency=row.currency,
            rate_per_minute=allowed.rate_per_minute,
            included=allowed.included,
            allowed_units=allowed.allowed_units,
            spend_cap=None if row.spend_cap is None else str(rounded(row.spend_cap, row.currency)),
            payment_method=(row.payment_method_label or "agreed") if row.has_payment_method else None,
            started_at=told(row.started_at),
            next_plan=following.plan_code if following else None,
            next_plan_at=told(following.starts_at) if following else None,
        )


class InvoicesView(BillingView):
    """GET: invoices, newest first."""

    endpoint = "invoices"

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            query = query_of(request.META)
            limit = count_in(query, "limit", default=DEFAULT_A_PAGE, most=MOST_A_PAGE)
            cursor = cursor_in(query, _CURSOR)
        except Problem as wrong:
            self.refuse(request, wrong)
        tenant_id = self.admit_only(request).tenant_id
        return self.answered(lambda: _page(_invoices(tenant_id, self.key.livemode), limit, cursor))


class InvoiceView(BillingView):
    """GET: one; as JSON, as HTML, as PDF."""

    endpoint = "invoice"

    def get(self, request: HttpRequest, invoice_id: str, drawn: str = "") -> HttpResponse:
        tenant_id = self.admit_only(request).tenant_id
        row = _invoices(tenant_id, self.key.livemode).filter(public_id=invoice_id).first()
        if row is None:
            raise Problem("not_found")
        return _FORMS[drawn](row)


def _costs_more(before: models.Subscription, plan: str) -> bool:
    """Than what is agreed now: who stays with it, or goes down, agreed long ago how it is paid."""
    trying = before.status == models.Subscription.Status.TRIALING
    return current(plan).monthly > (0 if trying else PLANS[before.plan_code].monthly)


def _invoices(tenant_id: int, livemode: bool) -> Any:
    """What a customer sees: no drafts, and nothing with a test key, which is never billed."""
    rows = models.Invoice.objects.filter(tenant_id=tenant_id) if livemode else models.Invoice.objects.none()
    return (
        rows.exclude(status="draft")
        .prefetch_related("lines", "deductions", "credit_notes__lines__line", "payments__refunds")
        .order_by("-pk")
    )


def _page(rows: Any, limit: int, cursor: str | None) -> InvoicePage:
    if cursor:
        last = rows.filter(public_id=cursor).first()
        if last is None:
            raise Problem("cursor_invalid", param="cursor")
        rows = rows.filter(pk__lt=last.pk)
    found = list(rows[: limit + 1])
    more = len(found) > limit
    following = found[limit - 1].public_id if more else None
    return InvoicePage("list", [_invoice(row) for row in found[:limit]], more, following)


def _plan(name: str) -> Plan:
    plan = current(name)
    prices = {
        currency: PlanPrice(
            str(rounded(price.monthly, currency)),
            [TierPrice(bound, plain(each)) for bound, each in price.overage],
        )
        for currency, price in plan.prices.items()
    }
    return Plan("plan", plan.code, plan.name, plan.included, plan.rate_per_minute, list(plan.features), prices)


def _invoice(row: models.Invoice) -> Invoice:
    assert row.number and row.issued_at and row.due_at  # noqa: S101 - a constraint holds it for all but drafts
    return Invoice(
        id=row.public_id,
        object="invoice",
        number=row.number,
        status=row.status,  # type: ignore[arg-type]
        period=row.period or None,
        currency=row.currency,
        plan=row.plan_name or None,
        units=row.units,
        included=row.included,
        subtotal=str(row.money(row.subtotal)),
        credits=str(row.money(row.credits)),
        tax=str(row.money(row.tax)),
        tax_name=row.tax_name,
        tax_percent=plain(row.tax_percent),
        total=str(row.money(row.total)),
        issued_at=told(row.issued_at),
        due_at=told(row.due_at),
        paid_at=told(row.paid_at) if row.paid_at else None,
        lines=[_line(row, line) for line in row.lines.all()],
        deductions=[
            Deduction(one.kind, one.description, str(row.money(one.amount)))  # type: ignore[arg-type]
            for one in row.deductions.all()
        ],
        credit_notes=[_note(row, note) for note in row.credit_notes.all()],
        refunds=[_refund(row, one) for one in payment_instructions.refunds_of(row)],
    )


def _note(row: models.Invoice, note: models.CreditNote) -> CreditNote:
    return CreditNote(
        number=note.number,
        amount=str(row.money(note.amount)),
        net=str(row.money(note.net)),
        tax=str(row.money(note.tax)),
        reason=note.reason,
        issued_at=told(note.issued_at),
        lines=[
            CreditNoteLine(one.line.place, str(row.money(one.net)), str(row.money(one.tax))) for one in note.lines.all()
        ],
    )


def _refund(row: models.Invoice, refund: models.Refund) -> Refund:
    status = "pending" if refund.status == models.Refund.Status.INTENT else refund.status
    return Refund(str(row.money(refund.amount)), status, told(refund.created_at))  # type: ignore[arg-type]


def _line(row: models.Invoice, line: models.InvoiceLine) -> InvoiceLine:
    return InvoiceLine(
        component=line.component,
        description=line.description,
        quantity=plain(line.quantity),
        unit_price=None if line.unit_price is None else plain(line.unit_price),
        amount=str(row.money(line.amount)),
        start=told(line.starts_at),
        end=told(line.ends_at),
    )


def _pdf(row: models.Invoice) -> HttpResponse:
    try:
        content = documents.pdf_of(row)
    except documents.PdfUnavailable as missing:
        raise Problem("pdf_unavailable", str(missing)) from missing
    name = f"palisade-{row.number}.pdf"
    disposition = {"Content-Disposition": f'inline; filename="{name}"'}
    return HttpResponse(content, content_type="application/pdf", headers=disposition)


def _html(row: models.Invoice) -> HttpResponse:
    return HttpResponse(documents.html_of(row), content_type="text/html; charset=utf-8")


_FORMS: dict[str, Callable[[models.Invoice], HttpResponse]] = {
    "": lambda row: json_answer(_invoice(row)),
    "pdf": _pdf,
    "html": _html,
}


def told(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
