"""Looking at all tenants: what is found is counted once, sent once a period, over when it is over."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import Membership, Tenant
from apps.accounts.tenancy import in_tenant
from apps.alerts import rules, sending, services
from apps.alerts.conditions import Condition
from apps.alerts.evaluation import evaluate
from apps.alerts.kinds import Pace
from apps.alerts.models import Alert, RuleState
from apps.alerts.rules import Rule, default_rule
from apps.api_keys.models import KeyNetwork
from apps.billing.subscriptions.services import sign_up
from apps.ingest.models import QualityDay
from apps.notifications import courier
from apps.notifications.models import Delivery, Event
from apps.notifications.services import create_channel, create_webhook
from apps.scoring import tallies
from apps.scoring.counting import Columns
from apps.scoring.models import Decision, OutcomeHour
from apps.usage.admission import refused_calls
from tests.cast import Cast, Player
from tests.factories import MembershipFactory, UsageDayFactory, UsageHourFactory, UserFactory
from tests.notifications.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 25, 14, 30, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def tenant(cast: Cast) -> Tenant:
    """alice's, who has an owner and did something today."""
    tenant = cast.alice.tenant
    MembershipFactory(tenant=tenant, user=UserFactory(email="alice@example.com"), role=Membership.Role.OWNER)
    UsageDayFactory(tenant_id=tenant.pk, day=NOW.date())
    return tenant


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one, override_settings(WEBHOOK_NETWORKS=["127.0.0.0/8"]):
        yield one


def decision(tenant: Tenant, number: int, at: datetime, level: str = "critical", amount: float = 100.0) -> Decision:
    return Decision(
        id=f"dec_{number}", created_at=at, livemode=True, schema="paysim", transaction_id=f"t{number}", body_hash="",
        status="new", fraud_probability=0.95, risk_score=990, risk_level=level, recommended_action="block",
        decisive="model:xgboost", facts={}, answer="{}", features=b"", contributions=b"", amount=amount,
    )  # fmt: skip


def decide(tenant: Tenant, *rows: Decision) -> None:
    with in_tenant(tenant):
        Decision.objects.bulk_create(rows)


def outcome(tenant: Tenant, hour: datetime, decisions: int, fraud: int) -> None:
    UsageHourFactory(tenant_id=tenant.pk, hour=hour, decisions=decisions, schema="paysim")
    with in_tenant(tenant):
        OutcomeHour.objects.create(
            hour=hour, livemode=True, schema="paysim", recommended_action="block", decisions=decisions, fraud=fraud
        )


def kinds() -> list[str]:
    return sorted(Alert.objects.exclude(state="resolved").values_list("kind", flat=True))


def messages(kind: str = "alert.opened") -> list[Event]:
    return list(Event.objects.filter(kind=kind).order_by("id"))


def test_high_risk_decisions_are_one_alert_that_counts_each_once(tenant: Tenant) -> None:
    decide(tenant, *(decision(tenant, n, NOW - timedelta(minutes=n)) for n in range(5)))
    decide(tenant, decision(tenant, 90, NOW, "high"), decision(tenant, 91, NOW, "low"))
    for _ in range(3):
        evaluate("minute", NOW)
    (alert,) = Alert.objects.all()
    assert (alert.kind, alert.occurrences, alert.state) == ("high_risk_decision", 5, "open")
    decide(tenant, decision(tenant, 6, NOW - timedelta(minutes=20)))  # recorded late
    evaluate("minute", NOW + timedelta(minutes=1))
    alert.refresh_from_db()
    assert alert.occurrences == 6
    (sent,) = messages()
    assert (sent.data["count"], sent.data["rule"]["kind"]) == (1, "high_risk_decision")
    assert [one.recipient for one in sent.deliveries.all()] == ["alice@example.com"]
    evaluate("minute", NOW + timedelta(hours=2))
    alert.refresh_from_db()
    assert (alert.state, alert.resolved_by, len(messages("alert.resolved"))) == ("resolved", "", 1)


def test_what_is_resolved_by_hand_is_not_opened_by_the_same_decisions(tenant: Tenant) -> None:
    decide(tenant, decision(tenant, 1, NOW))
    evaluate("minute", NOW)
    services.resolve(alert=Alert.objects.select_related("tenant").get(), now=NOW, actor="anne")
    evaluate("minute", NOW + timedelta(minutes=1))
    assert kinds() == []
    decide(tenant, decision(tenant, 2, NOW + timedelta(minutes=1)))
    evaluate("minute", NOW + timedelta(minutes=2))
    assert kinds() == ["high_risk_decision"]
    assert len(messages()) == 1  # of this period


