"""`manage.py seed_demo`: some weeks of history for the demo tenant, so that no page of it is empty. Once.

Decisions are really made by the champions, dated back, and go the way of every decision: journal, recorder, roll-ups.
Then the months that are over are closed and paid by transfer, as an operator would. `make up` starts it aside, once it
is ready; repeating it adds nothing.
"""

import os
import random
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.alerts.rules import create_rule
from apps.alerts.timing import QuietHours, Step
from apps.api_keys.gate import Admission, Names, Rate
from apps.api_keys.keys import PresentedKey
from apps.api_keys.models import ApiKey
from apps.api_keys.services import create_key, get_gate
from apps.billing.collecting.transfers import record_transfer
from apps.billing.models import Invoice
from apps.periods import Period
from apps.review.given import Meant
from apps.review.labels import add_labels
from apps.scoring import rule_life
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.lists import services as lists
from apps.scoring.lists.given import NewItem
from apps.scoring.lists.item_types import item_of as list_item
from apps.scoring.policies import get_policies
from apps.scoring.serving.journal_entries import entry_of, made_of
from apps.scoring.serving.requests import Attempt, ScoringRequest, ask_for, item_of
from apps.scoring.serving.runtime import get_scoring
from apps.usage.admission.admission import period_of
from apps.usage.closing.closing import close_due
from apps.usage.metering.events import moment
from apps.usage.metering.journal import Entry
from apps.usage.models import UsageDay
from config.local.demo import DAYS, Learned, Question, demo_transactions, learned

SEED = 20
#: Seconds until the recorder has caught up.
RECORDED_WITHIN = 60.0
#: Months are closed and paid so long after their end.
CLOSED_AFTER, PAID_AFTER = timedelta(minutes=35), timedelta(days=6)
ENDPOINT = "decisions"
TEST_KEY = "integration tests"


class Command(BaseCommand):
    """Make the demo tenant's past when it has none."""

    help = "Give the demo tenant some weeks of history."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=settings.DEMO_TENANT).first()
        now = timezone.now()
        if tenant is None or not _is_without_past(tenant, now):
            return
        os.nice(10)  # whoever tries the demo out meanwhile comes first
        _make_rules(tenant, now)
        made = _decide(tenant, now)
        _wait_until_recorded()
        _label(tenant, made, now)
        _close_months(tenant, now)
        _make_alert_rules(tenant, now)
        _make_lists(tenant, now)
        self.stdout.write(f"the demo has {len(made):,} decisions of the last {DAYS} days")


#: Rules of the demo's own, to be looked at and changed: kind → what differs from the default one.
ALERT_RULES: Mapping[str, Mapping[str, Any]] = {
    "high_risk_decision": {
        "name": "Large payments at high risk",
        "severity": "critical",
        "thresholds": {"level": "high", "amount": 1_000},
        "quiet_hours": QuietHours("22:00", "07:00", "Europe/Berlin"),
        "escalation": [Step(30, ("head-of-fraud@example.com",))],
    },
    "drift": {"name": "Drift, told early", "severity": "info", "thresholds": {"psi": 0.1}, "period_minutes": 1_440},
}


#: Rules of the demo's own that its past is decided under.
RULES: Sequence[Mapping[str, Any]] = (
    {
        "id": "large_without_card", "outcome": "review", "schema": "payments", "state": "shadow",
        "when": "amount > 400.0 && card_present == false && used_chip != true",
        "description": "Large, and no card was there.",
    },
    {
        "id": "round_and_drained", "outcome": "note", "schema": "paysim", "state": "live", "share": 50,
        "when": "amount % 100 == 0 && newbalanceOrig == 0 && type in ['TRANSFER', 'CASH_OUT']",
    },
)  # fmt: skip


def _make_rules(tenant: Tenant, now: datetime) -> None:
    for rule in RULES:
        rule_life.create(
            tenant=tenant, rule=rule, gate=get_gate(), now=now, actor="seed_demo", reason="To be looked at."
        )
    tenant.refresh_from_db(fields=["policy_version"])


def _make_alert_rules(tenant: Tenant, now: datetime) -> None:
    for kind, facts in ALERT_RULES.items():
        create_rule(tenant=tenant, livemode=True, kind=kind, facts=facts, now=now, actor="seed_demo")


#: Lists of the demo's own, to be looked at and changed: name → type, what it is for, items with a note each.
LISTS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "mules": ("user", "Accounts that are used for stolen money", {"mule-1001": "chargebacks of May", "mule-1002": ""}),
    "offices": ("ip", "Addresses of our own", {"192.0.2.0/24": "Berlin", "2001:db8:77::/48": "Nairobi"}),
}


def _make_lists(tenant: Tenant, now: datetime) -> None:
    by: dict[str, Any] = {"tenant": tenant, "valkey": get_scoring().journal.valkey, "now": now, "actor": "seed_demo"}
    for livemode in (True, False):
        for name, (item_type, description, values) in LISTS.items():
            made = lists.create(livemode=livemode, name=name, item_type=item_type, description=description, **by)
            items = [NewItem(list_item(item_type, value), None, note) for value, note in values.items()]
            lists.add_items(row=made, items=items, **by)


