"""Operators' pages of customers, of what was agreed with them and of what they used.

Tenants and subscriptions stand here and not in their own rooms: what is shown of them comes from three rooms, and what
is done to them must reach the gate.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Model, OuterRef, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from apps.accounts.models import Tenant
from apps.accounts.services import reinstate_tenant, suspend_tenant
from apps.api_keys.services import get_gate, invalidating
from apps.backoffice.base import OperatorAdmin, ReadOnlyAdmin, operator
from apps.backoffice.confirmed import Confirmed, ConfirmedAdmin
from apps.backoffice.impersonation import LookOnForm, begin
from apps.billing import tax_ids
from apps.billing.models import Subscription
from apps.billing.rating.money import decimals_of, rounded, shown
from apps.billing.rating.plans import CURRENT, PLANS
from apps.billing.subscriptions.services import plan_for, sign_up
from apps.usage.models import UsageDay, UsageHour
from apps.usage.statements.reports import days_of_month
from apps.usage.tenant_operations import change_subscription


class NewTenantForm(forms.ModelForm):
    """What `sign_up` takes."""

    plan = forms.ChoiceField(choices=[(name, name) for name in CURRENT], initial="free")

    class Meta:
        model = Tenant
        fields = ("slug", "name", "plan")


def _suspend(request: HttpRequest, tenant: Tenant, reason: str) -> str:
    on_change, actor = invalidating(get_gate()), operator(request)
    suspend_tenant(tenant=tenant, now=timezone.now(), on_change=on_change, reason=reason, actor=actor)
    return f"Suspended: {tenant}."


def _reinstate(request: HttpRequest, tenant: Tenant, reason: str) -> str:
    on_change, actor = invalidating(get_gate()), operator(request)
    reinstate_tenant(tenant=tenant, now=timezone.now(), on_change=on_change, reason=reason, actor=actor)
    return f"Reinstated: {tenant}."


#: What a tenant's subscription makes of its state; a suspension is above it.
STATES = ("active", "trialing", "past_due", "limited", "cancelled", "suspended", "closed")

STATE_COLOURS = {
    "active": "success",
    "trialing": "info",
    "past due": "warning",
    "limited": "danger",
    "cancelled": "danger",
    "suspended": "danger",
    "closed": "danger",
}


class TenantState(admin.SimpleListFilter):
    """Suspended, or what the payments of its invoices make of it."""

    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state.replace("_", " ")) for state in STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Tenant]) -> QuerySet[Tenant]:
        return queryset.filter(own_state=self.value()) if self.value() in STATES else queryset


@admin.register(Tenant)
class TenantAdmin(ConfirmedAdmin):
    """Customers: their limits, what they used of them, and whether they may call."""

    audited = "tenant"
    list_display = ("slug", "name", "plan", "rate", "included", "used", "created_at", "state")
    list_filter = (TenantState, "subscription__plan_code")
    search_fields = ("slug", "name", "handle")
    confirmed = (
        Confirmed(
            "suspend",
            "Suspend",
            "Every request of the tenant is refused from now on (403 tenant_suspended). Nothing is deleted.",
            _suspend,
            lambda tenant: tenant.suspended_at is None,
        ),
        Confirmed(
            "reinstate",
            "Reinstate",
            "The tenant's keys work again from now on.",
            _reinstate,
            lambda tenant: tenant.suspended_at is not None,
        ),
    )
    seen = (
        "can_be_done",
        "slug",
        "name",
        "handle",
        "schema_name",
        "state",
        "plan",
        "rate",
        "included",
        "used",
        "created_at",
        "suspended_at",
        "closed_at",
    )

    def links(self, row: Tenant) -> Iterable[tuple[str, str]]:
        yield from super().links(row)
        yield reverse("admin:accounts_tenant_look_on", args=[row.pk]), "Look on as one of its people …"

    def get_urls(self) -> list[Any]:
        look_on = path("<int:pk>/look-on/", self.admin_site.admin_view(self.look_on), name="accounts_tenant_look_on")
        return [look_on, *super().get_urls()]

    def look_on(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The portal as one of the tenant's people sees it, once a reason is given."""
        tenant = self.get_object(request, str(pk))
        if not self.has_confirm_permission(request):
            raise PermissionDenied
        if tenant is None:
            raise Http404
        form = LookOnForm(request.POST or None, tenant)
        if form.is_valid():
            return begin(request, tenant, form)
        context = self.admin_site.each_context(request) | {
            "title": f"Look on at {tenant}",
            "opts": self.opts,
            "warning": "You see what they see, an hour at most, and can change nothing. Their audit log says so.",
            "button": "Look on",
            "rows": [],
            "back": reverse("admin:accounts_tenant_change", args=[pk]),
            "form": form,
        }
        return TemplateResponse(request, "admin/confirm.html", context)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tenant]:
        start, end = days_of_month(timezone.now())
        days = UsageDay.objects.filter(tenant_id=OuterRef("pk"), livemode=True, day__gte=start, day__lt=end)
        units = days.values("tenant_id").annotate(all=Sum("units")).values("all")
        state = Case(
            When(closed_at__isnull=False, then=Value("closed")),
            When(suspended_at__isnull=False, then=Value("suspended")),
            default=Coalesce("subscription__status", Value("active")),
        )
        rows = super().get_queryset(request)
        return rows.annotate(month_units=Coalesce(Subquery(units), 0), own_state=state)

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **options: Any) -> Any:
        return super().get_form(request, obj, change, **options | ({} if obj else {"form": NewTenantForm}))

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return NewTenantForm.Meta.fields if obj is None else self.seen

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """A tenant's name alone may change: its slug, handle and schema are what others hold on to."""
        return () if obj is None else [field for field in self.seen if field != "name"]

    def save_model(self, request: HttpRequest, obj: Tenant, form: forms.ModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        said = form.cleaned_data
        made = sign_up(
            slug=said["slug"], name=said["name"], plan=said["plan"], now=timezone.now(), actor=operator(request)
        )
        obj.__dict__.update(made.__dict__)

    @display(description="plan")
    def plan(self, tenant: Tenant) -> str:
        return plan_for(tenant.pk)[0].name

    @display(description="requests a minute")
    def rate(self, tenant: Tenant) -> int:
        return plan_for(tenant.pk)[1]

    @display(description="included units")
    def included(self, tenant: Tenant) -> int:
        return plan_for(tenant.pk)[2]

    @display(description="units this month", ordering="month_units")
    def used(self, tenant: Any) -> int:
        return int(tenant.month_units)

    @display(
        description="state",
        ordering="own_state",
        label=STATE_COLOURS,
    )
    def state(self, tenant: Any) -> str:
        return str(tenant.own_state).replace("_", " ")


#: What else is agreed with a tenant.
AGREED = (
    "spend_cap",
    "has_payment_method",
    "payment_method_label",
    "billing_name",
    "billing_email",
    "billing_address",
    "country",
    "tax_id",
    "tax_name",
    "tax_percent",
)


class SubscriptionForm(forms.ModelForm):
    """What is agreed; what can't be is told at its field."""

    class Meta:
        model = Subscription
        fields = "__all__"

    def clean_tax_percent(self) -> Decimal | None:
        said: Decimal | None = self.cleaned_data["tax_percent"]
        if said is not None and not 0 <= said <= 100:
            raise forms.ValidationError("A tax takes from 0 to 100 percent.")
        return said

    def clean(self) -> dict[str, Any] | None:
        said = super().clean() or self.cleaned_data
        cap, currency = said.get("spend_cap"), said.get("currency") or self.instance.currency
        if cap is not None and cap < 0:
            self.add_error("spend_cap", "A cap takes 0 or more.")
        elif cap is not None and cap != rounded(cap, currency):
            self.add_error("spend_cap", decimals_of(currency))
        try:
            said["tax_id"] = tax_ids.tidy(said.get("tax_id") or "", said.get("country") or "")
        except ValueError as wrong:
            self.add_error("tax_id", str(wrong))
        return said


@admin.register(Subscription)
class SubscriptionAdmin(OperatorAdmin):
    """What was agreed with a tenant. A tenant without a row is on the Free plan."""

    form = SubscriptionForm
    list_display = ("tenant", "plan", "state", "currency", "cap", "has_payment_method", "started_at")
    list_filter = ("plan_code", "status", "currency", "has_payment_method")
    list_select_related = ("tenant",)
    search_fields = ("tenant__slug", "tenant__name")
    autocomplete_fields = ("tenant",)
    fields = (
        "plans",
        "tenant",
        "plan_code",
        "custom_rate_per_minute",
        "custom_included",
        "status",
        "currency",
        *AGREED,
        "tax_id_state",
    )

    @display(description="plan", ordering="plan_code")
    def plan(self, row: Subscription) -> str:
        return PLANS[row.plan_code].name

    @display(description="state", ordering="status", label=STATE_COLOURS)
    def state(self, row: Subscription) -> str:
        return row.status.replace("_", " ")

    @display(description="spend cap", ordering="spend_cap")
    def cap(self, row: Subscription) -> str:
        return "" if row.spend_cap is None else shown(row.spend_cap, row.currency)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """A tenant has one currency; its status is what its payments make of it."""
        always = ("plans", "status", "tax_id_state")
        return always if obj is None else (*always, "tenant", "currency")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **options)
        if db_field.name == "tax_percent" and field is not None:
            field.required = False
        return field

    def get_urls(self) -> Any:
        table = path("plans/", self.admin_site.admin_view(self.plan_table), name="billing_plans")
        return [table, *super().get_urls()]

    def plan_table(self, request: HttpRequest) -> TemplateResponse:
        """What is and was sold: the table of apps/billing/rating/plans.py."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = self.admin_site.each_context(request) | {"title": "Plans", "plans": PLANS.values()}
        return TemplateResponse(request, "admin/plans.html", context)

    @admin.display(description="plans")
    def plans(self, _: Subscription) -> SafeString:
        return format_html('<a href="{}">What each plan promises and costs</a>', reverse("admin:billing_plans"))

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Plans as "professional (professional-2026-11)"."""
        if db_field.name == "plan_code":
            options["choices"] = [(code, f"{plan.name} ({code})") for code, plan in PLANS.items()]
        return super().formfield_for_choice_field(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: Subscription, form: forms.ModelForm, change: bool) -> None:
        changed = change_subscription(
            tenant=obj.tenant,
            plan_code=obj.plan_code,
            rate_per_minute=obj.custom_rate_per_minute,
            included=obj.custom_included,
            gate=get_gate(),
            now=timezone.now(),
            actor=operator(request),
            more=_agreed(form),
        )
        obj.__dict__.update(changed.__dict__)


