"""Attempts to collect with kills and lost answers at every step: nobody is charged twice, nobody forgotten."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest

from apps.accounts.models import Tenant
from apps.billing.collecting import payments, reconciliation
from apps.billing.collecting.stripe_gateway import StripeGateway
from apps.billing.models import Invoice, Payment
from tests import live
from tests.billing.collecting.attempts import attempt
from tests.billing.collecting.conftest import ISSUED, give_card
from tests.campaign import SIZE, campaign
from tests.pace import within
from tests.stripe_server import Fault, Stand
from tests.together import together

TENANTS, ATTEMPTS = SIZE.attempts
#: Of each tenant.
INVOICES = 2
BILLS, SHOTS, LEAST_KILLED = 60, 25, 8
MINUTE = timedelta(minutes=1)
#: Faults of the wire; those that hang are for tests that have the time.
FAULTS = [fault for fault in get_args(Fault) if not fault.startswith("hang")]


class Killed(BaseException):
    """The process dies here: nothing catches it but the test."""


class Mortal:
    """A gateway whose process may die right before and right after every call."""

    def __init__(self, gateway: StripeGateway, die: Callable[[str], None]) -> None:
        self.gateway, self.die = gateway, die

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self.gateway, name)
        if not callable(asked):
            return asked

        def call(*args: Any, **named: Any) -> Any:
            self.die(f"before {name}")
            answer = asked(*args, **named)
            self.die(f"after {name}")
            return answer

        return call


def others(count: int) -> list[Tenant]:
    """Tenants that only pay: they need no schema."""
    return Tenant.objects.bulk_create(
        Tenant(slug=f"storm{number}", name=f"Storm {number}", handle=f"s{number:05d}", schema_name=f"t_s{number:05d}")
        for number in range(count)
    )


def bills(tenant: Tenant, count: int) -> list[Invoice]:
    return Invoice.objects.bulk_create(
        Invoice(
            tenant=tenant,
            number=f"P-2026-{tenant.pk:04d}{number:02d}",
            status=Invoice.Status.ISSUED,
            currency="USD",
            subtotal=Decimal(10),
            total=Decimal(10),
            created_at=ISSUED,
            issued_at=ISSUED,
        )
        for number in range(1, count + 1)
    )


@campaign
@pytest.mark.django_db
def test_nobody_is_charged_twice_or_forgotten(
    cast: object, gateway: StripeGateway, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice, deaths, now, made = random.Random(20261201), Counter[str](), ISSUED, 0

    def die(where: str) -> None:
        if dice.random() < 0.3:
            deaths[where] += 1
            raise Killed

    def tell(*args: Any) -> None:
        die("before the commit")
        told(*args)

    told = payments.notify_payment_changes
    monkeypatch.setattr(payments, "notify_payment_changes", tell)
    cards = [give_card(other, gateway, stand) for other in others(TENANTS)]
    stand.fault = lambda method, path, count: dice.choice(FAULTS) if dice.random() < 0.6 else None
    stand.clock = stand.ledger.clock = lambda: now.timestamp()
    invoices = [
        invoice for tenant in Tenant.objects.filter(slug__startswith="storm") for invoice in bills(tenant, INVOICES)
    ]
    mortal = Mortal(gateway, die)
    while made < ATTEMPTS and Invoice.objects.filter(status=Invoice.Status.ISSUED).exists():
        now += dice.choice([2 * MINUTE, timedelta(hours=3), timedelta(hours=25)])
        for invoice in Invoice.objects.filter(status=Invoice.Status.ISSUED):
            if dice.random() < 0.8:
                stand.ledger.declines_next(dice.choice(cards))
            with suppress(Killed):
                attempt(invoice, mortal, now)
            made += 1
    assert made >= ATTEMPTS
    assert {"before pay", "after pay", "before the commit", "before withdraw", "after withdraw"} <= set(deaths)
    stand.fault = None
    stand.ledger._issuer.clear()
    monkeypatch.setattr(payments, "notify_payment_changes", told)
    for _ in range(4):
        now += timedelta(hours=25)
        for invoice in Invoice.objects.filter(status=Invoice.Status.ISSUED):
            attempt(invoice, gateway, now)
    charged = Counter(charge["metadata"]["palisade_invoice"] for charge in stand.ledger.charged())
    assert charged == {invoice.number: 1 for invoice in invoices}
    assert Invoice.objects.filter(status=Invoice.Status.PAID).count() == len(invoices)
    assert not Payment.objects.filter(status__in=payments.OPEN).exists()
    assert reconciliation.reconcile(gateway, now).differences == ()


@campaign
@pytest.mark.django_db(transaction=True)
def test_eight_workers_at_once_charge_each_invoice_once(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> None:
    give_card(tenant, gateway, stand)
    invoices = bills(tenant, 12)

    def work(_: int) -> None:
        for invoice in invoices:
            attempt(invoice, gateway, ISSUED)

    together(8, work)
    for invoice in Invoice.objects.filter(status=Invoice.Status.ISSUED):
        attempt(invoice, gateway, ISSUED + MINUTE)
    charged = Counter(charge["metadata"]["palisade_invoice"] for charge in stand.ledger.charged())
    assert charged == {invoice.number: 1 for invoice in invoices}


@campaign
@pytest.mark.django_db(transaction=True)
def test_workers_that_are_really_killed_charge_each_invoice_once(
    tenant: Tenant, gateway: StripeGateway, stand: Stand
) -> None:
    """SIGKILL at moments that nobody chose (killed.py); a quick machine is done before some of them."""
    give_card(tenant, gateway, stand)
    bills(tenant, BILLS)
    command = [
        sys.executable,
        "-m",
        "tests.billing.collecting.killed",
        stand.url,
        stand.api_key,
        str(tenant.pk),
        str(SHOTS),
    ]
    done = subprocess.run(
        command,
        env=live.environment_of("config.settings.portal"),
        capture_output=True,
        text=True,
        timeout=within(120),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    killed = int(done.stdout)
    now = datetime.now(UTC) + 2 * MINUTE
    for _ in range(2):
        for invoice in Invoice.objects.filter(status=Invoice.Status.ISSUED):
            attempt(invoice, gateway, now)
    charged = Counter(charge["metadata"]["palisade_invoice"] for charge in stand.ledger.charged())
    assert killed >= LEAST_KILLED
    assert set(charged.values()) == {1} and len(charged) == BILLS
    assert not Payment.objects.filter(status__in=payments.OPEN).exists()
