"""200: one person's data is removed everywhere, the books stay whole, and others' data is untouched."""

import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.accounts.models import AuditEntry
from apps.accounts.tenancy import in_tenant
from apps.ingest.models import Prediction
from apps.offboarding import erasures, exports, retention, tasks
from apps.offboarding.models import Erasure, Export, RemovedDay
from apps.review import label_months
from apps.review.models import Label
from apps.scoring import feature_drift, heavy_hitters, searches
from apps.scoring.engine.parties import party_name
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.models import Decision, FoldedMonth, PartyDay
from apps.scoring.reconciliation import reconcile_month
from apps.valkey import Valkey
from tests.cast import Api

NAME = "Quatermain-77"
PATH = f"/v1/entities/user/{NAME}"


def pay(api: Api, user: str, **more: Any) -> Any:
    return api.post("/v1/decisions", {"schema": "payments", "transaction": paid(user, **more)})


def paid(user: str, **more: Any) -> dict[str, Any]:
    return {"amount": 20.0, "user_id": user, "merchant_id": "M1", "device_id": "D1"} | more


def in_postgres(tenant_schema: str, name: str) -> list[str]:
    """Tables in which the name stands in any column."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', %s)", [tenant_schema]
        )
        found = []
        for schema, table in cursor.fetchall():
            cursor.execute(
                f'SELECT count(*) FROM "{schema}"."{table}" AS one_row WHERE one_row::text ILIKE %s', [f"%{name}%"]
            )
            found += [table] * bool(cursor.fetchone()[0])
    return found


def in_valkey(valkey: Valkey, name: str) -> Iterator[bytes]:
    """Keys that hold the name, by name or by value, whatever their type."""
    needle = name.lower().encode()
    for key in valkey.command("KEYS", "*"):
        kind = valkey.command("TYPE", key)
        read: dict[bytes, tuple[Any, ...]] = {
            b"string": ("GET", key), b"stream": ("XRANGE", key, "-", "+"), b"hash": ("HGETALL", key),
            b"list": ("LRANGE", key, 0, -1), b"set": ("SMEMBERS", key), b"zset": ("ZRANGE", key, 0, -1),
        }  # fmt: skip
        if needle in repr(valkey.command(*read[kind])).lower().encode() or needle in key.lower():
            yield key


def in_files(name: str) -> list[str]:
    """Files of ours that hold the name, zips looked into."""
    found = []
    for path in Path(settings.MEDIA_ROOT).rglob("*"):
        if path.is_file():
            held = [path.read_bytes()]
            if zipfile.is_zipfile(path):
                held += [zipfile.ZipFile(path).read(one) for one in zipfile.ZipFile(path).namelist()]
            found += [str(path)] * any(name.lower().encode() in one.lower() for one in held)
    return found


def everywhere(api: Api, valkey: Valkey, name: str) -> list[Any]:
    return [*in_postgres(api.tenant.schema_name, name), *in_valkey(valkey, name), *in_files(name)]


def history_keys(valkey: Valkey, api: Api) -> list[bytes]:
    return sorted(valkey.command("KEYS", f"*{api.tenant.handle}*hist*"))


@pytest.fixture
def scene(alice: Api, bob: Api, drain: Callable[[], int], valkey: Valkey) -> Callable[[], None]:
    """alice's and bob's person of one name, and another of alice's; everything that can be kept of them is kept."""

    def play() -> None:
        # Whether the model asks for a review depends on the hour; a case would go with its decision, and be counted.
        assert alice.post("/v1/policies", {"policy": {"review_at": 0.99, "block_at": 0.99}}).status_code == 200
        pay(alice, NAME, transaction_id="q1")
        alice.post("/v1/decisions", {"schema": "payments", "transaction": paid(NAME.upper())}, idempotency_key="k1")
        rows = [paid(NAME), paid("Other")]
        alice.post("/v1/transactions", {"schema": "payments", "transactions": rows}, idempotency_key="k2")
        pay(alice.in_test_mode(), NAME)
        pay(alice, "Other", transaction_id="o1")
        pay(bob, NAME)
        drain()
        for transaction in ("q1", "o1"):
            alice.post("/v1/labels", {"transaction_id": transaction, "label": "fraud", "source": "issuer"})
            alice.post("/v1/predictions", {"transaction_id": transaction, "fraud_probability": 0.5})
        alice.post(
            "/fraud-alert", {"transaction_id": "q1", "fraud_probability": 0.95, "message": f"Ask {NAME}, please"}
        )
        searches.keep(alice.tenant, 7, "the one", f"party={NAME}")
        with in_tenant(alice.tenant):
            one = heavy_hitters.Counter(1, 0.9, 20.0)
            sketch = heavy_hitters.pack(heavy_hitters.Sketch({party_name(NAME): one, "other": one}))
            PartyDay.objects.create(
                day=timezone.now().date() - timedelta(days=1),
                livemode=True,
                schema="payments",
                field="user_id",
                sketch=sketch,
            )
        exports.ask_for_export(tenant=alice.tenant, now=timezone.now(), actor="a")
        exports.make_next(timezone.now())

    return play