def _agreed(form: forms.ModelForm) -> dict[str, Any]:
    """What else the form changed; no tax percentage is none."""
    said = {name: form.cleaned_data[name] for name in form.changed_data if name in (*AGREED, "currency")}
    return said | ({"tax_percent": said["tax_percent"] or Decimal(0)} if "tax_percent" in said else {})


class UsageAdmin(ReadOnlyAdmin):
    """Roll-ups name their tenant by id alone: the slug is looked up for the page."""

    search_fields = ("tenant_slug",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        slug = Tenant.objects.filter(pk=OuterRef("tenant_id")).values("slug")
        return super().get_queryset(request).annotate(tenant_slug=Subquery(slug))

    @display(description="tenant", ordering="tenant_slug")
    def tenant(self, row: Any) -> str:
        return str(row.tenant_slug or row.tenant_id)


@admin.register(UsageDay)
class UsageDayAdmin(UsageAdmin):
    list_display = ("day", "tenant", "endpoint", "livemode", "decisions", "units", "degraded")
    list_filter = ("livemode", "endpoint", "day")
    date_hierarchy = "day"
    ordering = ("-day", "tenant_id")


@admin.register(UsageHour)
class UsageHourAdmin(UsageAdmin):
    list_display = ("hour", "tenant", "key_id", "endpoint", "livemode", "decisions", "units", "degraded", "average_ms")
    list_filter = ("livemode", "endpoint", "hour")
    date_hierarchy = "hour"
    ordering = ("-hour", "tenant_id")

    @display(description="average ms")
    def average_ms(self, row: UsageHour) -> float:
        return round(row.latency_us / row.decisions / 1000, 2) if row.decisions else 0.0