def _is_without_past(tenant: Tenant, now: datetime) -> bool:
    """Whether it was made to have one and has none yet."""
    begun = tenant.created_at <= now - timedelta(days=DAYS)
    return begun and not UsageDay.objects.filter(tenant_id=tenant.pk, day__lt=now.date()).exists()


def _decide(tenant: Tenant, now: datetime) -> list[tuple[str, Question]]:
    """Journal a decision on each transaction of the demo's past; its id beside what was asked."""
    journal, answering, made = get_scoring().journal, Answering(tenant, now), list[tuple[str, Question]]()
    for question in demo_transactions(random.Random(SEED), now - timedelta(days=DAYS), now):  # noqa: S311 - no secret
        entry, names = answering.entry(question)
        at = moment(entry.event.occurred_us)
        claim, period = ("", ""), period_of(at)
        journal.append([entry], names, period=period, day=at.day, claim=claim, settle=False, surplus=0)
        made.append((entry.event.id, question))
    return made


def _label(tenant: Tenant, made: Sequence[tuple[str, Question]], now: datetime) -> None:
    """Say of each transaction what was learned of it until now."""
    chance = random.Random(SEED)  # noqa: S311 - no secret
    found = [(decision, question, learned(chance, question)) for decision, question in made]
    for livemode in (True, False):
        labels = [
            _meant(decision, question, outcome)
            for decision, question, outcome in found
            if outcome and outcome.at <= now and question.livemode == livemode
        ]
        add_labels(
            tenant=tenant, livemode=livemode, labels=labels, journal=get_scoring().journal, now=now, actor="seed_demo"
        )


def _meant(decision: str, question: Question, outcome: Learned) -> Meant:
    lost = question.transaction["amount"] if outcome.label == "fraud" else None
    return Meant(outcome.label, outcome.source, decision, None, question.at, outcome.at, lost)


class Answering:
    """The demo tenant's decisions as its API would have made them, past the gate: a past has no limits."""

    def __init__(self, tenant: Tenant, now: datetime) -> None:
        self._tenant = tenant
        self._keys = {livemode: _key(tenant, livemode, now) for livemode in (True, False)}
        self._policy = get_policies().get(tenant.schema_name, tenant.policy_version)

    def entry(self, question: Question) -> tuple[Entry, Names]:
        """A decision as it is journaled, and under which names."""
        key, received_us = self._keys[question.livemode], int(question.at.timestamp() * 1_000_000)
        presented = PresentedKey(self._tenant.handle, question.livemode)
        request = ScoringRequest(presented, key.digest, "127.0.0.1", ENDPOINT, "predict", received_us)
        schema = SCHEMAS[question.schema]
        item = item_of(request, schema, schema.parse(question.transaction, received_us // 1000))
        ask, admission = ask_for(request, [item]), self._admission(key)
        attempt = Attempt(request, [item], ask, admission, request.names, lambda: question.took_ms)
        found = get_scoring().engine.decide(question.schema, item.parsed, {}, self._policy, None)
        made = made_of(attempt, item, found, "", question.took_ms)
        return entry_of(attempt, item, made), attempt.names

    def _admission(self, key: ApiKey) -> Admission:
        tenant = self._tenant
        return Admission(
            key.pk, tenant.pk, tenant.schema_name, tenant.policy_version, Rate(1, 1, 0), 0, 0, 1, False, ()
        )


def _key(tenant: Tenant, livemode: bool, now: datetime) -> ApiKey:
    """The demo's own live key, and a test key whose text nobody has."""
    found = ApiKey.objects.filter(tenant=tenant, livemode=livemode, revoked_at=None).first()
    return found or create_key(tenant=tenant, name=TEST_KEY, scopes=["predict"], livemode=livemode, now=now)[0]


def _wait_until_recorded() -> None:
    """Until the recorder has stored what was journaled; what it stores after that goes on a later invoice."""
    deadline = time.monotonic() + RECORDED_WITHIN
    while any(get_scoring().journal.lengths()) and time.monotonic() < deadline:
        time.sleep(0.1)


def _close_months(tenant: Tenant, now: datetime) -> None:
    """Close the months that are over, each at its time, and take the money."""
    period = Period.of(tenant.created_at)
    while period.end + CLOSED_AFTER < now:
        close_due(period.end + CLOSED_AFTER)
        period = period.later(1)
    for invoice in Invoice.objects.filter(tenant=tenant, status=Invoice.Status.ISSUED, issued_at__lt=now - PAID_AFTER):
        _pay(invoice)


def _pay(invoice: Invoice) -> None:
    assert invoice.issued_at is not None  # noqa: S101 - it is issued
    at = invoice.issued_at + PAID_AFTER
    said = {"reference": f"transfer for {invoice.number}", "form": invoice.public_id}
    record_transfer(invoice=invoice, amount=invoice.total, received=at.date(), now=at, **said)
