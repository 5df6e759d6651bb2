"""Operators' pages of money: invoices and what corrects them, credits, coupons, the timelines of plans.

Nothing here writes rows by itself: each action is a service, audited, and refuses what can't be in a sentence.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest

from apps.backoffice.base import OnceAdmin, OnceForm, OperatorAdmin, ReadOnlyAdmin, operator
from apps.backoffice.invoices import Part, now_of
from apps.backoffice.papers import AmountsAdmin, OnPaperAdmin, in_currency
from apps.billing.invoicing import credits
from apps.billing.invoicing.invoices import (
    NotPossible,
    check_credit_note,
    issue_credit_note,
)
from apps.billing.models import (
    CouponRedemption,
    Credit,
    CreditNote,
    CreditNoteLine,
    PlanSpan,
)
from apps.billing.rating.money import wrong_with
from apps.billing.subscriptions.services import subscription_of


class CreditNoteForm(OnceForm):
    """What `issue_credit_note` takes."""

    to_balance = forms.BooleanField(required=False, help_text="Its net amount becomes a credit of the account.")

    class Meta:
        model = CreditNote
        fields = ("invoice", "amount", "reason")

    def clean(self) -> dict[str, Any] | None:
        said = super().clean() or self.cleaned_data
        if not self.errors:
            invoice, amount = said["invoice"], said["amount"]
            check = partial(check_credit_note, invoice=invoice, amount=amount, form=said["token"])
            _refused_by(self, check, field="amount")
        return said


class NoteLineInline(Part):
    model = CreditNoteLine
    verbose_name_plural = "what it takes of which line"
    fields = ("line", "shown_net", "shown_tax")
    readonly_fields = ("shown_net", "shown_tax")
    shown_net, shown_tax = (in_currency(name, lambda one: one.note.invoice.currency) for name in ("net", "tax"))


@admin.register(CreditNote)
class CreditNoteAdmin(OnPaperAdmin, OnceAdmin):
    """Corrections of issued invoices. Written once; the database refuses changes."""

    form = CreditNoteForm
    list_display = ("number", "invoice", "shown_amount", "shown_tax", "reason", "issued_at")
    amounts = ("amount", "tax")
    shown_amount, shown_tax = (in_currency(name, lambda note: note.invoice.currency) for name in amounts)
    list_select_related = ("invoice",)
    search_fields = ("number", "invoice__number", "invoice__tenant__slug")
    autocomplete_fields = ("invoice",)
    inlines: ClassVar = [NoteLineInline]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("on_paper", *super().get_readonly_fields(request, obj)) if obj else ()

    def get_inlines(self, request: HttpRequest, obj: CreditNote | None) -> Any:
        return self.inlines if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: CreditNote, form: forms.ModelForm, change: bool) -> None:
        obj.__dict__.update(_note(form.cleaned_data, operator(request)).__dict__)


class CreditForm(forms.ModelForm):
    """What `credits.grant` takes; the currency is the tenant's."""

    class Meta:
        model = Credit
        fields = ("tenant", "amount", "reason", "key", "expires_at")

    def clean(self) -> dict[str, Any] | None:
        said = super().clean() or self.cleaned_data
        if not self.errors:
            self._check_amount(said["amount"], subscription_of(said["tenant"].pk).currency)
        if not self.errors:
            _refused_by(self, lambda: _in_trial(lambda: _granted(said, "trial")))
        return said

    def _check_amount(self, amount: Decimal, currency: str) -> None:
        if wrong := wrong_with(amount, currency):
            self.add_error("amount", wrong)


@admin.register(Credit)
class CreditAdmin(AmountsAdmin, OperatorAdmin):
    """Credits: granted once a key, used up by invoices."""

    form = CreditForm
    list_display = ("reason", "tenant", "shown_amount", "shown_remaining", "granted_at", "expires_at")
    amounts = ("amount", "remaining")
    shown_amount, shown_remaining = (in_currency(name, lambda credit: credit.currency) for name in amounts)
    list_filter = ("currency", ("expires_at", admin.EmptyFieldListFilter))
    list_select_related = ("tenant",)
    search_fields = ("key", "reason", "tenant__slug")
    autocomplete_fields = ("tenant",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Credit, form: forms.ModelForm, change: bool) -> None:
        obj.__dict__.update(_granted(form.cleaned_data, operator(request)).__dict__)


class RedemptionForm(forms.ModelForm):
    """What `credits.redeem` takes."""

    class Meta:
        model = CouponRedemption
        fields = ("tenant", "coupon")

    def clean(self) -> dict[str, Any] | None:
        said = super().clean() or self.cleaned_data
        if not self.errors:
            _refused_by(self, lambda: _in_trial(lambda: _redeemed(said, "trial")))
        return said


@admin.register(CouponRedemption)
class RedemptionAdmin(OperatorAdmin):
    """Who has redeemed what."""

    form = RedemptionForm
    list_display = ("tenant", "coupon", "redeemed_at")
    list_select_related = ("tenant", "coupon")
    search_fields = ("tenant__slug", "coupon__code")
    autocomplete_fields = ("tenant", "coupon")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: CouponRedemption, form: forms.ModelForm, change: bool) -> None:
        obj.__dict__.update(_redeemed(form.cleaned_data, operator(request)).__dict__)


@admin.register(PlanSpan)
class PlanSpanAdmin(ReadOnlyAdmin):
    """Which plan was in force for whom, when."""

    list_display = ("tenant", "plan_code", "starts_at", "ends_at", "trial", "own_included")
    list_filter = ("plan_code", "trial")
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug",)
    ordering = ("-starts_at",)


def _note(said: dict[str, Any], actor: str) -> CreditNote:
    return issue_credit_note(
        invoice=said["invoice"],
        amount=said["amount"],
        reason=said["reason"],
        now=now_of(said["invoice"].tenant_id),
        to_balance=said["to_balance"],
        form=said["token"],
        actor=actor,
    )


def _granted(said: dict[str, Any], actor: str) -> Credit:
    return credits.grant(
        said["tenant"],
        said["amount"],
        subscription_of(said["tenant"].pk).currency,
        reason=said["reason"],
        key=said["key"],
        now=now_of(said["tenant"].pk),
        expires_at=said["expires_at"],
        actor=actor,
    )


def _redeemed(said: dict[str, Any], actor: str) -> CouponRedemption:
    tenant, currency = said["tenant"], subscription_of(said["tenant"].pk).currency
    now = now_of(tenant.pk)
    return credits.redeem(tenant=tenant, code=said["coupon"].code, currency=currency, now=now, actor=actor)


def _in_trial(act: Callable[[], object]) -> None:
    """Do it and undo it: the form learns whether it can be."""
    with transaction.atomic():
        act()
        transaction.set_rollback(True)


def _refused_by(form: forms.ModelForm, act: Callable[[], object], field: str | None = None) -> None:
    """A service's refusal as the form's error, or the field's."""
    try:
        act()
    except (NotPossible, credits.NotRedeemable, ValueError) as refused:
        form.add_error(field, str(refused))