def test_own_rules_have_their_own_levels_and_amounts(tenant: Tenant) -> None:
    facts = {"thresholds": {"level": "high", "amount": 5_000}}
    rules.create_rule(tenant=tenant, livemode=True, kind="high_risk_decision", facts=facts, now=NOW, actor="anne")
    decide(tenant, decision(tenant, 1, NOW, "high", 4_999), decision(tenant, 2, NOW, "high", 5_000))
    evaluate("minute", NOW)
    (alert,) = Alert.objects.all()
    assert (alert.rule_id[:4], alert.occurrences, alert.values["decision"]) == ("alr_", 1, "dec_2")


def test_hours_are_held_against_the_same_hours_of_the_weeks_before(tenant: Tenant) -> None:
    hour = NOW.replace(minute=0) - timedelta(hours=1)
    for week in range(1, 5):
        outcome(tenant, hour - week * WEEK, 1_000, 10)
        outcome(tenant, hour + timedelta(hours=1) - week * WEEK, 1_000, 10)
    outcome(tenant, hour, 1_000, 80)
    for _ in range(2):
        evaluate("hour", NOW)
    assert kinds() == ["fraud_rate_spike"]
    assert Alert.objects.get().occurrences == 1
    evaluate("hour", NOW + timedelta(hours=1))  # nothing came in the hour after
    assert kinds() == ["fraud_rate_spike", "volume_drop"]  # too few decisions say nothing of the rate
    assert Alert.objects.get(kind="volume_drop").severity == "critical"


def test_drift_and_data_quality_are_found_by_the_hour(tenant: Tenant, cast: Cast) -> None:
    UsageDayFactory(tenant_id=cast.bob.tenant.pk, day=NOW.date())  # whose plan has no drift
    for player in (cast.alice, cast.bob):
        added_up(player.tenant.schema_name, NOW - timedelta(days=2))
    with in_tenant(tenant):
        for back, missing in ((0, 30), (1, 1)):
            of = {"day": NOW.date() - timedelta(days=back), "livemode": True, "schema": "payments"}
            QualityDay.objects.create(**of, transactions=100)
            QualityDay.objects.create(**of, check_name="missing", field="email", transactions=missing)
    for _ in range(2):
        evaluate("hour", NOW)
    assert kinds() == ["data_quality", "drift"]
    drifted = Alert.objects.get(kind="drift")
    assert (drifted.tenant_id, drifted.occurrences, drifted.values["model"]) == (tenant.pk, 1, "xgboost@2026.11.2")
    evaluate("hour", NOW + timedelta(days=9))  # other days since
    assert kinds() == []


def added_up(schema: str, at: datetime) -> None:
    """1,200 decisions whose features are all nothing."""
    count = 1_200
    columns = Columns(
        created_us=[int(at.timestamp() * 1_000_000)] * count,
        livemode=[True] * count,
        schema=["paysim"] * count,
        fraud_probability=[0.01] * count,
        risk_level=["low"] * count,
        recommended_action=["approve"] * count,
        decisive=["model:xgboost"] * count,
        model=["xgboost@2026.11.2"] * count,
        amount=[50.0] * count,
        parties=[["c-1"]] * count,
        party_fields=[["nameOrig"]] * count,
        rules_hit=[[]] * count,
        category=["TRANSFER"] * count,
        country=[""] * count,
        fraud_type=[""] * count,
        features=[np.zeros(28, "<f4").tobytes()] * count,
    )
    with in_tenant("public"), transaction.atomic(), connection.cursor() as cursor:
        tallies.add(cursor, schema, tallies.counted(columns))


def test_an_error_rate_comes_and_goes(tenant: Tenant) -> None:
    UsageHourFactory(tenant_id=tenant.pk, hour=NOW.replace(minute=0), decisions=100)
    for _ in range(100):
        refused_calls.note(tenant.handle, True, NOW)
    evaluate("minute", NOW)
    assert kinds() == ["error_rate"]
    evaluate("minute", NOW + timedelta(hours=3))
    assert kinds() == []


def test_keys_used_from_elsewhere_or_far_more_than_ever(tenant: Tenant, cast: Cast) -> None:
    key, hour = cast.alice.live, NOW.replace(minute=0)
    KeyNetwork.objects.create(key=key, network="192.0.2.0/24", first_seen_at=NOW - timedelta(days=9))
    KeyNetwork.objects.create(key=key, network="203.0.113.0/24", first_seen_at=NOW - timedelta(minutes=3))
    KeyNetwork.objects.create(key=cast.bob.live, network="203.0.113.0/24", first_seen_at=NOW)  # its first
    UsageHourFactory(tenant_id=tenant.pk, hour=hour - timedelta(days=2), decisions=900, key_id=key.pk)
    UsageHourFactory(tenant_id=tenant.pk, hour=hour, decisions=9_000, key_id=key.pk)
    for minutes in (0, 1, 2):
        evaluate("minute", NOW + timedelta(minutes=minutes))
    assert kinds() == ["key_new_network", "key_unusual_rate"]
    assert Alert.objects.get(kind="key_new_network").values["network"] == "203.0.113.0/24"
    assert set(Alert.objects.values_list("occurrences", flat=True)) == {1}


