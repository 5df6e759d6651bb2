"""Operators' page of invoices: their state, what may be done to each, and the form for money that came by transfer.

Nothing here writes rows by itself: each act is a service, audited, and refuses what can't be in a sentence.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Case, F, OuterRef, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from apps.accounts.audit import record_audit
from apps.backoffice.base import ReadOnlyAdmin, operator
from apps.backoffice.confirmed import Confirmed, ConfirmedAdmin
from apps.backoffice.papers import OnPaperAdmin, in_currency
from apps.billing.collecting.transfers import check_transfer, record_transfer
from apps.billing.invoicing.invoices import NotPossible, issue, issue_credit_note, void_invoice
from apps.billing.models import BillingClock, CreditNote, Invoice, InvoiceDeduction, InvoiceLine, Payment
from apps.billing.rating.money import shown
from apps.billing.receivables import receivables
from apps.billing.subscriptions import test_clock
from apps.formats import month_text, percent_text, plain


def now_of(tenant_id: int) -> datetime:
    """The tenant's now: its test clock's, if it has one."""
    return test_clock.now_for(tenant_id, timezone.now())


class Part(TabularInline):
    """Rows of an object that are looked at."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LineInline(Part):
    model = InvoiceLine
    fields = ("description", "shown_quantity", "shown_price", "shown_amount", "starts_at", "ends_at")
    readonly_fields = ("shown_quantity", "shown_price", "shown_amount")
    shown_amount = in_currency("amount", lambda line: line.invoice.currency)

    @display(description="quantity")
    def shown_quantity(self, line: InvoiceLine) -> str:
        return plain(line.quantity)

    @display(description="unit price")
    def shown_price(self, line: InvoiceLine) -> str:
        return "" if line.unit_price is None else plain(line.unit_price)


class DeductionInline(Part):
    model = InvoiceDeduction
    fields = ("kind", "description", "shown_amount")
    readonly_fields = ("shown_amount",)
    shown_amount = in_currency("amount", lambda one: one.invoice.currency)


class PaymentInline(Part):
    model = Payment
    fields = ("created_at", "provider", "reference", "shown_amount", "status")
    readonly_fields = ("shown_amount",)
    shown_amount = in_currency("amount", lambda one: one.currency)


class CreditNoteInline(Part):
    model = CreditNote
    fields = ("number", "issued_at", "reason", "shown_amount")
    readonly_fields = ("shown_amount",)
    shown_amount = in_currency("amount", lambda one: one.invoice.currency)


def _issue(request: HttpRequest, invoice: Invoice, reason: str) -> str:
    with transaction.atomic():
        issue([Invoice.objects.select_for_update().get(pk=invoice.pk)], now_of(invoice.tenant_id))
    invoice.refresh_from_db()
    record_audit(
        tenant=invoice.tenant,
        actor=operator(request),
        action="invoice.issued",
        target=str(invoice),
        after={"reason": reason},
        now=now_of(invoice.tenant_id),
    )
    return f"Issued: {invoice}."


def _void(request: HttpRequest, invoice: Invoice, reason: str) -> str:
    void_invoice(invoice=invoice, now=now_of(invoice.tenant_id), reason=reason, actor=operator(request))
    return f"Void: {invoice}."


def _credit(request: HttpRequest, invoice: Invoice, reason: str) -> str:
    noted = invoice.credit_notes.aggregate(all=Sum("amount"))["all"] or 0
    left = invoice.money(invoice.total - noted)
    now = now_of(invoice.tenant_id)
    note = issue_credit_note(invoice=invoice, amount=left, reason=reason, now=now, actor=operator(request))
    return f"Credit note {note}: {shown(left, invoice.currency)} of {invoice}."


#: Drafts, and what an issued invoice is by now.
STATES = ("draft", "open", "overdue", "paid", "void")


class InvoiceState(admin.SimpleListFilter):
    """Overdue is open beyond the due date."""

    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state) for state in STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(state_now=self.value()) if self.value() in STATES else queryset


def with_state(invoices: QuerySet[Any], now: datetime) -> QuerySet[Any]:
    """Annotate invoices with their `state_now`, by their tenant's own time."""
    clock = BillingClock.objects.filter(tenant_id=OuterRef("tenant_id")).values("now")
    state = Case(
        When(status="issued", due_at__lt=F("own_now"), then=Value("overdue")),
        When(status="issued", then=Value("open")),
        default=F("status"),
    )
    return invoices.annotate(own_now=Coalesce(Subquery(clock), Value(now)), state_now=state)


