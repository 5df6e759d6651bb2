"""What is in a list live is what its history says, whatever was added, removed, expired or lost meanwhile."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Names, names_of
from apps.scoring.engine.list_checks import ListCheck
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.lists import membership, publishing, reads, services
from apps.scoring.lists.given import NewItem
from apps.scoring.lists.item_types import item_of
from apps.scoring.lists.membership import Lists, Wanted
from apps.scoring.lists.tokens import HiddenValue, token_of
from apps.scoring.models import ListItem, ValueList
from apps.scoring.serving.ids import text_hash
from apps.scoring.serving.journal_entries import hidden_hashes
from apps.valkey import Valkey
from tests.cast import Api

pytestmark = pytest.mark.django_db(transaction=True)

PAYMENTS = SCHEMAS["payments"]
NUMBERS = count()
START = datetime(2026, 3, 1, tzinfo=UTC)
BY = ListCheck("addresses", "ip_address")
NETWORKS = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3", "2001:db8::/32", "2001:db8::1")
ADDRESSES = ("10.1.2.3", "10.1.2.4", "10.1.3.1", "10.2.0.1", "11.0.0.1", "2001:db8::1", "2001:db8::2", "::1")


class Place(NamedTuple):
    """A tenant's list, and how it is asked."""

    tenant: Tenant
    valkey: Valkey
    row: ValueList
    names: Names
    lists: Lists

    def add(self, value: str, now: datetime, expires_at: datetime | None = None) -> services.Added:
        items = [NewItem(item_of(self.row.item_type, value), expires_at)]
        return services.add_items(
            tenant=self.tenant, row=self.row, items=items, valkey=self.valkey, now=now, actor="me"
        )

    def remove(self, value: str, now: datetime) -> int:
        with in_tenant(self.tenant):
            row = ValueList.objects.get(pk=self.row.pk)
        tokens = [token_of(item_of(row.item_type, value).name)]
        return services.remove_items(
            tenant=self.tenant, row=row, tokens=tokens, valkey=self.valkey, now=now, actor="me"
        )

    def live(self, values: tuple[str, ...], at: datetime, check: ListCheck = BY) -> list[bool | None]:
        """As a batch of payments would be told, by a policy its process has met before."""
        facts = [{"amount": 1.0, "user_id": "u", "merchant_id": "m", check.field: value} for value in values]
        rows = [PAYMENTS.parse(one) for one in facts]
        wanted, now_us = Wanted((check,)), int(at.timestamp() * 1_000_000)
        asked = self.lists.guess(self.names, PAYMENTS, rows)
        ridden = self.valkey.pipeline([("HMGET", key, *fields) for key, fields in membership.fields_of(asked)])
        found = self.lists.answers(self.names, PAYMENTS, rows, wanted, asked, ridden, now_us)
        return [known.get(check) for known in found.known]

    def then(self, values: tuple[str, ...], at: datetime) -> list[bool | None]:
        return reads.members_at(self.tenant.schema_name, True, self.row.name, values, at)


@pytest.fixture
def place(alice: Api, valkey: Valkey) -> Callable[[str, str], Place]:
    def make(name: str = "addresses", item_type: str = "ip") -> Place:
        row = services.create(
            tenant=alice.tenant, livemode=True, name=name, item_type=item_type, description="", valkey=valkey,
            now=START, actor="me",
        )  # fmt: skip
        return Place(alice.tenant, valkey, row, names_of(alice.tenant.handle, True), Lists(valkey))

    return make


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("add", "add for a time", "remove", "lose", "tidy")),
        st.sampled_from(NETWORKS),
        st.integers(1, 30),
    ),
    min_size=1,
    max_size=15,
)


def in_any(address: str, networks: list[str]) -> bool:
    return any(ip_address(address) in ip_network(network) for network in networks)


