"""Own models as rows, where nobody asks what they would say; and labels enough to ask for a training."""

from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.notifications.models import new_id
from apps.own_models.services import LEAST_FRAUDS
from apps.review.models import Label
from apps.scoring.models import OwnModel
from tests.cast import Api

REPORT = {"rows": 0, "how": "", "fraud_probability": [], "risk_score": []}


def an_own_model(owner: Api) -> str:
    """One of the owner's live mode."""
    return kept(owner.tenant, livemode=True)


def kept(tenant: Tenant, *, livemode: bool) -> str:
    """One that is trained; its files are missing."""
    now = timezone.now()
    with in_tenant(tenant):
        return OwnModel.objects.create(
            id=new_id("mdl", now), livemode=livemode, schema="payments", state="candidate", families=["lightgbm"],
            asked_at=now, asked_by="test", trained_at=now, stability=REPORT,
        ).pk  # fmt: skip


def enough_frauds(tenant: Tenant, *, livemode: bool = True) -> None:
    """As many known frauds among payments as a training needs."""
    now = timezone.now()
    with in_tenant(tenant):
        Label.objects.bulk_create(
            Label(
                id=f"lbl_{number}", livemode=livemode, decision_id=f"dec_{number}", transaction_id=f"t{number}",
                schema="payments", label="fraud", source="issuer", known_at=now, recorded_at=now, recorded_by="test",
                holds=True, marked_at=now, decided_at=now, recommended_action="approve",
            )
            for number in range(LEAST_FRAUDS)
        )  # fmt: skip
