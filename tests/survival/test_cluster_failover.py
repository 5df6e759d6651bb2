"""The service on a Valkey Cluster whose primary is killed while 8 clients of two tenants call."""

import threading
import time
from collections.abc import Iterator

import pytest
from django.test import override_settings
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Names
from apps.api_keys.keys import tag
from apps.scoring.models import Decision
from apps.scoring.reconciliation import reconcile_month
from apps.usage.admission.admission import period_of
from apps.usage.metering.journal import Journal
from apps.usage.models import UsageEvent
from apps.valkey import Valkey, server
from tests.cast import Cast, Player, enter
from tests.pace import within
from tests.survival.cluster import Nodes
from tests.survival.machines import Balanced, Machine, machines, transactions, until
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)
CLIENTS, BEFORE, AFTER = 8, 80, 40
MOST_SECONDS = 15.0
LIMITS = {"rate_per_minute": 1_000_000, "included": 1_000_000}


@pytest.fixture
def machine(cast: Cast, nodes: Nodes) -> Iterator[Machine]:
    with machines(1, REDIS_URL=nodes.url, PALISADE_BROKER_URL="redis://127.0.0.1:1/0") as (one,):
        yield one


class Street:
    """The clients of one tenant, and what they were answered."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.units: dict[str, int] = {}  # decision → billed
        self.whole: list[float] = []  # when answers came that lacked nothing
        self.lacking = self.refused = 0

    def call(self, machine: Machine, client: int, over: threading.Event, stop: threading.Event) -> None:
        balanced = Balanced([machine], self.player.text)
        for body in transactions(client, 100_000):
            answer = balanced.ask(body, stop)
            self.units[answer["id"]] = answer["billed_units"]
            if answer["degraded"]:
                self.lacking += 1
            else:
                self.whole.append(time.monotonic())
            if over.is_set():
                self.refused += balanced.refused
                return

    def settled(self, valkey: Valkey) -> None:
        """Each answer is one decision and one usage event of as many units, and so says the counter."""
        tenant = self.player.tenant
        events = dict(UsageEvent.objects.filter(tenant_id=tenant.pk).values_list("id", "units"))
        with in_tenant(tenant):
            assert set(Decision.objects.values_list("id", flat=True)) == set(self.units)
        assert events == self.units
        counter = valkey.command("GET", Names(tenant.handle, True).quota(period_of(timezone.now())))
        assert int(counter) == sum(self.units.values())


def apart(nodes: Nodes) -> tuple[Player, Player]:
    """Two tenants whose keys are of different primaries."""
    first = enter("dora", "enterprise", **LIMITS)
    place = nodes.primary_of(tag(first.tenant.handle))
    for number in range(40):
        other = enter(f"emil{number}", "enterprise", **LIMITS)
        if nodes.primary_of(tag(other.tenant.handle)) != place:
            return first, other
    raise AssertionError("all of one primary")


def reconciled(tenants: list[Tenant]) -> None:
    for tenant in tenants:
        list(reconcile_month(timezone.now(), timezone.now(), tenant.slug))


def test_a_dead_primary_costs_its_own_tenants_seconds_and_nobody_a_decision(machine: Machine, nodes: Nodes) -> None:
    hit, spared = (Street(player) for player in apart(nodes))
    streets, over, stop = (hit, spared), threading.Event(), threading.Event()
    valkey = server(nodes.url, within(5))

    def kill() -> float:
        until(lambda: min(len(one.whole) for one in streets) > BEFORE or stop.is_set(), "the clients don't come on", 60)
        nodes.primaries[nodes.primary_of(tag(hit.player.tenant.handle))].kill()
        begun = time.monotonic()
        until(lambda: sum(at > begun + 0.5 for at in list(hit.whole)) > AFTER or stop.is_set(), "no failover", 60)
        over.set()
        return next(at for at in hit.whole if at > begun + 0.5) - begun

    def work(number: int) -> float:
        if number == CLIENTS:
            return kill()
        streets[number % 2].call(machine, number, over, stop)
        return 0.0

    seconds = together(CLIENTS + 1, work, seconds=120, stop=stop)[CLIENTS]
    until(lambda: not any(Journal(valkey).lengths()), "the journal was not drained", 30)
    with override_settings(REDIS_URL=nodes.url):
        reconciled([one.player.tenant for one in streets])
    print(
        f"whole again after {seconds:.1f} s; of those hit {len(hit.units)} answers, {hit.lacking} without history,"
        f" {hit.refused} refused; of the others {len(spared.units)}, {spared.lacking}, {spared.refused}"
    )
    assert seconds < MOST_SECONDS
    assert (spared.lacking, spared.refused) == (0, 0)
    hit.settled(valkey)
    spared.settled(valkey)
