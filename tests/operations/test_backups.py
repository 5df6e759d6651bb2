"""Restored elsewhere everything answers as before; one tenant's return touches no other."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from psycopg import sql

from apps.accounts import audit_chain
from apps.accounts.models import AuditEntry, Tenant
from apps.accounts.services import add_owner
from apps.api_keys.services import get_gate
from apps.billing.invoicing.invoices import draft_invoice, issue
from apps.billing.models import Invoice
from apps.notifications.services import create_webhook
from apps.operations import tasks
from apps.operations.backups import making, restoring, tenant_rows
from apps.operations.models import Backup
from apps.scoring.models import Decision
from apps.usage.models import UsageEvent
from apps.valkey import Valkey
from config.local import embedded
from tests.api.bodies import HONEST
from tests.cast import Api, Cast, Player, enter
from tests.live import environment_of, serving
from tests.pace import within

pytestmark = pytest.mark.django_db(transaction=True)


def score(api: Api, number: int) -> dict[str, Any]:
    answer = api.post(
        "/v1/decisions", HONEST | {"transaction": HONEST["transaction"] | {"transaction_id": f"t{number}"}}
    )
    assert answer.status_code == 200, answer.content
    return answer.json()


def invoice_of(player: Player) -> Invoice:
    now = timezone.now()
    with transaction.atomic():
        made = draft_invoice(
            tenant=player.tenant,
            now=now,
            description="Setup",
            amount=Decimal(90),
            start=now,
            end=now + timedelta(days=1),
        )
        issue([made], now)
    made.refresh_from_db()
    return made


def test_every_model_of_public_goes_along_or_says_why_not() -> None:
    known = {model._meta.label for model in tenant_rows.carried()} | set(tenant_rows.NOT_CARRIED)
    assert {model._meta.label for model in tenant_rows.shared_models()} == known


def test_what_others_name_is_restored_before_them() -> None:
    order = list(tenant_rows.carried())
    for model in order:
        for key in tenant_rows._keys(model):
            if key.related_model in order and key.related_model is not model:
                assert order.index(key.related_model) < order.index(model)


@contextmanager
def elsewhere(folder: Path, number: int) -> Iterator[dict[str, str]]:
    """Another installation: an empty database and Valkey, a data folder without secrets. Its environment."""
    name = f"elsewhere_{number}"
    url = embedded.database_url()
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {name}")
    stores = {
        "DATABASE_URL": f"{url.rpartition('/')[0]}/{name}",
        "REDIS_URL": settings.REDIS_URL.partition("?")[0] + f"?db={number}",
        "PALISADE_DATA": str(folder / "data"),
        "PALISADE_BACKUP_KEY": settings.BACKUP_KEY,
    }
    try:
        yield environment_of("config.settings.portal", **stores)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def manage(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=environment, cwd=embedded.CHECKOUT, capture_output=True, text=True, timeout=within(120),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_everything_restored_elsewhere_answers_as_before(
    cast: Cast, alice: Api, drain: Callable[[], int], valkey: Valkey, tmp_path: Path
) -> None:
    recorded, invoice = score(alice, 1), invoice_of(cast.alice)
    create_webhook(tenant=cast.alice.tenant, livemode=True, url="https://example.com/", now=timezone.now())
    drain()
    waiting = score(alice, 2)
    file = making.keep(tmp_path, valkey, timezone.now())
    assert file.stat().st_mode & 0o777 == 0o600
    with elsewhere(tmp_path, 7) as there:
        assert "Everything is restored" in manage(there, "restore", str(file))
        with serving(**there | {"DJANGO_SETTINGS_MODULE": "config.settings.api"}) as address:
            live = Live(address, cast.alice.text)
            assert live.get(f"/v1/decisions/{recorded['id']}") == alice.get(f"/v1/decisions/{recorded['id']}").json()
            assert live.get(f"/v1/decisions/{waiting['id']}") == waiting  # from its journal
            assert (
                live.get(f"/v1/invoices/{invoice.public_id}") == alice.get(f"/v1/invoices/{invoice.public_id}").json()
            )
            again = live.post(
                "/v1/decisions", HONEST | {"transaction": HONEST["transaction"] | {"transaction_id": "t2"}}
            )
            assert (again["id"], again["status"]) == (waiting["id"], "duplicate")
            with recording(there):
                until(lambda: live.ready()["journal_entries"] == 0)
        assert manage(there, "reconcile").strip().endswith("The books agree.")
        assert "Whole:" in manage(there, "audit_verify")
        assert "webhookendpoint: 1 rows" in manage(there, "reseal").lower().replace("notifications.", "")
        with pytest.raises(AssertionError, match="There are tenants here already"):
            manage(there, "restore", str(file))


class Live:
    """A caller over HTTP."""

    def __init__(self, address: str, key: str) -> None:
        self.address, self.key = address, key

    def get(self, path: str) -> Any:
        return self._call(path)

    def post(self, path: str, body: Any) -> Any:
        return self._call(path, json.dumps(body).encode())

    def ready(self) -> Any:
        return self._call("/ready")

    def _call(self, path: str, data: bytes | None = None) -> Any:
        import urllib.request

        said = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        asked = urllib.request.Request(self.address + path, data, said)
        with urllib.request.urlopen(asked, timeout=within(20)) as answer:
            return json.load(answer)


@contextmanager
def recording(environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "manage.py", "record"], env=environment, cwd=embedded.CHECKOUT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(within(20))


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + within(60)
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def checksums(*, of: Tenant | None = None) -> dict[str, str]:
    """A digest of each table's rows: of one tenant, else of all others' and the installation's."""
    found = {}
    with connection.cursor() as cursor:
        for model in tenant_rows.carried():
            if of is not None:
                found[model._meta.label] = hashlib.sha256(b"".join(tenant_rows.rows(model, of))).hexdigest()
        schemas = (
            [of.schema_name] if of else list(Tenant.objects.exclude(slug="dora").values_list("schema_name", flat=True))
        )
        cursor.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%s)", [schemas])
        for schema, table in cursor.fetchall():
            named = sql.Identifier(schema, table)
            cursor.execute(sql.SQL("SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} t").format(named))
            found[f"{schema}.{table}"] = str(cursor.fetchone()[0])
    if of is None:
        for one in Tenant.objects.exclude(slug="dora"):
            found |= {f"{one.slug} {name}": value for name, value in checksums(of=one).items()}
    return found