def mark_labels(api: Api) -> None:
    """This month as one whose labels are added up."""
    with in_tenant(api.tenant):
        FoldedMonth.objects.create(subject=label_months.LABELS, month=timezone.now().date().replace(day=1))


def test_a_person_is_removed_everywhere_and_nobody_else(
    alice: Api, bob: Api, scene: Callable[[], None], drain: Callable[[], int], valkey: Valkey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    scene()
    assert {"scoring_decision", "scoring_savedsearch"} <= set(in_postgres(alice.tenant.schema_name, NAME))
    assert list(in_valkey(valkey, NAME)) and in_files(NAME)
    mark_labels(alice)
    answer = alice.call("DELETE", PATH)
    told = answer.json()
    assert (answer.status_code, told["state"], told["waits_for"]) == (200, "completed", [])
    found = {name: count for name, count in told["removed"].items() if count}
    assert found == {"history": 2, "decisions": 4 + 2, "riskiest_parties": 1, "alerts": 2, "searches": 1, "exports": 1}
    assert len(told["digest"]) == 64
    assert everywhere(alice, valkey, NAME) == []
    with in_tenant(alice.tenant):
        assert Decision.objects.count() == 2
        assert (Label.objects.get().transaction_id, Prediction.objects.get().transaction_id) == ("o1", "o1")
        assert not FoldedMonth.objects.exists()
    with in_tenant(bob.tenant):
        assert Decision.objects.get().facts["user_id"] == NAME
    assert len(history_keys(valkey, bob)) == 2
    now = timezone.now()
    assert [one for books in reconcile_month(now, now) for one in books.differences] == []
    assert RemovedDay.objects.get(tenant=alice.tenant).decisions == 4
    entry = AuditEntry.objects.get(action="person.erased")
    assert (entry.target, entry.after) == (told["id"], {"kind": "user", "person_hash": told["person_hash"]})
    assert alice.get(f"/v1/erasures/{told['id']}").json() == told
    # what is left was scored on the past that is left: a replay of it agrees
    monkeypatch.setattr(feature_drift, "SAMPLED", 1)
    start = timezone.now()
    pay(alice, "Other")
    drain()
    found = feature_drift.compare(alice.tenant.schema_name, SCHEMAS["payments"], start, start + timedelta(hours=1))
    assert (found.compared, found.differing) == (1, 0), found.features


def test_what_is_on_its_way_is_waited_for(
    alice: Api, scene: Callable[[], None], drain: Callable[[], int], valkey: Valkey
) -> None:
    scene()
    pay(alice, NAME)
    told = alice.call("DELETE", PATH).json()
    assert (told["state"], told["waits_for"], told["completed_at"]) == ("holding", ["journal"], None)
    again = alice.call("DELETE", PATH).json()
    assert (again["id"], again["removed"]) == (told["id"], told["removed"])  # the same one, nothing twice
    drain()
    assert tasks.finish_erasures() == 1
    done = alice.get(f"/v1/erasures/{told['id']}").json()
    assert (done["state"], done["removed"]["decisions"]) == ("completed", told["removed"]["decisions"] + 1)
    assert everywhere(alice, valkey, NAME) == []
    assert Erasure.objects.get().person == ""


def test_what_they_do_later_is_another_matter(alice: Api, drain: Callable[[], int], valkey: Valkey) -> None:
    alice.call("DELETE", PATH)
    pay(alice, NAME)
    drain()
    assert erasures.finish_held(valkey, timezone.now()) == 0
    with in_tenant(alice.tenant):
        assert Decision.objects.count() == 1


def test_a_masked_number_is_told_from_others_of_its_mask(alice: Api, drain: Callable[[], int]) -> None:
    cards = ("4111110000091111", "4111110000171111")
    masked = {str(pay(alice, card).json()["id"]): card for card in cards}
    drain()
    told = alice.call("DELETE", f"/v1/entities/user/{cards[0]}").json()
    assert told["removed"]["decisions"] == 1
    with in_tenant(alice.tenant):
        (left,) = Decision.objects.all()
        assert (masked[left.pk], left.facts["user_id"]) == (cards[1], "411111******1111")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/entities/ghost/x", 422), ("/v1/entities/user/%00", 422), (f"/v1/entities/user/{'x' * 301}", 422)],
)
def test_kind_and_id_are_checked(alice: Api, path: str, status: int) -> None:
    assert alice.call("DELETE", path).status_code == status


