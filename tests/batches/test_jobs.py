"""A file of transactions from its upload to its results: each row once, billed once."""

from collections.abc import Callable

from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Names
from apps.batches import storage
from apps.batches.models import Batch
from apps.scoring.models import Decision
from apps.scoring.reconciliation import reconcile_month
from apps.scoring.serving.decision_formats import answer_of, decode
from apps.usage.admission.admission import period_of
from apps.usage.models import UsageDay, UsageEvent
from apps.valkey import Valkey
from tests.batches.sent import HEADER, rows
from tests.cast import Api


def test_every_row_is_stored_billed_and_told_once(
    bob: Api, send: Callable[..., Batch], work: Callable[[Batch], Batch], valkey: Valkey
) -> None:
    done = work(send(bob, (HEADER + rows(40) + "1,TRANSFER,,C1,1,1,C2,0,0\n").encode()))
    assert (done.state, done.reason, done.rows_total, done.rows_done, done.units) == ("completed", "", 41, 41, 40)
    assert done.problems == {"field_missing": 1}
    with in_tenant(bob.tenant):
        stored = list(Decision.objects.order_by("id"))
    assert len(stored) == 40
    assert {decode(answer_of(row)).billed_units for row in stored} == {1}
    assert [(event.units, event.decisions) for event in UsageEvent.objects.all()] == [(40, 40)]
    assert [(day.endpoint, day.units, day.decisions) for day in UsageDay.objects.all()] == [("batches", 40, 40)]
    now = timezone.now()
    assert int(valkey.command("GET", Names(bob.tenant.handle, True).quota(period_of(now)))) == 40
    assert [
        difference for books in reconcile_month(now, now, bob.tenant.slug) for difference in books.differences
    ] == []
    result = storage.read(done.results["csv"]["name"]).decode().splitlines()
    assert len(result) == 42
    assert result[0].startswith(HEADER.strip())
