"""The table of all lists: searched, sorted, paged, exported, in both of its kinds of rows."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client, RequestFactory

from apps.accounts.tenancy import in_tenant
from apps.portal import table
from apps.portal.export import as_csv
from apps.portal.filters import choice, search_in
from apps.portal.pages.decisions import TABLE
from apps.portal.table import Column, Empty, Shown, Table
from apps.scoring.models import Decision
from tests.cast import Cast
from tests.factories import MembershipFactory
from tests.portal.test_roles import ARGUMENTS, PAGES, address

pytestmark = pytest.mark.django_db(transaction=True)
BEGIN = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOTHING = Empty("Nothing yet")


def browser(cast: Cast, role: str = "owner") -> Client:
    client = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant, role=role)
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def answer(number: int, **changes: Any) -> str:
    return json.dumps(
        {
            "id": f"dec_{number:04}", "created_at": (BEGIN + timedelta(hours=number)).isoformat(),
            "transaction_id": f"txn-{number}", "schema": "payments", "recommended_action": "approve",
            "risk_level": "low", "fraud_probability": 0.01, "reasons": [{"text": "It is night."}],
        } | changes
    )  # fmt: skip


@pytest.fixture
def sixty(cast: Cast) -> list[Decision]:
    """Sixty test decisions of alice's, an hour apart, of 0, 10, 20 … in rising time."""
    with in_tenant(cast.alice.tenant):
        return Decision.objects.bulk_create(
            Decision(
                id=f"dec_{number:04}", created_at=BEGIN + timedelta(hours=number), livemode=False, schema="payments",
                transaction_id=f"txn-{number}", risk_level="critical" if number == 7 else "low",
                recommended_action="block" if number == 7 else "approve", amount=10 * number,
                parties=[f"user-{number % 3}", "shop"], rules_hit=["far"] if number == 7 else [], facts={},
                answer=answer(number), features=b"", contributions=b"",
                fraud_probability=None if number < 5 else number / 100,  # those of rules alone have none
            )
            for number in range(60)
        )  # fmt: skip


def shown(client: Client, address: str) -> list[str]:
    """The transactions a page of decisions lists, in order."""
    found = client.get(address)
    assert found.status_code == 200, address
    return [row["transaction_id"] for row in found.context["table"].rows]


@pytest.mark.parametrize(
    ("query", "first", "count"),
    [
        ("", "txn-59", 25),
        ("sort=created_at", "txn-0", 25),
        ("sort=-amount", "txn-59", 25),
        ("sort=amount", "txn-0", 25),
        ("sort=-fraud_probability", "txn-59", 25),
        ("sort=facts", "txn-59", 25),
        ("party=USER-1", "txn-58", 20),
        ("party=shop&amount_from=100&amount_to=120", "txn-12", 3),
        ("rule=far", "txn-7", 1),
        ("risk_level=critical", "txn-7", 1),
        ("id=dec_0003", "txn-3", 1),
        ("id=txn-4", "txn-4", 1),
        ("from=2026-11-03&to=2026-11-03", "txn-59", 24),
        ("amount_from=x", "txn-59", 25),
        ("cursor=none-of-ours", "txn-59", 25),
        ("recommended_action=nothing", "txn-59", 25),
    ],
)
def test_decisions_are_searched_and_sorted(
    cast: Cast, sixty: list[Decision], query: str, first: str, count: int
) -> None:
    found = shown(browser(cast), f"/decisions/?{query}")
    assert (found[0], len(found)) == (first, count)


@pytest.mark.parametrize(
    "sort", ["created_at", "-created_at", "amount", "-amount", "fraud_probability", "-fraud_probability"]
)
def test_pages_follow_on_in_every_order(cast: Cast, sixty: list[Decision], sort: str) -> None:
    client, address, seen = browser(cast), f"/decisions/?sort={sort}", []
    while address:
        page = client.get(address).context["table"]
        seen += [row["transaction_id"] for row in page.rows]
        address = f"/decisions/{page.next}" if page.next else ""
    assert seen == [f"txn-{n}" for n in (range(60) if sort[0] != "-" else range(59, -1, -1))]


@pytest.mark.parametrize("sort", ["created_at", "-amount", "-fraud_probability"])
def test_pages_lead_back_to_the_first_one(cast: Cast, sixty: list[Decision], sort: str) -> None:
    client, address, forth, back = browser(cast), f"/decisions/?sort={sort}", [], []
    while address:
        page = client.get(address).context["table"]
        forth.append([row["transaction_id"] for row in page.rows])
        address = f"/decisions/{page.next}" if page.next else ""
    while page.previous:
        page = client.get(f"/decisions/{page.previous}").context["table"]
        back.append([row["transaction_id"] for row in page.rows])
    assert [len(rows) for rows in forth] == [25, 25, 10]
    assert back[::-1] == forth[:-1]


def test_an_export_ends_with_the_last_row(cast: Cast, sixty: list[Decision], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "AT_ONCE", 7)
    answer = browser(cast, "analyst").get("/decisions/?sort=amount&export=json")
    rows = json.loads(b"".join(answer.streaming_content))  # type: ignore[arg-type]
    assert [row["transaction_id"] for row in rows] == [f"txn-{n}" for n in range(60)]