class TransferForm(forms.Form):
    """What `record_transfer` takes, as it stands in the bank's statement."""

    amount = forms.DecimalField(
        max_digits=20,
        decimal_places=3,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="All that came; less or more too.",
    )
    received = forms.DateField(label="Received on", widget=UnfoldAdminDateWidget)
    reference = forms.CharField(max_length=140, widget=UnfoldAdminTextInputWidget, help_text="What stood on it.")
    token = forms.CharField(max_length=40, widget=forms.HiddenInput)

    def __init__(self, invoice: Invoice, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.invoice = invoice

    def clean(self) -> dict[str, Any] | None:
        said = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self._check(said)
            except NotPossible as refused:
                self.add_error("received" if "day" in str(refused) else "amount", str(refused))
        return said

    def _check(self, said: dict[str, Any]) -> None:
        now = now_of(self.invoice.tenant_id)
        with transaction.atomic():
            check_transfer(
                invoice=self.invoice, amount=said["amount"], received=said["received"], now=now, form=said["token"]
            )


@admin.register(Invoice)
class InvoiceAdmin(OnPaperAdmin, ConfirmedAdmin, ReadOnlyAdmin):
    """Invoices: to look at, to issue, to settle, to take back. What was issued is corrected by a credit note."""

    list_display = ("__str__", "tenant", "month", "shown_total", "amount_due", "state", "issued_at", "due_at")
    list_filter = (InvoiceState, "period", "currency")
    list_select_related = ("tenant",)
    search_fields = ("number", "public_id", "tenant__slug")
    inlines: ClassVar = [LineInline, DeductionInline, PaymentInline, CreditNoteInline]
    amounts = ("subtotal", "credits", "tax", "total")
    fields = (
        "can_be_done",
        "on_paper",
        "state",
        "tenant",
        "number",
        "month",
        "plan_name",
        "units",
        "included",
        "shown_subtotal",
        "shown_credits",
        "tax_rate",
        "shown_tax",
        "shown_total",
        "amount_due",
        "issued_at",
        "due_at",
        "paid_at",
        "paid_how",
        "voided_at",
        "created_at",
        "shown_bill_to",
        "shown_seller",
        "shown_usage",
    )
    readonly_fields = (
        "can_be_done",
        "on_paper",
        "state",
        "amount_due",
        "month",
        "tax_rate",
        "shown_bill_to",
        "shown_seller",
        "shown_usage",
    )
    shown_subtotal, shown_credits, shown_tax, shown_total = (
        in_currency(name, lambda invoice: invoice.currency) for name in amounts
    )
    confirmed = (
        Confirmed(
            "issue",
            "Issue",
            "It gets its number and is mailed to its customer. From then on nothing of it changes.",
            _issue,
            lambda invoice: invoice.status == "draft",
        ),
        Confirmed(
            "void",
            "Void",
            "Nothing of it is owed any more, its credits return, its number stays used. Its customer is told.",
            _void,
            lambda invoice: invoice.status == "issued",
        ),
        Confirmed(
            "credit",
            "Credit all that is left of it",
            "A credit note over all that no earlier one took, tax included. Its customer gets it with the reason.",
            _credit,
            lambda invoice: invoice.status in ("issued", "paid"),
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        rows = with_state(super().get_queryset(request), timezone.now())
        return rows.prefetch_related("payments", "credit_notes")

    @display(
        description="state",
        ordering="state_now",
        label={"paid": "success", "open": "info", "overdue": "danger", "draft": "warning"},
    )
    def state(self, invoice: Any) -> str:
        return str(invoice.state_now)

    @display(description="amount due")
    def amount_due(self, invoice: Invoice) -> str:
        due = receivables.due(invoice)
        return shown(due, invoice.currency) if due else ""

    @display(description="month", ordering="period")
    def month(self, invoice: Invoice) -> str:
        return month_text(invoice.period) if invoice.period else ""

    @display(description="tax rate")
    def tax_rate(self, invoice: Invoice) -> str:
        return f"{invoice.tax_name} {percent_text(invoice.tax_percent)}".strip()

    def links(self, row: Invoice) -> Iterable[tuple[str, str]]:
        """Beside what is confirmed: the form for a transfer, and a credit note over a part."""
        if row.status in ("issued", "paid"):
            yield reverse("admin:billing_invoice_transfer", args=[row.pk]), "Record a payment …"
            yield f"{reverse('admin:billing_creditnote_add')}?invoice={row.pk}", "Credit a part …"
        yield from super().links(row)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.record_transfer)
        return [path("<int:pk>/transfer/", view, name="billing_invoice_transfer"), *super().get_urls()]

    def record_transfer(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page that asks for day, amount and reference of a transfer."""
        invoice = self.get_object(request, str(pk))
        if not self.has_confirm_permission(request):
            raise PermissionDenied
        if invoice is None:
            raise Http404
        first = {"amount": receivables.due(invoice), "received": now_of(invoice.tenant_id).date(), "token": uuid4().hex}
        form = TransferForm(invoice, request.POST or None, initial=first)
        if not form.is_valid():
            return self._ask_for_transfer(request, invoice, form)
        self._record(request, invoice, form.cleaned_data)
        return HttpResponseRedirect(reverse("admin:billing_invoice_change", args=[pk]))

    def _ask_for_transfer(self, request: HttpRequest, invoice: Invoice, form: forms.Form) -> TemplateResponse:
        due = shown(receivables.due(invoice), invoice.currency)
        context = self.admin_site.each_context(request) | {
            "title": f"Record a payment of {invoice}",
            "opts": self.opts,
            "warning": f"{due} are due. What is beyond that is kept and pays the account's other invoices.",
            "button": "Record the payment",
            "rows": [],
            "form": form,
            "back": reverse("admin:billing_invoice_change", args=[invoice.pk]),
        }
        return TemplateResponse(request, "admin/confirm.html", context)

    def _record(self, request: HttpRequest, invoice: Invoice, said: dict[str, Any]) -> None:
        payment = record_transfer(
            invoice=invoice,
            amount=said["amount"],
            received=said["received"],
            reference=said["reference"],
            now=now_of(invoice.tenant_id),
            actor=operator(request),
            form=said["token"],
        )
        self.message_user(request, f"Recorded: {payment}. The invoice is {invoice.status}.", messages.SUCCESS)
