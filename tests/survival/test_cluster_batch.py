"""A batch scored by Celery's workers on a Valkey Cluster, of which the primary that has its tenant is killed."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Names
from apps.api_keys.keys import tag
from apps.batches import planning, services, storage, tasks
from apps.batches.models import Batch, Chunk
from apps.batches.services import Received, Wanted, create_batch
from apps.scoring.models import Decision
from apps.scoring.reconciliation import reconcile_month
from apps.usage.admission.admission import period_of
from apps.usage.models import UsageDay, UsageEvent
from apps.valkey import Valkey, server
from config.local.embedded import CHECKOUT
from config.local.supervisor import read_procfile
from tests.batches.sent import HEADER, rows
from tests.cast import Cast, enter
from tests.live import environment_of
from tests.pace import within
from tests.survival.cluster import Nodes
from tests.survival.machines import until

pytestmark = pytest.mark.django_db(transaction=True)
CHUNKS, CHUNK_ROWS, BEFORE = 40, 25, 4
ROWS = CHUNKS * CHUNK_ROWS
#: As often as the clock asks for what waits, so that the test does not wait for it.
ASKS_EVERY = 0.5
LIMITS = {"rate_per_minute": 1_000_000, "included": 1_000_000}


@pytest.fixture
def batch(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """A file whose rows have ids of their own, cut into many small chunks."""
    monkeypatch.setattr("apps.batches.parts.CHUNK_ROWS", CHUNK_ROWS)
    named = [f"t{number},{row}" for number, row in enumerate(rows(ROWS).splitlines())]
    content = "\n".join(["transaction_id," + HEADER.strip(), *named, ""]).encode()
    with tempfile.NamedTemporaryFile(dir=storage.scratch(), delete=False) as file:
        file.write(content)
    received = Received(Path(file.name), 0, len(content), "rows.csv", "")
    whose = {"tenant": enter("dora", "enterprise", **LIMITS).tenant, "livemode": True, "actor": "key:1", "key_id": 1}
    made = create_batch(received=received, wanted=Wanted("paysim"), now=timezone.now(), **whose)
    assert planning.plan(made.pk)
    return made


@contextmanager
def workers(nodes: Nodes) -> Iterator[None]:
    """The Procfile's for batches: they count in the cluster, and get their tasks from the suite's own Valkey."""
    command = [sys.executable, "-m", *read_procfile(CHECKOUT / "Procfile", {})["batches"]]
    stores = {"REDIS_URL": nodes.url, "PALISADE_BROKER_URL": settings.REDIS_URL}
    process = subprocess.Popen(command, cwd=CHECKOUT, env=environment_of("config.settings.portal", **stores))
    try:
        yield
    finally:
        process.terminate()
        process.wait(within(20))


def asking(holds: Callable[[], bool]) -> Callable[[], bool]:
    """The same, and now and then whoever waits for a store is sent on."""
    asked = 0.0

    def ask() -> bool:
        nonlocal asked
        if time.monotonic() > asked + ASKS_EVERY:
            asked = time.monotonic()
            tasks.go_on.delay()
        return holds()

    return ask


def counted(valkey: Valkey, tenant: Tenant) -> int:
    return int(valkey.command("GET", Names(tenant.handle, True).quota(period_of(timezone.now()))))


def test_a_dead_primary_costs_a_batch_no_row_and_bills_none_twice(batch: Batch, nodes: Nodes) -> None:
    tenant, mine = batch.tenant, Batch.objects.filter(pk=batch.pk)
    with workers(nodes):
        until(asking(lambda: Chunk.objects.filter(done=True).count() >= BEFORE), "no chunk is scored", 60)
        nodes.primaries[nodes.primary_of(tag(tenant.handle))].kill()
        done = mine.get().rows_done
        seconds = until(asking(lambda: mine.get().assembled_at is not None and mine.get().ended), "not completed", 60)
        until(asking(lambda: not services.unsettled().exists()), "what was reserved is not settled", 30)
    print(f"killed after {done} rows of {ROWS}; completed {seconds:.1f} s later")
    batch.refresh_from_db()
    assert done < ROWS
    assert (batch.state, batch.rows_done, batch.units, batch.duplicates) == ("completed", ROWS, ROWS, 0)
    events = UsageEvent.objects.filter(tenant_id=tenant.pk)
    assert [one.units for one in events] == [CHUNK_ROWS] * CHUNKS
    assert sum(day.units for day in UsageDay.objects.filter(tenant_id=tenant.pk)) == ROWS
    with in_tenant(tenant):
        assert set(Decision.objects.values_list("transaction_id", flat=True)) == {f"t{one}" for one in range(ROWS)}
        assert Decision.objects.count() == ROWS
    assert len(storage.read(batch.results["csv"]["name"]).splitlines()) == ROWS + 1
    with override_settings(REDIS_URL=nodes.url):
        list(reconcile_month(timezone.now(), timezone.now(), tenant.slug))
    assert counted(server(nodes.url, within(5)), tenant) == ROWS
