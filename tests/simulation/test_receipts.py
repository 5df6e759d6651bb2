"""Receipts: whatever is changed, removed or inserted past us is found; erasure and retention leave a whole chain."""

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from apps.accounts.models import RegularCheck
from apps.accounts.services import RECEIPTS
from apps.accounts.tenancy import in_tenant
from apps.batches import columns
from apps.batches.models import Batch
from apps.batches.receipted import WAYS, lines_of
from apps.offboarding import retention
from apps.operations.tasks import verify_receipts
from apps.scoring import receipt_check, receipts
from apps.scoring.models import Decision, Receipt
from tests.api.bodies import DRAINED, asking
from tests.batches.sent import csv_of, worked
from tests.cast import Api
from tests.simulation.past import decide_on
from tests.simulation.test_replay import REMARKED

pytestmark = pytest.mark.django_db(transaction=True)


def faults(api: Api) -> list[str]:
    return [str(one) for one in receipt_check.faults(api.tenant.schema_name, WAYS)]


@pytest.fixture
def past(
    alice: Api, drain: Callable[[], int], send: Callable[..., Batch], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Decisions of every kind by every way there is; their ids."""
    monkeypatch.setattr(columns, "ROWS_AT_ONCE", 7)  # of batches a part after the other
    decide_on(alice, random.Random(4), 15)
    alice.post("/v1/decisions", {"schema": "payments", "transaction": REMARKED})
    drain()
    for explain in ("none", "all"):
        worked(send(alice, csv_of(20), explain=explain))
    worked(
        send(alice, b"amount,merchant_id,card_present\n12,4111111111111111,true\n-0.0,m 2,\n1e9,,false\n", "payments")
    )
    alice.post("/v1/decisions", asking(DRAINED))
    drain()
    with in_tenant(alice.tenant):
        return list(Decision.objects.order_by("id").values_list("id", flat=True))


def test_by_night_what_was_recorded_lately_is_held_against_its_receipts(alice: Api, past: list[str]) -> None:
    with in_tenant(alice.tenant):
        oldest = timezone.now() - timedelta(days=5)
        first = Receipt.objects.order_by("number").first()
        assert first
        old = set(first.ids)
        head = receipts.Head()
        for row in Receipt.objects.order_by("number"):  # the first one as it would be of days ago, the chain after it
            at = oldest if row.number == 1 else row.at
            head = receipts.Head(
                row.number, receipts.digest(head.digest, row.number, at, row.kind, row.ids, row.leaves)
            )
            Receipt.objects.filter(pk=row.pk).update(at=at, digest=head.digest)
        Decision.objects.filter(pk__in=old).update(created_at=oldest, amount=1)  # told by `receipts_verify` alone
    assert verify_receipts() == 0
    with in_tenant(alice.tenant):
        changed = Decision.objects.exclude(pk__in=old).order_by("pk").first()
        assert changed
        Decision.objects.filter(pk=changed.pk).update(amount=3)
        stray = Decision.objects.exclude(pk__in=[*old, changed.pk]).order_by("pk").first()
        assert stray
        stray.pk = "dec_stray"
        stray.save(force_insert=True)
    assert verify_receipts() == 2
    check = RegularCheck.objects.get(name=RECEIPTS)
    assert check.count == 2
    assert f"decision {changed.pk} was changed" in check.differences[0]
    assert "decision dec_stray has no receipt" in check.differences[1]


def test_what_was_recorded_is_whole(alice: Api, bob: Api, past: list[str], tmp_path: Path) -> None:
    assert faults(alice) == faults(bob) == []
    with in_tenant(alice.tenant):
        assert sorted(name for row in Receipt.objects.all() for name in row.ids) == past
        assert [row.number for row in Receipt.objects.order_by("number")] == list(range(1, Receipt.objects.count() + 1))
    heads = tmp_path / "heads.json"
    for _ in range(2):
        call_command("receipts_verify", heads=heads)
    with in_tenant(alice.tenant):  # the end of the chain and its decisions, cut off together
        last = Receipt.objects.order_by("-number").first()
        assert last
        Decision.objects.filter(pk__in=last.ids).delete()
        last.delete()
    call_command("receipts_verify", tenant="alice")
    with pytest.raises(CommandError, match="not as they were recorded"):
        call_command("receipts_verify", heads=heads)


#: Every column of a decision, and another value of it.
OTHER = {
    "schema": "'card_activity'", "fingerprint": "'x'",
    "created_at": "created_at + interval '1 second'", "livemode": "NOT livemode", "transaction_id": "'other'",
    "body_hash": "repeat('0', 32)", "idempotency_hash": "'x'", "status": "'superseding'",
    "fraud_probability": "0.123", "risk_score": "1 - risk_score", "risk_level": "'none'",
    "recommended_action": "'allow'", "decisive": "'rule:x'", "model_name": "'other'", "model_version": "'0'",
    "facts": "facts || '{\"amount\": 17.25}'", "answer": "answer || ' '", "features": "features || '\\x00'",
    "contributions": "contributions || '\\x00'", "hidden": "'{\"a\": \"b\"}'", "row": "row + 1",
    "policy_version": "policy_version + 1", "made_on": "made_on || '\\x00'", "amount": "amount + 1",
    "parties": "parties || '{x}'", "rules_hit": "rules_hit || '{x}'", "shadows": "'[]'",
}  # fmt: skip


def test_every_change_is_found(alice: Api, past: list[str]) -> None:
    """Of each column, of a decision of each way in which they are recorded."""
    assert {field.name for field in Decision._meta.get_fields()} == {*OTHER, "id"}
    with in_tenant(alice.tenant):
        rows = Decision.objects.filter(schema__in=["paysim", "payments"])
        ways = [rows.filter(fingerprint__startswith="btc_"), rows.exclude(fingerprint__startswith="btc_")]
        chosen = [way.order_by("id")[3].pk for way in ways]
    for column, value in OTHER.items():
        with in_tenant(alice.tenant), connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE kept AS SELECT * FROM scoring_decision WHERE id = ANY(%s)", [chosen])
            cursor.execute(f"UPDATE scoring_decision SET {column} = {value} WHERE id = ANY(%s)", [chosen])
        wrong = faults(alice)
        assert [one for one in chosen if f"decision {one} was changed" not in " ".join(wrong)] == [], column
        with in_tenant(alice.tenant), connection.cursor() as cursor:
            cursor.execute("DELETE FROM scoring_decision WHERE id = ANY(%s)", [chosen])
            cursor.execute("INSERT INTO scoring_decision SELECT * FROM kept")
            cursor.execute("DROP TABLE kept")
    assert faults(alice) == []


def test_rows_that_were_copied_as_lines_are_whole_too(alice: Api, past: list[str]) -> None:
    """Their receipts are of a version before: leaves are of CSV."""
    with in_tenant(alice.tenant):
        head = receipts.Head()
        for row in Receipt.objects.order_by("number"):
            lines = lines_of([Decision.objects.get(pk=name) for name in row.ids])
            size, leaves = receipts.LEAF_BYTES, bytes(row.leaves)
            made = b"".join(
                receipts.leaf(lines[name]) if name in lines else leaves[place * size : (place + 1) * size]
                for place, name in enumerate(row.ids)
            )
            assert bool(lines) == (made != leaves)
            digest = receipts.digest(head.digest, row.number, row.at, row.kind, row.ids, made)
            head = receipts.Head(row.number, digest)
            Receipt.objects.filter(pk=row.pk).update(leaves=made, digest=digest)
        changed = Decision.objects.filter(fingerprint__startswith="btc_").order_by("pk")[2]
    assert faults(alice) == []
    with in_tenant(alice.tenant):
        Decision.objects.filter(pk=changed.pk).update(amount=3)
    assert [one.partition(": ")[2] for one in faults(alice)] == [f"decision {changed.pk} was changed"]


def test_removals_insertions_and_a_chain_that_was_touched_are_found(alice: Api, past: list[str]) -> None:
    with in_tenant(alice.tenant):
        row = Decision.objects.get(pk=past[0])
        row.delete()
        assert [one.partition(": ")[2] for one in faults(alice)] == [f"decision {past[0]} is gone"]
        row.pk = past[0]
        row.save(force_insert=True)
        assert faults(alice) == []
        row.pk = "dec_forged"
        row.save(force_insert=True)
        assert faults(alice) == ["decision dec_forged has no receipt: it was not recorded by us"]
        Decision.objects.filter(pk="dec_forged").delete()
        first = Receipt.objects.get(number=1)
        first.delete()
        assert any("what stood between them is gone" in one for one in faults(alice))
        first.number, first.leaves = 1, bytes(first.leaves)[::-1]
        first.save(force_insert=True)
        assert any("does not say what it said" in one for one in faults(alice))


def test_erasure_and_retention_leave_tombstones(alice: Api, past: list[str], drain: Callable[[], int]) -> None:
    paid = {"amount": 5, "user_id": "Ann", "merchant_id": "M1"}
    named = alice.post("/v1/decisions", {"schema": "payments", "transaction": paid}).json()
    drain()
    erased = alice.call("DELETE", "/v1/entities/user/Ann")
    assert (erased.status_code, erased.json()["removed"]["decisions"]) == (200, 1), erased.json()
    assert faults(alice) == []
    with in_tenant(alice.tenant):
        assert Receipt.objects.get(kind="removed").ids == [named["id"]]
    retention.change(tenant=alice.tenant, days={"decisions": 30}, now=timezone.now(), actor="test")
    assert retention.remove_old(timezone.now() + timedelta(days=40)) > 0
    with in_tenant(alice.tenant):
        assert not Decision.objects.exists()
    assert faults(alice) == []


def test_two_who_write_at_once_stand_one_behind_the_other(alice: Api, past: list[str]) -> None:
    """Of a process that knows an older head the receipt goes behind the newest."""
    schema = alice.tenant.schema_name
    older = receipts._heads[schema]
    receipts.append(schema, receipts.REMOVED, ["dec_a"], (), timezone.now())
    receipts._heads[schema] = older
    receipts.append(schema, receipts.REMOVED, ["dec_b"], (), timezone.now())
    assert faults(alice) == []
    with in_tenant(alice.tenant):
        assert [row.ids for row in Receipt.objects.order_by("-number")[:2]] == [["dec_b"], ["dec_a"]]
