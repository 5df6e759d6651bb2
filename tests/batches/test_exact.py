"""Not a unit over, not a row twice: quota, duplicates, chunks that are done again."""

import threading
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Names
from apps.api_keys.services import get_gate, invalidate_pending
from apps.batches import assembly, chunks, planning, reading, services, storage, tasks
from apps.batches.models import Batch, Chunk
from apps.billing.subscriptions.services import plan_for, set_payment_method, set_spend_cap
from apps.periods import Period
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision
from apps.scoring.reconciliation import reconcile_month
from apps.usage.admission.admission import period_of
from apps.usage.models import UsageDay
from apps.usage.statements.reads import statement_of
from apps.valkey import Valkey
from tests.api.bodies import DRAINED, asking
from tests.batches.sent import HEADER, csv_of
from tests.cast import Api, enter
from tests.pace import within
from tests.scoring.engine import generated

Send, Work = Callable[..., Batch], Callable[[Batch], Batch]
NAMED = "transaction_id," + HEADER


def counted(valkey: Valkey, api: Api) -> int:
    return int(valkey.command("GET", Names(api.tenant.handle, True).quota(period_of(timezone.now()))) or 0)


def leave(valkey: Valkey, api: Api, units: int) -> None:
    """Let the month have so many units left."""
    valkey.command(
        "SET", Names(api.tenant.handle, True).quota(period_of(timezone.now())), plan_for(api.tenant.pk)[2] - units
    )


def stored(api: Api) -> int:
    with in_tenant(api.tenant):
        return Decision.objects.count()


def differences(api: Api) -> list[Any]:
    now = timezone.now()
    return [one for books in reconcile_month(now, now, api.tenant.slug) for one in books.differences]


def test_rows_beyond_the_quota_wait_and_are_gone_on_with(bob: Api, send: Send, work: Work, valkey: Valkey) -> None:
    leave(valkey, bob, 7)
    paused = work(send(bob, csv_of(10)))
    assert (paused.state, paused.rows_done, paused.units, stored(bob)) == ("paused", 7, 7, 7)
    assert "used this month" in paused.reason
    told = storage.read(paused.results["csv"]["name"]).decode().splitlines()
    assert [line.endswith(",quota_exceeded") for line in told[1:]] == [False] * 7 + [True] * 3
    leave(valkey, bob, 100)
    services.resume_batch(batch=paused, now=timezone.now(), actor="key:1")
    done = work(paused)
    assert (done.state, done.rows_done, done.units, stored(bob)) == ("completed", 10, 10, 10)
    assert "quota_exceeded" not in storage.read(done.results["csv"]["name"]).decode()


