"""200: labels are kept, repeated without effect, corrected with their history, and never seen by the past."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from apps.accounts.models import AuditEntry
from apps.accounts.tenancy import in_tenant
from apps.review import history_marks, label_months
from apps.review.models import Label
from apps.scoring import feature_drift
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision, FoldedMonth
from apps.valkey import Valkey
from tests.api.bodies import DRAINED, asking
from tests.cast import Api

PAYMENTS = SCHEMAS["payments"]
FRAUD = {"label": "fraud", "source": "chargeback"}


def decided(api: Api, **more: Any) -> str:
    return str(api.post("/v1/decisions", asking(DRAINED | more)).json()["id"])


def paid(api: Api, moment: datetime, transaction_id: str, **more: Any) -> dict[str, Any]:
    said = {"transaction_id": transaction_id, "timestamp": moment.isoformat(), "amount": 12.5, "user_id": "Ann",
            "merchant_id": "M1", "device_id": "D1"} | more  # fmt: skip
    return dict(api.post("/v1/decisions", {"schema": "payments", "transaction": said}).json())


def test_a_label_is_kept_at_once_and_read_again(alice: Api) -> None:
    decision = decided(alice)
    made = alice.post("/v1/labels", FRAUD | {"decision_id": decision, "amount_lost": 180.5}).json()
    assert (made["decision_id"], made["holds"], made["status"], made["amount_lost"]) == (decision, True, "new", "180.5")
    read = alice.get(f"/v1/labels/{made['id']}").json()
    assert [one["id"] for one in read["history"]] == [made["id"]]
    assert [one["id"] for one in alice.get("/v1/labels").json()["data"]] == [made["id"]]


def test_repeating_changes_nothing(alice: Api, drain: Callable[[], int]) -> None:
    decided(alice, transaction_id="t1")
    drain()
    said = FRAUD | {"transaction_id": "t1"}
    first, lines = alice.post("/v1/labels", said).json(), AuditEntry.objects.count()
    again = alice.post("/v1/labels", said).json()
    assert (again["id"], again["status"], AuditEntry.objects.count()) == (first["id"], "unchanged", lines)


def test_a_correction_holds_and_the_history_stays(alice: Api, drain: Callable[[], int]) -> None:
    decision = decided(alice)
    drain()
    said = FRAUD | {"decision_id": decision}
    alice.post("/v1/labels", said)
    alice.post("/v1/labels", said | {"label": "legitimate", "source": "customer"})
    old = alice.post("/v1/labels", said | {"source": "issuer", "known_at": "2026-01-01T00:00:00Z"}).json()
    assert (old["status"], old["holds"]) == ("earlier", False)
    told = alice.get(f"/v1/labels/{old['id']}").json()["history"]
    assert [(one["label"], one["source"], one["holds"]) for one in told] == [
        ("fraud", "chargeback", False), ("legitimate", "customer", True), ("fraud", "issuer", False),
    ]  # fmt: skip
    assert len(alice.get("/v1/labels?holds=true").json()["data"]) == 1
    assert len(alice.get(f"/v1/labels?holds=false&decision_id={decision}").json()["data"]) == 2


def test_a_label_has_its_month_counted_anew(alice: Api, drain: Callable[[], int]) -> None:
    decision = decided(alice)
    drain()
    for label, marks in (("fraud", 0), ("fraud", 1), ("legitimate", 0)):  # repeated it changes nothing
        with in_tenant(alice.tenant):
            FoldedMonth.objects.all().delete()
            FoldedMonth.objects.create(subject=label_months.LABELS, month=timezone.now().date().replace(day=1))
        alice.post("/v1/labels", FRAUD | {"decision_id": decision, "label": label})
        with in_tenant(alice.tenant):
            assert FoldedMonth.objects.count() == marks


def test_each_of_many_has_its_own_status(alice: Api, bob: Api, drain: Callable[[], int]) -> None:
    decision, others = decided(alice, transaction_id="t1"), decided(bob)
    drain()
    rows = [
        FRAUD | {"decision_id": decision},
        FRAUD | {"transaction_id": "t1"},
        FRAUD | {"transaction_id": "t1", "label": "legitimate"},
        FRAUD | {"decision_id": others},
        {"label": "fraud"},
        "fraud",
    ]
    told = alice.post("/v1/labels", {"labels": rows}).json()
    assert told["counts"] == {"new": 2, "earlier": 0, "unchanged": 1, "error": 3}
    assert [row["status"] for row in told["data"]] == ["new", "unchanged", "new", "error", "error", "error"]
    assert [row["error"]["code"] for row in told["data"][3:]] == ["not_found", "field_invalid", "field_invalid"]
    assert told["data"][3]["error"]["param"] == "labels[3].decision_id"
    with in_tenant(alice.tenant):
        assert Label.objects.filter(holds=True).count() == 1


def test_csv_is_taken_and_a_thousand_are_enough(alice: Api, drain: Callable[[], int]) -> None:
    decided(alice, transaction_id="t1")
    drain()
    head = b"transaction_id,label,source,amount_lost\n"
    told = alice.post("/v1/labels", head + b"t1,1,chargeback,20\nt2,0,analyst,\n", "text/csv").json()
    assert told["counts"] == {"new": 1, "earlier": 0, "unchanged": 0, "error": 1}
    assert alice.post("/v1/labels", head + b"t,1,analyst,\n" * 1001, "text/csv").status_code == 422
    assert alice.post("/v1/labels", b"\xff\xfe", "text/csv").status_code == 400


def test_another_tenants_and_modes_decisions_are_unknown(alice: Api, bob: Api, drain: Callable[[], int]) -> None:
    decision = decided(alice)
    drain()
    for caller in (bob, alice.in_test_mode()):
        assert caller.post("/v1/labels", FRAUD | {"decision_id": decision}).status_code == 404


def test_a_known_fraud_makes_no_habit_from_the_minute_it_was_known(
    alice: Api, drain: Callable[[], int], monkeypatch: Any
) -> None:
    now = datetime.now(UTC)
    for day in range(12, 6, -1):
        paid(alice, now - timedelta(days=day), f"p{day}")
    drain()
    known = now - timedelta(days=3)
    said = FRAUD | {"transaction_id": "p9", "known_at": known.isoformat()}
    seen = [known_payments(alice, now, drain)]
    alice.post("/v1/labels", said)
    seen += [known_payments(alice, known + timedelta(minutes=minutes), drain) for minutes in (-1, 2)]
    alice.post("/v1/labels", FRAUD | {"transaction_id": "p9", "label": "legitimate"})
    seen.append(known_payments(alice, now + timedelta(minutes=1), drain))
    assert seen == [6, 6, 5, 6 + 2]
    monkeypatch.setattr(feature_drift, "SAMPLED", 1)
    start, end = now - timedelta(hours=1), now + timedelta(hours=1)
    found = feature_drift.compare(alice.tenant.schema_name, PAYMENTS, start, end)
    assert (found.compared, found.differing) == (10, 0), found.features


def known_payments(api: Api, moment: datetime, drain: Callable[[], int]) -> float:
    """On how many payments of the user the habits rest that are looked at by one more, dated then."""
    decision = paid(api, moment, f"at {moment.isoformat()}")
    drain()
    with in_tenant(api.tenant):
        vector = np.frombuffer(Decision.objects.get(pk=decision["id"]).features, "<f4")
    return float(vector[PAYMENTS.feature_names.index("known_events")])


def test_a_label_waits_for_valkey_to_be_marked(alice: Api, drain: Callable[[], int], valkey: Valkey) -> None:
    paid(alice, datetime.now(UTC) - timedelta(days=2), "p1")
    drain()
    alice.post("/v1/labels", FRAUD | {"transaction_id": "p1"})
    with in_tenant(alice.tenant):
        Label.objects.update(marked_at=None)
    later = timezone.now() + timedelta(minutes=1)
    assert history_marks.mark_waiting(alice.tenant, valkey, later) == 1
    assert history_marks.mark_waiting(alice.tenant, valkey, later) == 0
