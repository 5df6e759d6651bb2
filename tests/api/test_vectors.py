"""Yesterday's feature vectors made again from what is stored: equal when all is well, named when something is lost."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.scoring import feature_drift, tasks
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.models import Decision
from bench.transactions import transaction
from tests.cast import Api

PAYSIM, PAYMENTS = SCHEMAS["paysim"], SCHEMAS["payments"]


@pytest.fixture(autouse=True)
def _every_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_drift, "SAMPLED", 1)


def _busy_day(api: Api, drain: Callable[[], int]) -> None:
    """Few parties who often deal with each other, one by one and in a batch, some facts repeated under an id."""
    chance = random.Random(5)
    rows = [transaction(chance, origins=4, destinations=3) | {"step": 400 + number // 8} for number in range(40)]
    for number, row in enumerate(rows[:20]):
        api.post("/v1/decisions", {"schema": "paysim", "transaction": row | {"transaction_id": f"t{number}"}})
    api.post("/v1/decisions", {"schema": "paysim", "transaction": rows[3] | {"transaction_id": "t3"}})
    api.post("/v1/decisions/batch", {"schema": "paysim", "transactions": rows[20:]})
    drain()


def _compared(api: Api, schema: TransactionSchema = PAYSIM) -> feature_drift.Comparison:
    now = timezone.now()
    return feature_drift.compare(api.tenant.schema_name, schema, now - timedelta(hours=1), now + timedelta(hours=1))


def test_the_stored_past_gives_the_vectors_that_were_scored(alice: Api, drain: Callable[[], int]) -> None:
    _busy_day(alice, drain)
    found = _compared(alice)
    assert (found.compared, found.differing) == (40, 0)


def test_late_and_early_payments_give_the_vectors_that_were_scored(alice: Api, drain: Callable[[], int]) -> None:
    """On time, late by hours or months, ahead by minutes or days; some corrected, some sent twice."""
    chance, now = random.Random(8), timezone.now()
    for number in range(60):
        off = timedelta(minutes=chance.choice([0, 0, 0, -30, -600, -90_000, 5, 400, 20_000]))
        said = {
            "transaction_id": f"p{number - number % 9 // 8}", "amount": 5.0 * number, "merchant_id": f"m{number % 4}",
            "user_id": f"u{number % 2}", "merchant_category": "travel",
        }  # fmt: skip
        said |= {"timestamp": (now + off).isoformat()} if number % 5 else {}
        for _ in range(1 + number % 7 // 6):
            alice.post("/v1/decisions", {"schema": "payments", "transaction": said})
    drain()
    found = _compared(alice, PAYMENTS)
    assert (found.compared, found.differing) == (60, 0)


def test_a_lost_decision_shows_in_the_vectors_after_it(alice: Api, drain: Callable[[], int]) -> None:
    _busy_day(alice, drain)
    with in_tenant(alice.tenant):
        Decision.objects.filter(transaction_id="t0").delete()
    found = _compared(alice)
    assert found.compared == 39
    assert found.differing > 0
    assert all(name.startswith(("orig_", "dest_", "same_")) for name in found.features)


def test_the_nightly_task_tells_the_rate_of_every_schema(alice: Api, drain: Callable[[], int]) -> None:
    _busy_day(alice, drain)
    with in_tenant(alice.tenant):
        Decision.objects.update(created_at=timezone.now() - timedelta(days=1))
        Decision.objects.filter(transaction_id="t0").delete()
    rates = tasks.compare_vectors()
    assert set(rates) == set(SCHEMAS)
    assert 0 < rates["paysim"] < 1
    assert tasks.MISMATCH_RATE.labels("paysim")._value.get() == rates["paysim"]
