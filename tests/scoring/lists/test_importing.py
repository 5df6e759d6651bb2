"""A file of items: all of it at one moment, or none; read some lines at a time, whatever its length."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.scoring.lists import importing, reads, services
from apps.scoring.lists.given import UnreadableList
from apps.scoring.lists.importing import FileOfItems, TooLong, count_lines, import_file
from apps.scoring.lists.services import Added
from apps.scoring.models import ListItem, ValueList
from apps.valkey import server
from tests.cast import Cast

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of five lines is a long one."""
    monkeypatch.setattr(importing, "AT_ONCE", 2)


def by(cast: Cast) -> dict[str, Any]:
    return {"tenant": cast.alice.tenant, "valkey": server(settings.REDIS_URL, 5.0), "actor": "ann"}


def made(cast: Cast, item_type: str = "user") -> ValueList:
    return services.create(
        livemode=True, name="mules", item_type=item_type, description="", now=timezone.now(), **by(cast)
    )


def text(content: bytes, is_csv: bool = False, before: bytes = b"") -> FileOfItems:
    return FileOfItems(io.BytesIO(before + content + b"\n--b--"), len(before), len(content), is_csv)


def put(cast: Cast, row: ValueList, of: FileOfItems) -> importing.Imported:
    return import_file(row=row, of=of, clock=timezone.now, **by(cast))


def items(cast: Cast, row: ValueList) -> list[tuple[str, str]]:
    with in_tenant(cast.alice.tenant):
        rows = ListItem.objects.filter(list=row, removed_at=None).order_by("id")
        return list(rows.values_list("value", "note"))


def members(cast: Cast, *values: str) -> list[bool | None]:
    schema, now = cast.alice.tenant.schema_name, timezone.now()
    return [bool(one) for one in reads.members_at(schema, True, "mules", values, now)]


def test_of_many_lines_what_comes_twice_counts_once_and_its_last_line_says_what_holds(cast: Cast) -> None:
    row = made(cast, "device")
    lines = b"value,note\na,1\nb,1\nc,1\na,2\nd,\n"
    assert put(cast, row, text(lines, is_csv=True, before=b"head")).added == Added(4, 0, 0)
    assert items(cast, row) == [("b", "1"), ("c", "1"), ("a", "2"), ("d", "")]
    assert put(cast, row, text(lines.replace(b"c,1", b"c,9"), is_csv=True)).added == Added(0, 1, 3)
    assert dict(items(cast, row))["c"] == "9" and len(items(cast, row)) == 4


def test_they_are_in_force_with_the_next_decision_in_valkey_and_looked_back_at(cast: Cast) -> None:
    row = made(cast)
    put(cast, row, text(b"\xef\xbb\xbfu1\nu2\nu3\nu4\nu5"))
    assert members(cast, "u1", "u5", "u6") == [True, True, False]
    with in_tenant(cast.alice.tenant):
        row.refresh_from_db()
    assert (row.size, row.version, row.published) == (5, 1, 1)


def test_networks_bring_their_prefixes(cast: Cast) -> None:
    row = made(cast, "ip")
    put(cast, row, text(b"10.0.0.0/8\n10.1.0.0/16\n192.0.2.1\n2001:db8::/32\n198.51.100.0/24"))
    with in_tenant(cast.alice.tenant):
        row.refresh_from_db()
    assert row.prefixes == "4/16 4/24 4/32 4/8 6/32"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"u1\nu2\nu3\nu4\n\xff\nu6", "Line 5 is not UTF-8."),
        (b'value,note\nu1,\nu2,\nu3,\n"u4,\n', "Line 5 is no CSV"),
    ],
)
def test_of_a_file_that_can_not_be_read_to_its_end_nothing_is_in_force(cast: Cast, content: bytes, says: str) -> None:
    row = made(cast)
    with pytest.raises(UnreadableList, match=says):
        put(cast, row, text(content, is_csv=b"," in content))
    assert items(cast, row) == [] and members(cast, "u1") == [False]


def test_of_one_with_more_items_than_a_list_may_hold_neither(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST_ITEMS", 4)
    row = made(cast)
    with pytest.raises(services.TooMany):
        put(cast, row, text(b"u1\nu2\nu3\nu4\nu5"))
    assert items(cast, row) == []
    assert put(cast, row, text(b"u1\nu2\nu3\nu4\nu4")).added == Added(4, 0, 0)


def test_wrong_lines_are_left_out_and_told_by_their_numbers(cast: Cast) -> None:
    row = made(cast, "ip")
    found = put(cast, row, text(b"192.0.2.1\nnowhere\n\n192.0.2.2\n192.0.2.3\nelsewhere"))
    assert (found.added, found.wrong) == (Added(3, 0, 0), 2)
    assert [line.number for line in found.problems] == [2, 6]


def test_a_list_that_is_deleted_meanwhile_takes_nothing(cast: Cast) -> None:
    row = made(cast)
    services.delete(row=row, now=timezone.now(), **by(cast))
    with pytest.raises(services.Gone):
        put(cast, row, text(b"u1\nu2\nu3\nu4\nu5"))


def test_lines_are_taken_as_they_come(cast: Cast) -> None:
    taken: list[int] = []

    def lines() -> Iterator[str]:
        for number in range(7):
            taken.append(number)
            yield f"u{number}\n"

    read = importing._Wrong().taken_from(importing._read(made(cast), lines(), False, timezone.now()))
    assert len(next(read)) == 2 and taken == [0, 1]


@pytest.mark.parametrize(("content", "lines"), [(b"", 0), (b"a", 1), (b"a\n", 1), (b"a\n\nb", 3), (b"a\r\nb\r\n", 2)])
def test_lines_are_counted(content: bytes, lines: int) -> None:
    assert count_lines(text(content)) == lines


def test_a_file_of_more_lines_than_a_list_may_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MOST_LINES", 3)
    assert count_lines(text(b"value,note\n1\n2\n3\n")) == 4
    with pytest.raises(TooLong, match="5 lines; a list may hold 3 items"):
        count_lines(text(b"value,note\n1\n2\n3\n4"))
