"""The plan: what is agreed, what another would cost, changing it, how it is paid."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from apps.api_keys.services import get_gate, invalidate_pending
from apps.billing.collecting import payment_methods
from apps.billing.collecting.gateway import GatewayError, NotCollecting
from apps.billing.collecting.providers import get_gateway
from apps.billing.rating.plans import CURRENT, PLANS
from apps.billing.subscriptions import test_clock, timeline
from apps.billing.subscriptions.plan_changes import PaymentMethodRequired, change_plan_for_customer
from apps.billing.subscriptions.previews import preview_change
from apps.billing.subscriptions.services import NotPossible, allowance, subscription_of
from apps.portal.page import Page
from apps.portal.roles import Permission
from apps.usage.metering.quantities import units_between


class PlanPage(Page):
    """The plan in force beside those that are sold."""

    title, template = "Plan", "portal/pages/plan.html"
    bills = True
    permission, changes = Permission.INVOICES, Permission.BILLING

    def context(self, **kwargs: Any) -> dict[str, Any]:
        subscription, now = subscription_of(self.tenant.pk), test_clock.now_for(self.tenant.pk, self.now)
        plans = [PLANS[code] for code in CURRENT.values()]
        return {
            "subscription": subscription,
            "allowance": allowance(self.tenant.pk, self.now, units_between),
            "next": timeline.scheduled(self.tenant.pk, now),
            "plans": [(plan, plan.prices[subscription.currency]) for plan in plans],
            "collects": get_gateway().collects,
        }

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            change = change_plan_for_customer(
                tenant_id=self.tenant.pk,
                plan=request.POST.get("plan", ""),
                now=self.now,
                actor=self.actor,
                card_needed=get_gateway().collects,
            )
        except PaymentMethodRequired:
            messages.error(request, "Add a payment method first: it pays for the larger plan.")
        except (NotPossible, KeyError):
            messages.error(request, "There is no such plan.")
        else:
            invalidate_pending(get_gate())
            messages.success(request, _said(change.kind, change.plan.name.title(), f"{change.at:%d %B %Y}"))
        return redirect("plan")


class ChangePlanPage(Page):
    """What a change would come to, before it is agreed; its form is the plan page's."""

    title, template = "Change the plan", "portal/pages/change_plan.html"
    bills = True
    permission = Permission.BILLING
    http_method_names = ["get", "head"]

    def context(self, **kwargs: Any) -> dict[str, Any]:
        if kwargs["plan"] not in CURRENT:
            raise Http404
        subscription = subscription_of(self.tenant.pk)
        change = preview_change(self.tenant.pk, kwargs["plan"], self.now)
        card_needed = get_gateway().collects and not subscription.has_payment_method and change.monthly > 0
        return {
            "change": change,
            "from_plan": PLANS[subscription.plan_code].name,
            "card_first": card_needed and change.kind == "at_once",
        }


class EnterCard(Page):
    """The way to the payment provider's page, where a card is entered: a link, for our forms lead nowhere else."""

    permission, sensitive, works_when_closed = Permission.BILLING, True, True
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        gateway, back = get_gateway(), request.build_absolute_uri(reverse("plan"))
        try:
            customer = payment_methods.customer_of(self.tenant, gateway, self.now)
            currency = subscription_of(self.tenant.pk).currency
            page = gateway.card_page(customer=customer, currency=currency, success_url=back, cancel_url=back)
        except (NotCollecting, GatewayError):
            messages.error(request, "The payment provider can't be reached now. Nothing was changed; try again.")
            return redirect("plan")
        return self.page("portal/pages/to_provider.html", title="Payment method", address=page)


def _said(kind: str, plan: str, day: str) -> str:
    """What a change came to."""
    return {
        "kept": f"You stay on {plan}.",
        "at_once": f"You are on {plan} from now on.",
    }.get(kind, f"{plan} begins on {day}.")