def test_a_day_is_the_readers_own(cast: Cast, sixty: list[Decision]) -> None:
    client = browser(cast)
    client.cookies["zone"] = "Asia/Tokyo"  # nine hours ahead: its 2 November began at 15:00 UTC on the 1st
    assert shown(client, "/decisions/?from=2026-11-02&to=2026-11-02&sort=created_at")[0] == "txn-3"
    client.cookies["zone"] = "../../etc"
    assert shown(client, "/decisions/?from=2026-11-02&sort=created_at")[0] == "txn-12"


def test_a_filter_that_can_not_be_read_says_so_at_its_field(cast: Cast) -> None:
    page = browser(cast).get("/decisions/?amount_from=much&from=yesterday").content.decode()
    assert "A number such as 250." in page
    assert "A day such as 2026-11-30." in page
    assert page.count('aria-invalid="true"') == 2


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_what_is_searched_is_exported_whole(cast: Cast, sixty: list[Decision], kind: str) -> None:
    answer = browser(cast, "analyst").get(f"/decisions/?party=shop&sort=created_at&cursor=x&export={kind}")
    text = b"".join(answer.streaming_content).decode()  # type: ignore[arg-type]
    rows = json.loads(text) if kind == "json" else list(csv.DictReader(io.StringIO(text)))
    assert [row["transaction_id"] for row in rows] == [f"txn-{n}" for n in range(60)]
    assert f'filename="decisions.{kind}"' in answer["Content-Disposition"]


def test_who_may_not_export_is_offered_none_and_gets_none(cast: Cast, sixty: list[Decision]) -> None:
    client = browser(cast, "viewer")
    assert "export=csv" not in client.get("/decisions/").content.decode()
    assert client.get("/decisions/?export=csv").status_code == 403


@pytest.mark.parametrize(
    ("value", "cell"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("+49", "'+49"), ("-x", "'-x"), ("\tx", "'\tx"), (-5, "-5"), ("-5", "-5"),
     ("a,b", "a,b"), (None, ""), (["a", "b"], "a, b")],
)  # fmt: skip
def test_no_cell_of_a_csv_is_a_formula(value: Any, cell: str) -> None:
    written = "".join(as_csv(["x"], [{"x": value}]))
    assert list(csv.reader(io.StringIO(written)))[1] == [cell]


def test_an_export_of_nothing_is_a_list_of_nothing(cast: Cast) -> None:
    assert b"".join(browser(cast).get("/decisions/?export=json").streaming_content) == b"[]\n"  # type: ignore[arg-type]


def test_a_search_is_kept_for_oneself_and_forgotten(cast: Cast, sixty: list[Decision]) -> None:
    client, other = browser(cast), browser(cast)
    client.post("/decisions/", {"name": "Critical ones", "query": "risk_level=critical"})
    assert "Critical ones" in client.get("/decisions/").content.decode()
    assert "Critical ones" not in other.get("/decisions/").content.decode()
    client.post("/decisions/", {"name": "Critical ones", "do": "forget"})
    assert "Critical ones" not in client.get("/decisions/").content.decode()


SHORT = Table(
    name="short",
    row="",
    filters=(search_in("Name", lambda row: row[0]),),
    columns=(Column("name", "Name", lambda row: row[0], ("name",)), Column("n", "N", lambda row: row[1], ("n",))),
    limit=2,
)
ROWS = [("b", 3), ("a", None), ("C", 1)]


@pytest.mark.parametrize(
    ("query", "names"),
    [("", "ba"), ("short.sort=name", "ab"), ("short.sort=-n", "bC"), ("short.q=c", "C"), ("short.cursor=2", "C"),
     ("short.before=2", "ba"), ("short.before=x", "ba"), ("q=c", "ba"), ("short.cursor=99999999999", "ba")],
)  # fmt: skip
def test_a_list_is_searched_sorted_and_cut_by_its_own_parameters(query: str, names: str) -> None:
    page = SHORT.show(RequestFactory().get(f"/?{query}&other=1"), ROWS, NOTHING)
    assert "".join(row[0] for row in page.rows) == names
    assert ("other", "1") in page.kept


def test_a_choice_that_is_none_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="Choose"):
        choice("state", "State", [("on", "On")]).read("off", UTC)


def test_decisions_tell_all_their_columns() -> None:
    one = json.loads(answer(1)) | {"amount": 5}
    assert [column.value(one) for column in TABLE.columns][1] == "txn-1"


@pytest.mark.parametrize("name", sorted(name for name in PAGES if name not in ARGUMENTS))
def test_every_table_of_a_page_gives_the_file_it_offers(cast: Cast, name: str) -> None:
    owner = browser(cast)
    page = owner.get(address(name))
    context = [layer for one in page.context or [] for layer in getattr(one, "dicts", [one])]
    tables = [value for values in context for value in values.values() if isinstance(value, Shown)]
    for shown in tables:
        exported = owner.get(address(name) + shown.exports["csv"])
        assert "attachment" in exported.get("Content-Disposition", ""), shown.name