def test_two_batches_and_50_single_calls_stop_at_the_same_unit_of_the_spend_cap(
    send: Send, valkey: Valkey, monkeypatch: pytest.MonkeyPatch, drain: Callable[[], int]
) -> None:
    monkeypatch.setattr(reading, "CHUNK_ROWS", 20)
    monkeypatch.setattr("apps.batches.parts.CHUNK_ROWS", 20)
    dora = Api(enter("dora", "basic", included=0, rate_per_minute=1_000_000))
    whose: dict[str, Any] = {"tenant_id": dora.tenant.pk, "now": timezone.now()}
    set_payment_method(**whose, ready=True)
    month = statement_of(dora.tenant.pk, Period.of(timezone.now()))
    assert month is not None
    set_spend_cap(**whose, cap=month.cost() + Decimal("1.20"))  # beyond the fee 150 rows and calls at 0.008
    invalidate_pending(get_gate())
    assert dora.post("/v1/decisions", asking(DRAINED, dry_run=True)).status_code == 200  # models are loaded
    batches = [send(dora, csv_of(100, first)) for first in (0, 1000)]
    for batch in batches:
        planning.plan(batch.pk)
    answers: list[int] = []

    def score(batch: Batch) -> None:
        while chunks.score_next(batch.pk, timezone.now()):
            pass
        connection.close()

    def call() -> None:
        answers.append(dora.post("/v1/decisions", asking(DRAINED)).status_code)
        connection.close()

    threads = [threading.Thread(target=score, args=(batch,), daemon=True) for batch in batches]
    threads += [threading.Thread(target=call, daemon=True) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(within(120))
        assert not thread.is_alive()
    drain()
    units = sum(batch.units for batch in Batch.objects.all())
    assert units + answers.count(200) == 150 == counted(valkey, dora)
    assert {*answers} <= {200, 429}
    assert stored(dora) == 150
    assert sum(day.units for day in UsageDay.objects.all()) == 150


def test_a_row_decided_before_is_a_duplicate_and_free(
    bob: Api, send: Send, work: Work, drain: Callable[[], int]
) -> None:
    facts = {"step": 1, "type": "TRANSFER", "amount": 5.0, "nameOrig": "C1", "oldbalanceOrg": 9.0}
    facts |= {"newbalanceOrig": 4.0, "nameDest": "C2", "oldbalanceDest": 0.0, "newbalanceDest": 5.0}
    first = bob.post("/v1/decisions", asking(facts | {"transaction_id": "t1"})).json()
    drain()
    row = "1,TRANSFER,5,C1,9,4,C2,0,5\n"
    done = work(send(bob, (NAMED + "t1," + row + "t2," + row + "t2," + row).encode()))
    assert (done.units, done.duplicates, done.rows_done, stored(bob)) == (1, 2, 3, 2)
    told = storage.read(done.results["csv"]["name"]).decode().splitlines()[1]
    assert f",{first['risk_score']},{first['risk_level']}," in told
    again = bob.post("/v1/decisions", asking(facts | {"transaction_id": "t2"})).json()
    assert (again["status"], again["billed_units"]) == ("duplicate", 0)


#: Every field that names a transaction: of each kind the sender's own, of `ieee_cis` Vesta's number too.
NAMING = [*((name, "transaction_id", "t") for name in SCHEMAS), ("ieee_cis", "TransactionID", 7)]


@pytest.mark.parametrize(("name", "field", "given"), NAMING)
def test_a_transaction_of_every_kind_is_known_by_its_id_alone_and_in_a_file(
    bob: Api, send: Send, work: Work, drain: Callable[[], int], name: str, field: str, given: Any
) -> None:
    made = generated.parsed(SCHEMAS[name], 1, Random(3))[0].facts
    facts = {key: value for key, value in made.items() if key not in ("transaction_id", "TransactionID")}
    sent, other = (msgspec.json.encode(facts | {field: one}) for one in (given, given * 2))
    body = b'{"schema": "%b", "transaction": %b}'
    first = bob.post("/v1/decisions", body % (name.encode(), sent)).json()
    drain()
    done = work(send(bob, b"\n".join([sent, other, other]), name))
    assert (first["transaction_id"], done.state) == (str(given), "completed")
    assert (done.units, done.duplicates, stored(bob)) == (1, 2, 2)
    again = bob.post("/v1/decisions", body % (name.encode(), other)).json()
    assert (again["status"], again["transaction_id"]) == ("duplicate", str(given * 2))


def test_a_chunk_whose_worker_died_is_done_again_to_the_same_rows(
    bob: Api, send: Send, work: Work, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = send(bob, csv_of(20))
    planning.plan(batch.pk)
    with monkeypatch.context() as dying:
        dying.setattr(chunks, "_mark_done", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            chunks.score_next(batch.pk, timezone.now())
    assert (stored(bob), counted(valkey, bob)) == (0, 20)  # reserved, and found again
    assert differences(bob) == []
    done = work(batch)
    assert (done.units, stored(bob), counted(valkey, bob)) == (20, 20, 20)
    assert differences(bob) == []


def test_what_was_reserved_for_a_batch_that_was_cancelled_is_given_back(
    bob: Api, send: Send, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = send(bob, csv_of(20))
    planning.plan(batch.pk)
    with monkeypatch.context() as dying:
        dying.setattr(chunks, "_mark_done", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            chunks.score_next(batch.pk, timezone.now())
    services.cancel_batch(batch=batch, now=timezone.now(), actor="key:1")
    for name in services.unsettled().values_list("pk", flat=True):
        chunks.settle_free(name)
    assert counted(valkey, bob) == 0
    assert tasks.assemble(batch.pk) is None
    assert assembly.assemble(batch.pk)


def test_what_a_cancelled_batch_was_about_to_decide_is_decided_anew(
    bob: Api, send: Send, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"step": 1, "type": "TRANSFER", "amount": 5.0, "nameOrig": "C1", "oldbalanceOrg": 9.0}
    facts |= {"newbalanceOrig": 4.0, "nameDest": "C2", "oldbalanceDest": 0.0, "newbalanceDest": 5.0}
    batch = send(bob, (NAMED + "t1,1,TRANSFER,5,C1,9,4,C2,0,5\n").encode())
    planning.plan(batch.pk)
    with monkeypatch.context() as dying:
        dying.setattr(chunks, "_mark_done", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            chunks.score_next(batch.pk, timezone.now())
    same = asking(facts | {"transaction_id": "t1"})
    waits = bob.post("/v1/decisions", same)
    assert (waits.status_code, waits.json()["code"], waits["Retry-After"]) == (409, "idempotency_in_progress", "1")
    services.cancel_batch(batch=batch, now=timezone.now(), actor="key:1")
    for name in services.unsettled().values_list("pk", flat=True):
        chunks.settle_free(name)
    assert bob.post("/v1/decisions", same).json()["status"] == "new"
    assert bob.post("/v1/decisions", same).json()["status"] == "duplicate"
    assert counted(valkey, bob) == 1


def test_a_full_disk_fails_the_batch_with_a_sentence(
    bob: Api, send: Send, work: Work, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = send(bob, csv_of(5))
    planning.plan(batch.pk)
    with monkeypatch.context() as full:
        full.setattr(storage, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        failed = work(batch)
    assert (failed.state, failed.units, stored(bob)) == ("failed", 0, 0)
    assert failed.reason.startswith("The disk")
    services.resume_batch(batch=failed, now=timezone.now(), actor="key:1")
    done = work(failed)
    assert (done.state, done.units, counted(valkey, bob), Chunk.objects.filter(done=True).count()) == (
        "completed",
        5,
        5,
        1,
    )