def test_a_budget_that_is_used_up_is_in_the_inbox_and_not_mailed_again() -> None:
    tenant = sign_up(slug="dora", name="Dora & Co.", plan="professional", now=NOW - timedelta(days=9))
    MembershipFactory(tenant=tenant, user=UserFactory(email="dora@example.com"), role=Membership.Role.OWNER)
    UsageDayFactory(tenant_id=tenant.pk, day=NOW.date() - timedelta(days=1), units=50_000, decisions=50_000)
    evaluate("hour", NOW)
    assert kinds() == ["cost"]
    assert not Delivery.objects.filter(channel="email").exists()


def test_a_storm_of_10_000_conditions_sends_one_message_a_rule_and_period(tenant: Tenant) -> None:
    rule = default_rule(tenant, "key_new_network")
    storm = [(rule, Condition(f"1:{n}", NOW, f"network {n}", "", {})) for n in range(10_000)]
    assert services.record_conditions(storm, NOW) == 10_000
    for minute in range(0, 60, 10):
        at = NOW + timedelta(minutes=minute)
        services.record_conditions([(rule, Condition(f"2:{minute}", at, "one more", "", {}))], at)
        sending.send_due(at, float("inf"))
    assert [event.data["count"] for event in messages()] == [10_001]
    assert len(messages()[0].data["alerts"]) == sending.NAMED
    sending.send_due(NOW + timedelta(hours=1), float("inf"))
    assert [event.data["count"] for event in messages()] == [10_001, 5]
    assert Delivery.objects.filter(channel="email").count() == 2


def opened(rule: Rule, now: datetime, key: str = "") -> Alert:
    services.record_conditions([(rule, Condition(key, now, "What is the matter", "In words.", {}))], now)
    return Alert.objects.select_related("tenant").get(dedup_key=key, rule_id=rule.id)


def changed(tenant: Tenant, kind: str, **facts: Any) -> Rule:
    return rules.change_rule(rule=default_rule(tenant, kind), facts=facts, now=NOW, actor="anne")


def test_quiet_hours_hold_back_all_but_what_is_critical(tenant: Tenant) -> None:
    quiet = {"start": "15:00", "end": "17:00", "zone": "Europe/Berlin"}  # 14:30 UTC is 15:30 there
    hours = msgspec.convert(quiet, rules.QuietHours)
    warning = changed(tenant, "error_rate", quiet_hours=hours)
    critical = changed(tenant, "volume_drop", quiet_hours=hours)
    opened(warning, NOW), opened(critical, NOW)
    sending.send_due(NOW, float("inf"))
    assert [event.data["rule"]["id"] for event in messages()] == ["volume_drop"]
    sending.send_due(NOW + timedelta(hours=2), float("inf"))
    assert [event.data["rule"]["id"] for event in messages()] == ["volume_drop", "error_rate"]


def test_an_alert_that_nobody_acknowledges_goes_to_the_next(tenant: Tenant) -> None:
    steps = [rules.Step(15, ("boss@example.com",)), rules.Step(30, ("board@example.com",))]
    rule = changed(tenant, "error_rate", escalation=steps, mail_to=["team@example.com"])
    alert, other = opened(rule, NOW, "a"), opened(rule, NOW, "b")
    for minutes in (0, 14, 15, 16, 20):
        if minutes == 20:
            services.acknowledge(alert=other, now=NOW, actor="anne")
        sending.send_due(NOW + timedelta(minutes=minutes), float("inf"))
    for minutes in (30, 31, 90):
        sending.send_due(NOW + timedelta(minutes=minutes), float("inf"))
    to = list(Delivery.objects.filter(channel="email").order_by("id").values_list("recipient", flat=True))
    assert to == ["team@example.com", "boss@example.com", "board@example.com"]
    assert [event.data["count"] for event in messages("alert.escalated")] == [2, 1]
    alert.refresh_from_db()
    assert alert.escalated == 2


def test_what_is_over_before_its_message_is_due_is_not_sent(tenant: Tenant) -> None:
    rule = changed(tenant, "error_rate")
    services.acknowledge(alert=opened(rule, NOW, "a"), now=NOW, actor="anne")
    services.resolve(alert=opened(rule, NOW, "b"), now=NOW, actor="anne")
    sending.send_due(NOW, float("inf"))
    assert messages() == messages("alert.resolved") == []