def test_it_takes_a_live_key_that_may(alice: Api) -> None:
    assert alice.in_test_mode().call("DELETE", PATH).status_code == 403
    assert Erasure.objects.count() == 0


# --- retention ------------------------------------------------------------------------------------------------------


def test_what_is_old_is_removed_and_the_books_agree(
    alice: Api, bob: Api, scene: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    scene()
    told = alice.post("/v1/retention", {"decisions": 30, "predictions": 1}).json()
    assert told == {"object": "retention", "decisions": 30, "labels": None, "lists": None, "cases": None,
                    "predictions": 1, "data_quality": None}  # fmt: skip
    assert alice.get("/v1/retention").json() == told
    assert tasks.remove_old() == 0
    later = timezone.now() + timedelta(days=31)
    assert retention.remove_old(later) == 6 + 2 + 1
    with in_tenant(alice.tenant):
        assert (Decision.objects.count(), Label.objects.count(), Prediction.objects.count()) == (0, 2, 0)
    with in_tenant(bob.tenant):
        assert Decision.objects.count() == 1
    now = timezone.now()
    assert [one for books in reconcile_month(now, now) for one in books.differences] == []
    assert Export.objects.count() == 1


def test_months_of_labels_that_are_removed_are_counted_anew(alice: Api, scene: Callable[[], None]) -> None:
    scene()
    alice.post("/v1/retention", {"labels": 30})
    for later, marks in ((29, 1), (31, 0)):
        mark_labels(alice)
        retention.remove_old(timezone.now() + timedelta(days=later))
        with in_tenant(alice.tenant):
            assert FoldedMonth.objects.all().delete()[0] == marks


@pytest.mark.parametrize("body", [{"decisions": 29}, {"decisions": 4000}, {"labels": "x"}, {"invoices": 30}])
def test_retention_takes_what_can_be(alice: Api, body: dict[str, Any]) -> None:
    assert alice.post("/v1/retention", body).status_code == 422


def test_null_keeps_for_good(alice: Api) -> None:
    alice.post("/v1/retention", {"labels": 60})
    assert alice.post("/v1/retention", {"labels": None}).json()["labels"] is None