def remove_without_a_trace(tenant: Tenant) -> None:
    """As if it had never been here: what no service of ours can do."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for model in reversed(tenant_rows.carried()):
            if model not in (*tenant_rows.SHARED,):
                ids = list(tenant_rows.rows_of(model, tenant).values_list("pk", flat=True))
                table, key = sql.Identifier(model._meta.db_table), sql.Identifier(model._meta.pk.column)
                cursor.execute(sql.SQL("DELETE FROM {} WHERE {} = ANY(%s)").format(table, key), [ids])
        cursor.execute(f"DROP SCHEMA {tenant.schema_name} CASCADE")


@pytest.fixture
def dora(cast: Cast, drain: Callable[[], int]) -> Api:
    """A tenant with a decision that is recorded, one that is not, an owner, a webhook and an invoice."""
    dora = Api(enter("dora", "professional"))
    now = timezone.now()
    add_owner(tenant=dora.tenant, email="dora@example.com", now=now)
    create_webhook(tenant=dora.tenant, livemode=True, url="https://example.com/", now=now)
    assert dora.player
    invoice_of(dora.player)
    score(dora, 1)
    drain()
    score(dora, 2)
    return dora


def test_one_tenant_returns_and_no_other_is_touched(
    dora: Api, bob: Api, drain: Callable[[], int], valkey: Valkey, tmp_path: Path
) -> None:
    tenant, decisions = dora.tenant, dora.get("/v1/decisions").json()
    score(bob, 9)
    file = making.keep(tmp_path, valkey, timezone.now(), tenant=tenant)
    its, others = checksums(of=tenant), checksums()
    remove_without_a_trace(tenant)
    valkey.command("FLUSHDB")
    assert dora.get("/v1/decisions").status_code == 401
    call_command("restore", str(file))
    entry = AuditEntry.objects.get(action="backup.restored")
    assert (entry.chain, entry.target) == (tenant.pk, "dora")
    now_its = checksums(of=tenant)
    assert {name for name in its if its[name] != now_its[name]} == {"accounts.AuditEntry", "accounts.AuditChain"}
    assert checksums() == others
    assert dora.get("/v1/decisions").json() == decisions
    assert drain() == 1  # dora's own: bob's went with the server's memory
    assert {row.transaction_id for row in decisions_of(tenant)} == {"t1", "t2"}
    assert UsageEvent.objects.filter(tenant_id=tenant.pk).count() == 2
    assert list(audit_chain.faults({})) == []
    assert score(dora, 3)["status"] == "new"


def decisions_of(tenant: Tenant) -> list[Decision]:
    from apps.accounts.tenancy import in_tenant

    with in_tenant(tenant):
        return list(Decision.objects.all())


def test_tenant_that_is_here_is_not_restored_over(dora: Api, valkey: Valkey, tmp_path: Path) -> None:
    file = making.keep(tmp_path, valkey, timezone.now(), tenant=dora.tenant)
    before = checksums(of=dora.tenant), checksums()
    with pytest.raises(CommandError, match="It is here already"):
        call_command("restore", str(file))
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER SCHEMA {dora.tenant.schema_name} RENAME TO t_away00")
        try:
            with pytest.raises(CommandError, match="an id of its rows is taken"):
                call_command("restore", str(file))
        finally:
            cursor.execute(f"DROP SCHEMA IF EXISTS {dora.tenant.schema_name} CASCADE")
            cursor.execute(f"ALTER SCHEMA t_away00 RENAME TO {dora.tenant.schema_name}")
    assert (checksums(of=dora.tenant), checksums()) == before


def test_person_who_is_here_already_is_the_same(dora: Api, valkey: Valkey, tmp_path: Path) -> None:
    file = making.keep(tmp_path, valkey, timezone.now(), tenant=dora.tenant)
    remove_without_a_trace(dora.tenant)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_user SET id = id + 1000, email = 'Dora@example.com' WHERE email LIKE 'dora@%%'")
    with file.open("rb") as raw:
        restoring.restore(raw, valkey, get_gate(), timezone.now())
    owner = Tenant.objects.get(slug="dora").membership_set.get()
    assert owner.user.email == "Dora@example.com"


def test_other_secrets_or_a_damaged_file_restore_nothing(
    dora: Api, valkey: Valkey, tmp_path: Path, settings: Any
) -> None:
    file = making.keep(tmp_path, valkey, timezone.now(), tenant=dora.tenant)
    remove_without_a_trace(dora.tenant)
    settings.SEALING_KEYS = ["another sealing key of at least 32 bytes"]
    with pytest.raises(CommandError, match="made under other secrets"):
        call_command("restore", str(file))
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(CommandError, match=r"It ends too early|It was changed or cut off"):
        call_command("restore", str(file))
    assert not Tenant.objects.filter(slug="dora").exists()


def test_secrets_are_shown_to_whoever_has_the_key(dora: Api, valkey: Valkey, tmp_path: Path, capsys: Any) -> None:
    file = making.keep(tmp_path, valkey, timezone.now(), tenant=dora.tenant)
    call_command("restore", str(file), "--secrets")
    assert f"PALISADE_KEY_PEPPER={settings.KEY_PEPPER}" in capsys.readouterr().out
    assert settings.KEY_PEPPER.encode() not in file.read_bytes()


def test_backups_are_made_each_night_and_go_when_their_time_is_over(
    cast: Cast, valkey: Valkey, tmp_path: Path, settings: Any
) -> None:
    assert tasks.back_up() == ""
    settings.BACKUP_DIR, settings.BACKUP_DAYS = str(tmp_path), 0
    first = tasks.back_up()
    time.sleep(1.1)  # a name a second
    second = tasks.back_up()
    assert [path.name for path in tmp_path.iterdir()] == [second]
    assert Backup.objects.exclude(removed_at=None).get().file.endswith(first)


def test_backup_that_fails_is_noted_and_leaves_nothing(
    cast: Cast, valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "PGOPTIONS", "-c no_such_setting=1")
    with pytest.raises(Exception, match="pg_dump"):
        making.keep(tmp_path, valkey, timezone.now())
    assert "no_such_setting" in Backup.objects.get().trouble
    assert list(tmp_path.iterdir()) == []
