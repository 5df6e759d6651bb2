"""4xx: what lists refuse names the field and what it takes; another tenant's list is as one that is not there."""

from typing import Any

import pytest
from django.utils import timezone

from apps.api import list_files, list_items, lists
from apps.batches.models import ListImport
from apps.scoring.lists import reads, services
from apps.scoring.lists.importing import MOST_LINES
from tests.cast import Api

OPERATIONS = (*lists.OPERATIONS, *list_items.OPERATIONS, *list_files.OPERATIONS)
NEW = {"name": "mules", "item_type": "user"}
BODIES: dict[str, Any] = {
    "addItems": {"items": [{"value": "u2"}]},
    "removeItems": {"values": ["u1"]},
    "importItems": b"u3",
    "createList": NEW,
}


def waiting(api: Api) -> str:
    """A file that is put in force later, its id."""
    found = reads.find(api.tenant.schema_name, True, "mules")
    assert found is not None
    made = ListImport(id="lim_1", tenant=api.tenant, livemode=True, list_id=found.pk, list_name="mules", lines=9)
    made.created_at, made.offset, made.size, made.is_csv = timezone.now(), 0, 9, False
    made.save(force_insert=True)
    return made.pk


def item(api: Api) -> str:
    api.post("/v1/lists", NEW)
    api.post("/v1/lists/mules/items", {"items": [{"value": "u1"}]})
    waiting(api)
    return str(api.get("/v1/lists/mules/items").json()["data"][0]["id"])


def ask(api: Api, operation: Any, item_id: str) -> Any:
    path = operation.path.format(list_name="mules", item_id=item_id, import_id="lim_1")
    body = BODIES.get(operation.id, b"")
    if isinstance(body, bytes):
        return api.call(
            operation.method, path + ("?value=u1" if operation.id == "removeItem" else ""), body, "text/plain"
        )
    return api.post(path, body)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_anothers_list_is_as_one_that_is_not_there(alice: Api, bob: Api, operation: Any) -> None:
    mine = item(alice)
    for other in (bob, alice.in_test_mode()):
        if "{list_name}" in operation.path:
            assert ask(other, operation, mine).status_code == 404
        elif operation.method == "GET":
            assert ask(other, operation, mine).json()["data"] == []
    assert alice.get("/v1/lists/mules").json()["items"] == 1
    assert ask(alice, operation, mine).status_code == (409 if operation.id == "createList" else 200)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_each_takes_its_scope(alice: Api, operation: Any) -> None:
    mine = item(alice)
    token = alice.post("/v1/auth/token", {"scopes": ["predict"]}).json()
    without = alice.with_key(token["access_token"])
    refused = ask(without, operation, mine)
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({"name": "My list", "item_type": "user"}, "name", "a letter first"),
        ({"name": "x" * 65, "item_type": "user"}, "name", ""),
        ({"name": "x", "item_type": "phone"}, "item_type", "card"),
        ({"name": "x", "item_type": "user", "ttl": 1}, "ttl", ""),
    ],
)
def test_a_list_that_can_not_be(alice: Api, body: Any, param: str, says: str) -> None:
    refused = alice.post("/v1/lists", body)
    assert (refused.status_code, refused.json()["param"]) == (422, param), refused.content
    assert says in refused.json()["detail"]


@pytest.mark.parametrize(
    ("kind", "one", "param", "says"),
    [
        ("ip", {"value": "10.0.0.0/33"}, "items[0].value", "192.0.2.0/24"),
        ("country", {"value": "Atlantis"}, "items[0].value", "ISO 3166"),
        ("bin", {"value": 4111}, "items[0].value", "6 to 8 digits"),
        ("user", {"value": "u", "expires_at": "2020-01-01T00:00:00Z"}, "items[0].expires_at", "future"),
        ("user", {"value": "u", "expires_at": "soon"}, "items[0].expires_at", "2027-01-05T10:00:00Z"),
        ("user", {"value": ""}, "items[0].value", ""),
        ("user", {"value": "a\u0000b"}, "items[0].value", "control character"),
        ("user", {"note": "x"}, "items[0].value", ""),
    ],
)
def test_an_item_that_can_not_be(alice: Api, kind: str, one: Any, param: str, says: str) -> None:
    alice.post("/v1/lists", {"name": "those", "item_type": kind})
    refused = alice.post("/v1/lists/those/items", {"items": [one, {"value": "x"}]})
    assert (refused.status_code, refused.json()["param"]) == (422, param), refused.content
    assert says in refused.json()["detail"]
    assert alice.get("/v1/lists/those").json()["items"] == 0


@pytest.mark.parametrize(
    ("file", "kind", "code"),
    [
        (b"", "text/csv", "file_unreadable"),
        (b"\xff\xfe\x00", "text/csv", "file_unreadable"),
        (b"name,note\nu1,x\n", "text/csv", "file_unreadable"),
        (b'value,note\n"u1,x\n', "text/csv", "file_unreadable"),
        (b"{}", "application/json", "media_type_unsupported"),
    ],
)
def test_a_file_that_is_none(alice: Api, file: bytes, kind: str, code: str) -> None:
    alice.post("/v1/lists", NEW)
    assert alice.call("POST", "/v1/lists/mules/import", file, kind).json()["code"] == code


def test_there_is_an_end_to_lists_and_items(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST_LISTS", 1)
    monkeypatch.setattr(services, "MOST_ITEMS", 2)
    alice.post("/v1/lists", NEW)
    assert alice.post("/v1/lists", NEW | {"name": "more"}).json()["code"] == "limit_reached"
    three = {"items": [{"value": value} for value in "abc"]}
    assert alice.post("/v1/lists/mules/items", three).json()["code"] == "limit_reached"
    assert alice.get("/v1/lists/mules").json()["items"] == 0
    assert alice.post("/v1/lists", NEW).json()["code"] in ("limit_reached", "name_taken")


def test_a_file_of_more_lines_than_a_list_may_hold_is_refused_before_any_of_it_is_in_force(alice: Api) -> None:
    item(alice)
    lines = b"\n" * (MOST_LINES + 2)
    refused = alice.post("/v1/lists/mules/import", lines, "text/plain")
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert "1,000,002 lines" in refused.json()["detail"] and "1,000,000 items" in refused.json()["detail"]
    assert alice.get("/v1/lists/mules").json()["items"] == 1