def test_a_rule_that_is_off_finds_and_sends_nothing(tenant: Tenant) -> None:
    changed(tenant, "high_risk_decision", enabled=False)
    decide(tenant, decision(tenant, 1, NOW))
    evaluate("minute", NOW)
    assert not Alert.objects.exists()


def test_a_message_goes_out_as_mail_webhook_and_chat(tenant: Tenant, receiver: Receiver, cast: Cast) -> None:
    url = receiver.url
    create_webhook(tenant=tenant, livemode=True, url=url, events=["alert.opened"], now=NOW)
    channel = create_channel(tenant=tenant, livemode=True, name="#fraud", url=f"{url}&secret=1", now=NOW)
    create_channel(tenant=tenant, livemode=False, name="#test", url=url, now=NOW)
    create_channel(tenant=cast.bob.tenant, livemode=True, name="#bob", url=url, now=NOW)
    opened(changed(tenant, "error_rate", name="Errors <!channel>"), NOW)
    sending.send_due(NOW, float("inf"))
    courier.deliver_due(lambda: timezone.now() + timedelta(seconds=1))
    assert set(Delivery.objects.values_list("channel", "state")) == {
        ("email", "delivered"), ("webhook", "delivered"), ("chat", "delivered")}  # fmt: skip
    bodies = [msgspec.json.decode(one.body) for one in receiver.received]
    (hooked,) = [one for one in bodies if one.get("type") == "alert.opened"]
    (chatted,) = [one for one in bodies if set(one) == {"text", "blocks"}]
    assert hooked["data"]["title"] == "What is the matter"
    assert chatted["blocks"][0]["text"]["text"] == "Warning: What is the matter"
    assert "&lt;!channel&gt;" in chatted["text"]
    sent = Delivery.objects.get(channel="chat")
    assert (sent.chat, sent.recipient) == (channel, "#fraud (127.0.0.1)")
    with connection.cursor() as cursor:
        cursor.execute("SELECT url FROM notifications_chatchannel")
        assert not [url for (url,) in cursor.fetchall() if "secret" in url]


def test_a_chat_that_answers_410_is_switched_off_and_told_of(tenant: Tenant, receiver: Receiver) -> None:
    channel = create_channel(tenant=tenant, livemode=True, name="#fraud", url=receiver.url, now=NOW)
    receiver.answering(410)
    opened(changed(tenant, "error_rate", mail_to=[]), NOW)
    sending.send_due(NOW, float("inf"))
    courier.deliver_due(lambda: timezone.now() + timedelta(seconds=1))
    channel.refresh_from_db()
    assert channel.disabled_because == "It answered 410 Gone."
    assert messages("chat.disabled")[0].data["channel"] == "#fraud (127.0.0.1)"


@pytest.mark.parametrize("pace", ["minute", "hour"])
def test_many_tenants_cost_few_statements(cast: Cast, tenant: Tenant, pace: Pace) -> None:
    """A look's statements do not grow with its tenants, but for a rule's own state and one part of a union."""

    def statements() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            evaluate(pace, NOW)
        return len(captured)

    def busy(tenant: Tenant) -> None:
        UsageDayFactory(tenant_id=tenant.pk, day=NOW.date())
        outcome(tenant, NOW.replace(minute=0) - timedelta(hours=1), 1_000, 10)

    busy(cast.bob.tenant)
    evaluate(pace, NOW)
    alone = statements()
    busy(cast.charlie.tenant)
    evaluate(pace, NOW)
    assert statements() <= alone + 2
    assert RuleState.objects.count() == (3 if pace == "minute" else 0)


def test_who_did_nothing_is_not_looked_at(cast: Cast) -> None:
    decide(cast.alice.tenant, decision(cast.alice.tenant, 1, NOW))
    evaluate("minute", NOW)
    assert not Alert.objects.exists()


def test_networks_of_keys_are_noted_once(cast: Cast, drain: Callable[[], int]) -> None:
    from tests.api.bodies import DRAINED, asking
    from tests.cast import Api

    player: Player = cast.alice
    for address in ("192.0.2.7", "192.0.2.9", "2001:db8::1"):
        Api(player).calling_from(address).post("/v1/decisions", asking(DRAINED | {"transaction_id": address}))
    drain()
    Api(player).calling_from("198.51.100.1").get("/v1/usage")
    seen = KeyNetwork.objects.filter(key=player.live).order_by("network").values_list("network", flat=True)
    assert list(seen) == ["192.0.2.0/24", "198.51.100.0/24", "2001:db8::/48"]
