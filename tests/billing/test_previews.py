"""What a change of plan is shown to come to is what it comes to."""

from datetime import UTC, datetime

import pytest

from apps.billing.rating.plans import CURRENT
from apps.billing.subscriptions.previews import preview_change
from apps.billing.subscriptions.services import change_plan, sign_up, start_trial
from apps.periods import Period
from apps.usage.statements.reads import statement_of

pytestmark = pytest.mark.django_db
BEGAN, NOW = datetime(2026, 10, 3, 9, 12, 7, tzinfo=UTC), datetime(2026, 11, 17, 15, 30, 1, tzinfo=UTC)


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD"])
@pytest.mark.parametrize("plan", CURRENT)
@pytest.mark.parametrize("new", CURRENT)
def test_a_preview_is_what_follows(cast: object, plan: str, new: str, currency: str) -> None:
    tenant = sign_up(slug="preview", name="Preview", plan=plan, now=BEGAN, currency=currency)
    shown = preview_change(tenant.pk, new, NOW)
    change = change_plan(tenant_id=tenant.pk, plan=new, now=NOW)
    month = statement_of(tenant.pk, Period.of(NOW))
    assert month is not None
    assert (shown.kind, shown.at, shown.plan, shown.fee_after) == (
        change.kind,
        change.at,
        change.plan,
        month.fee(),
    )
    assert shown.added >= 0


def test_out_of_a_trial_it_is_at_once_and_paid(cast: object) -> None:
    tenant = sign_up(slug="preview", name="Preview", plan="free", now=BEGAN)
    start_trial(tenant_id=tenant.pk, plan="basic", days=30, now=datetime(2026, 11, 10, tzinfo=UTC))
    shown = preview_change(tenant.pk, "basic", NOW)
    assert (shown.kind, shown.fee_before) == ("at_once", 0)
    change_plan(tenant_id=tenant.pk, plan="basic", now=NOW)
    month = statement_of(tenant.pk, Period.of(NOW))
    assert month is not None and shown.fee_after == month.fee() > 0


def test_a_plan_nobody_sells_has_none(cast: object) -> None:
    tenant = sign_up(slug="preview", name="Preview", plan="free", now=BEGAN)
    with pytest.raises(KeyError):
        preview_change(tenant.pk, "gold", NOW)