@given(STEPS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_live_and_looked_back_at_it_is_as_the_oracle_says(
    place: Callable[..., Place], steps: list[tuple[str, str, int]]
) -> None:
    """The oracle: a dictionary of networks and their ends, and what it held at each step."""
    name = f"addresses_{next(NUMBERS)}"
    here, now = place(name), START
    check = ListCheck(name, "ip_address")
    oracle: dict[str, datetime | None] = {}
    told: list[tuple[datetime, list[bool]]] = []
    for step, network, minutes in steps:
        now += timedelta(minutes=10)
        if step == "remove":
            here.remove(network, now)
            oracle.pop(network, None)
        elif step == "lose":
            here.valkey.command("UNLINK", here.names.list(name))
            assert here.live(ADDRESSES, now, check) == [None] * len(ADDRESSES)
            publishing.publish(here.tenant, here.row.pk, here.valkey)
        elif step == "tidy":
            services.tidy(tenant=here.tenant, valkey=here.valkey, now=now)
        else:
            end = now + timedelta(minutes=minutes) if step == "add for a time" else None
            here.add(network, now, end)
            oracle[network] = end
        for moment in (now, now + timedelta(minutes=5)):
            inside = [network for network, end in oracle.items() if end is None or moment < end]
            expected = [in_any(address, inside) for address in ADDRESSES]
            assert here.live(ADDRESSES, moment, check) == expected
            told.append((moment, expected))
    for moment, expected in told:
        assert here.then(ADDRESSES, moment) == expected
    times = [moment for moment, _ in told for _ in ADDRESSES]
    together = reads.members_at(here.tenant.schema_name, True, name, ADDRESSES * len(told), times)
    assert together == [one for _, expected in told for one in expected]


def test_an_item_ends_exactly_at_its_time(place: Callable[..., Place]) -> None:
    here, end = place(), START + timedelta(hours=1)
    here.add("10.1.2.3", START, end)
    tick = timedelta(microseconds=1)
    for moment, expected in ((START, True), (end - tick, True), (end, False), (end + tick, False)):
        assert here.live(("10.1.2.3",), moment) == here.then(("10.1.2.3",), moment) == [expected]


def test_repeating_changes_nothing_and_another_note_is_a_row_of_its_own(place: Callable[..., Place]) -> None:
    here, later = place(), START + timedelta(hours=1)
    assert here.add("10.1.2.3", START) == (1, 0, 0)
    assert here.add("10.1.2.3", later) == (0, 0, 1)
    assert here.add("10.1.2.3", later, later + timedelta(days=1)) == (0, 1, 0)
    with in_tenant(here.tenant):
        rows = list(ListItem.objects.order_by("pk").values_list("added_at", "removed_at", "expires_at"))
        assert ValueList.objects.get().size == 1
    assert rows == [(START, later, None), (later, None, later + timedelta(days=1))]


def test_a_list_of_another_mode_or_name_is_unknown_and_no_such_list_is_told_apart_from_a_lost_one(
    place: Callable[..., Place],
) -> None:
    here = place()
    rows = [PAYMENTS.parse({"amount": 1.0, "user_id": "u", "merchant_id": "m", "ip_address": "10.0.0.1"})]
    wanted = Wanted((ListCheck("nothing", "ip_address"), BY))

    def ask() -> membership.Answers:
        return here.lists.answers(here.names, PAYMENTS, rows, wanted, {}, (), 0)

    assert (ask().missing, set(ask().known[0])) == (("nothing",), {BY})
    here.lists.report_missing(here.tenant.schema_name, here.names, ["nothing"])
    assert (ask().missing, set(ask().known[0])) == ((), {BY})
    here.valkey.command("UNLINK", here.names.list("addresses"))
    assert (ask().missing, ask().known) == (("addresses",), [{}])


def test_what_valkey_lost_is_written_again_by_the_worker(place: Callable[..., Place]) -> None:
    here = place()
    here.add("10.0.0.0/8", START)
    here.valkey.command("FLUSHDB")
    assert here.live(("10.1.1.1",), START) == [None]
    here.lists.report_missing(here.tenant.schema_name, here.names, ["addresses"])
    assert publishing.publish_pending(here.valkey) == 1
    assert here.live(("10.1.1.1", "11.1.1.1"), START) == [True, False]
    assert publishing.publish_pending(here.valkey) == 0
    assert not Tenant.objects.get(pk=here.tenant.pk).lists_pending


def test_changes_are_told_in_their_order(place: Callable[..., Place]) -> None:
    """A change that comes before the one before it waits for it, and is then left to the worker."""
    here = place()
    key = here.names.list("addresses")
    said: tuple[Any, ...] = ("EVAL", publishing.CHANGE.text, 1, key)
    assert here.valkey.command(*said, 1, 2, "2 ip 4/32", 0) == -1
    assert here.valkey.command(*said, 0, 1, "1 ip 4/8", 0) == 1
    assert here.valkey.command(*said, 0, 1, "1 ip", 0) == 2
    assert here.valkey.command("HGET", key, "h") == b"1 ip 4/8"


SPELLED = ("4111111111111111", "4111-1111 1111-1111", "4111 1111 1111 1111", 4111111111111111)


@pytest.mark.parametrize("item_type", ["card", "merchant", "text", "user", "bin"])
@pytest.mark.parametrize("item", SPELLED)
def test_a_masked_card_is_found_as_the_hot_path_found_it(
    place: Callable[..., Place], item_type: str, item: str | int
) -> None:
    """However the item and the transaction spell it, by the hash and the masked form that are stored."""
    name = f"cards_{next(NUMBERS)}"
    here = place(name, item_type)
    here.add("411111" if item_type == "bin" else str(item), START)
    parsed = [PAYMENTS.parse({"amount": 1.0, "user_id": "u", "merchant_id": str(one)}) for one in SPELLED]
    stored = [HiddenValue((hidden_hashes(one, "") or {})["merchant_id"], one.facts["merchant_id"]) for one in parsed]
    live = here.live(tuple(map(str, SPELLED)), START, ListCheck(name, "merchant_id"))
    assert live == reads.members_at(here.tenant.schema_name, True, name, stored, START) == [True] * len(SPELLED)


def test_hidden_cards_are_found_by_the_hash_that_is_stored_with_the_decision(place: Callable[..., Place]) -> None:
    here = place("cards", "card")
    here.add("4111 1111 1111 1111", START)
    values = (HiddenValue(text_hash("4111111111111111")), "4111111111111111", HiddenValue(text_hash("5500")), None)
    found = reads.members_at(here.tenant.schema_name, True, "cards", values, START)
    assert found == [True, True, False, False]
    assert reads.members_at(here.tenant.schema_name, True, "cards", ["x"], START - timedelta(1)) == [None]
    with in_tenant(here.tenant):
        assert ListItem.objects.get().value == "411111******1111"
