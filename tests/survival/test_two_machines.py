"""Two machines over the same stores: an API and a recorder of them are killed while 8 clients call."""

import threading
from collections.abc import Iterator

import pytest
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Names
from apps.scoring.models import Decision
from apps.scoring.reconciliation import reconcile_month
from apps.scoring.recording.lease import KEY, LEASE_SECONDS, Lease
from apps.usage.admission.admission import period_of
from apps.usage.metering.journal import STREAMS, Journal
from apps.usage.models import UsageDay, UsageEvent
from apps.valkey import Valkey
from tests.cast import Cast
from tests.pace import within
from tests.survival.machines import Balanced, Machine, machines, transactions, until
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)
CLIENTS, EACH = 8, 40


@pytest.fixture
def two(cast: Cast) -> Iterator[list[Machine]]:
    with machines(2) as both:
        yield both


def test_what_is_answered_is_recorded_and_billed_once_when_one_of_each_is_killed(
    two: list[Machine], cast: Cast, valkey: Valkey
) -> None:
    answered: list[str] = []
    stop, journal, tenant = threading.Event(), Journal(valkey), cast.alice.tenant
    until(lambda: valkey.command("EXISTS", KEY), "no recorder works")
    holder = valkey.command("GET", KEY).decode().rpartition(":")[2]
    works, stands_by = sorted(two, key=lambda machine: str(machine.recorder.pid) != holder)

    def ask(client: int) -> None:
        balanced = Balanced(two, cast.alice.text, client)
        answered.extend(balanced.ask(body, stop)["id"] for body in transactions(client, EACH))

    def kill() -> None:
        until(lambda: len(answered) > CLIENTS * EACH * 0.3 or stop.is_set(), "the clients don't come on")
        works.kill(works.recorder)
        until(lambda: len(answered) > CLIENTS * EACH * 0.6 or stop.is_set(), "the clients don't come on")
        stands_by.kill(stands_by.api)

    together(CLIENTS + 1, lambda n: ask(n) if n < CLIENTS else kill(), stop=stop)
    until(lambda: not any(journal.lengths()), "the other recorder did not take over", LEASE_SECONDS + 10)
    list(reconcile_month(timezone.now(), timezone.now(), tenant.slug))

    events = UsageEvent.objects.filter(tenant_id=tenant.pk)
    with in_tenant(tenant):
        decisions = sorted(Decision.objects.values_list("id", flat=True))
    assert len(answered) == len(set(answered)) == CLIENTS * EACH
    assert decisions == sorted(answered) == sorted(events.values_list("id", flat=True))
    assert sum(UsageDay.objects.filter(tenant_id=tenant.pk).values_list("units", flat=True)) == len(answered)
    counter = valkey.command("GET", Names(tenant.handle, True).quota(period_of(timezone.now())))
    assert int(counter) == len(answered)
    assert not any(valkey.pipeline([("XLEN", f"{stream}:dead") for stream in STREAMS]))


def test_a_lease_has_one_holder_and_is_free_once_it_is_given_up_or_over(valkey: Valkey) -> None:
    mine, other = Lease(valkey), Lease(valkey)
    other.holder = "another"
    assert (mine.take(), other.take(), mine.take()) == (True, False, True)
    other.give_up()
    assert not other.take()
    mine.give_up()
    assert other.take()
    valkey.command("PEXPIRE", KEY, 1)
    until(mine.take, "it never ended", within(5))
