"""What a change of plan would come to, before it is agreed: the month's fee as it stands, and as it would be.

Computed by the statement that becomes the invoice, so that what is shown is what is charged.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from apps.billing.rating.plans import Plan, current
from apps.billing.rating.pricing import Term, statement
from apps.billing.subscriptions import test_clock, timeline
from apps.billing.subscriptions.services import Kind, kind_of_change, subscription_of
from apps.periods import Period


@dataclass(frozen=True)
class Preview:
    """A change that begins at `at`. Fees and included units are this month's, before and after it; before tax."""

    plan: Plan
    kind: Kind
    at: datetime
    currency: str
    fee_before: Decimal
    fee_after: Decimal
    included_before: int
    included_after: int

    @property
    def added(self) -> Decimal:
        """What it adds to this month's invoice."""
        return self.fee_after - self.fee_before

    @property
    def monthly(self) -> Decimal:
        """Its fee of every whole month."""
        return self.plan.prices[self.currency].monthly


def preview_change(tenant_id: int, plan: str, real_now: datetime) -> Preview:
    """Changing to the plan sold today under a name. Raises `KeyError` for a name that is none."""
    now, subscription = test_clock.now_for(tenant_id, real_now), subscription_of(tenant_id)
    period, new, own = Period.of(now), current(plan), subscription.custom_included
    terms = timeline.terms_of([tenant_id], period)[tenant_id]
    term = next((one for one in terms if one.start <= now < one.end), terms[-1])
    kind, at = kind_of_change(term.plan, new, trial=term.trial, currency=subscription.currency), now
    after = [*_until(terms, now), Term(new, now, period.end, own_included=own)] if kind == "at_once" else list(terms)
    if kind == "at_period_end":
        at = term.end if term.trial else period.end
    before = statement(terms, [0] * len(terms), period, subscription.currency)
    then = statement(after, [0] * len(after), period, subscription.currency)
    return Preview(
        plan=new,
        kind=kind,
        at=at,
        currency=subscription.currency,
        fee_before=before.subtotal,
        fee_after=then.subtotal,
        included_before=before.included,
        included_after=then.included,
    )


def _until(terms: list[Term], now: datetime) -> list[Term]:
    """The terms of a month as far as they lie before now."""
    return [replace(term, end=min(term.end, now)) for term in terms if term.start < now]
