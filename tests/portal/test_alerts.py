"""The pages of alerts: the inbox, one alert, rules with their bounds at the field, channels without their address."""

import pytest
from django.test import Client
from django.utils import timezone

from apps.alerts import rules
from apps.alerts.conditions import Condition
from apps.alerts.models import Alert
from apps.alerts.rules import default_rule
from apps.alerts.services import record_conditions
from apps.notifications.models import ChatChannel
from tests.cast import Cast
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)
FORM = {"name": "Calls", "enabled": "on", "severity": "info", "period_minutes": "30", "mailed": "owners",
        "threshold_percent": "50", "threshold_decisions": "10"}  # fmt: skip


@pytest.fixture
def owner(cast: Cast) -> Client:
    client = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant)
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def opened(cast: Cast) -> Alert:
    now = timezone.now()
    rule = default_rule(cast.alice.tenant, "high_risk_decision", livemode=False)
    values = {"level": "critical", "decision": "dec_1"}
    found = Condition("", now, "Decisions at level critical", "In words.", values, 3, now, now)
    record_conditions([(rule, found)], now)
    return Alert.objects.get(tenant=cast.alice.tenant)


def test_an_alert_is_looked_at_acknowledged_and_resolved(owner: Client, cast: Cast) -> None:
    alert = opened(cast)
    assert "Decisions at level critical" in owner.get("/alerts/?state=open").content.decode()
    page = owner.get(f"/alerts/{alert.pk}/").content.decode()
    assert "/decisions/dec_1/" in page
    assert "risk_level=critical" in page
    owner.post(f"/alerts/{alert.pk}/", {"do": "acknowledge", "back": "1"})
    assert "Decisions at level" not in owner.get("/alerts/?state=open").content.decode()
    owner.post(f"/alerts/{alert.pk}/", {"do": "resolve"})
    alert.refresh_from_db()
    assert (alert.state, alert.resolved_by[-12:]) == ("resolved", "@example.com")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("threshold_percent", "5", "greater than or equal to 10"),
        ("period_minutes", "1", "greater than or equal to 5"),
        ("quiet_zone", "Europe/Nowhere", "Europe/Berlin"),
        ("step_0_mail_to", "nobody", "anna@example.com"),
        ("mail_to", "nobody", "anna@example.com"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_at_its_field(owner: Client, field: str, value: str, told: str) -> None:
    more = {"quiet_start": "22:00", "quiet_end": "07:00", "step_0_minutes": "5", "step_0_mail_to": "a@example.com",
            "mailed": "these", "mail_to": "a@example.com"}  # fmt: skip
    answer = owner.post("/alerts/rules/volume_drop/", FORM | more | {field: value})
    assert answer.status_code == 422
    assert told in str(answer.context["form"].errors[field])


def test_a_rule_is_saved_and_brought_back(owner: Client, cast: Cast) -> None:
    more = {"quiet_start": "22:00", "quiet_end": "07:00", "quiet_zone": "Europe/Berlin", "mailed": "nobody"}
    assert owner.post("/alerts/rules/volume_drop/", FORM | more).status_code == 302
    rule = rules.find(cast.alice.tenant, False, "volume_drop")
    assert rule is not None
    assert (rule.thresholds, rule.mail_to, rule.severity) == ({"percent": 50, "decisions": 10}, (), "info")
    assert rule.quiet_hours == rules.QuietHours("22:00", "07:00", "Europe/Berlin")
    owner.post("/alerts/rules/volume_drop/", {"do": "delete"})
    assert rules.find(cast.alice.tenant, False, "volume_drop") == default_rule(cast.alice.tenant, "volume_drop", False)


def test_a_channels_address_is_never_told_back(owner: Client) -> None:
    url = "https://hooks.slack.com/services/T0/B0/hiddenword"
    assert (
        owner.post("/alerts/rules/", {"do": "channel", "name": "#fraud", "url": "http://127.0.0.1/"}).status_code == 422
    )
    owner.post("/alerts/rules/", {"do": "channel", "name": "#fraud", "url": url})
    page = owner.get("/alerts/rules/").content.decode()
    assert "hooks.slack.com" in page
    assert "hiddenword" not in page
    owner.post("/alerts/rules/", {"do": "delete", "channel": ChatChannel.objects.get().pk})
    assert not ChatChannel.objects.exists()
