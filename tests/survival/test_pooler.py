"""Postgres behind Debian's pgbouncer, which lends its two connections for one transaction at a time to many clients."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, connections, transaction

from apps import binary_copy
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.batches.locks import alone_with
from apps.scoring.models import Decision
from apps.usage.models import UsageEvent
from config.local.embedded import CHECKOUT
from config.local.servers import as_owner_of
from tests.api.bodies import HONEST
from tests.cast import Api, Cast
from tests.live import free_port
from tests.pace import within
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)

TOOLS = CHECKOUT / ".palisade" / "tools"  # deploy/fetch-tools brings it
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:{TOOLS / 'usr' / 'sbin'}")
LIBRARIES = TOOLS / "usr" / "lib" / "x86_64-linux-gnu"
CLIENTS, ROUNDS = 8, 40
CONFIGURATION = """
[databases]
{name} = host={socket} port=5432 user=palisade dbname={name}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
ignore_startup_parameters = extra_float_digits
"""


@pytest.fixture(scope="module")
def pooler(_before_any_transaction: None) -> Iterator[int]:
    """The port of one before the suite's database."""
    if PROGRAM is None:
        pytest.skip("pgbouncer is not there: deploy/fetch-tools fetches Debian's")
    socket = Path(str(connection.settings_dict["HOST"]))
    folder, port = Path(tempfile.mkdtemp(prefix="palisade-pooler-")), free_port()
    folder.chmod(0o755)  # it refuses to run as root
    shutil.copy(PROGRAM, folder / "pgbouncer")
    for library in LIBRARIES.glob("*.so*"):
        shutil.copy(library, folder)
    (folder / "pgbouncer.ini").write_text(
        CONFIGURATION.format(name=connection.settings_dict["NAME"], socket=socket, port=port)
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*as_owner_of(socket), folder / "pgbouncer", folder / "pgbouncer.ini"],
            env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
            stdout=log,
            stderr=log,
        )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(within(10))
        shutil.rmtree(folder)


@pytest.fixture
def pooled(pooler: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every connection of this process goes through it."""
    connections.close_all()
    for name, value in {"HOST": "127.0.0.1", "PORT": str(pooler), "POOLED": True}.items():
        monkeypatch.setitem(connection.settings_dict, name, value)
        monkeypatch.setitem(connections.settings["default"], name, value)
    deadline = time.monotonic() + within(10)
    while True:
        with suppress(DatabaseError):
            connection.ensure_connection()
            break
        assert time.monotonic() < deadline, "pgbouncer does not answer"
        time.sleep(0.05)
    yield
    connections.close_all()


def schema() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return str(cursor.fetchone()[0])


def alone() -> str:
    return schema()


def in_a_transaction() -> str:
    with transaction.atomic():
        return schema()


def after_a_savepoint_went_back() -> str:
    with transaction.atomic():
        with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        return schema()


def after_a_transaction_went_back() -> str:
    with suppress(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")
    return schema()


def of_another_within() -> str:
    with transaction.atomic():
        with in_tenant("public"):
            assert schema() == "public"
        return schema()


def of_several_statements() -> str:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE seen (a text, b text) ON COMMIT DROP")
        cursor.executemany("INSERT INTO seen VALUES (current_schema(), %s)", [["one"], ["50 %"]])
        cursor.execute("SELECT min(a), max(a), count(*) FROM seen")
        low, high, count = cursor.fetchone()
        assert (low, count) == (high, 2)
        return str(low)


def of_a_copy() -> str:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE came (a text, b text DEFAULT current_schema()) ON COMMIT DROP")
        binary_copy.copy_into(cursor, "came (a)", binary_copy.rows_of(["text"], [["x"]]))
        cursor.execute("SELECT b FROM came")
        return str(cursor.fetchone()[0])


def of_a_reading_in_pieces() -> str:
    with transaction.atomic():
        assert list(Decision.objects.iterator(2)) == []
        return schema()


WAYS: list[Callable[[], str]] = [
    alone, in_a_transaction, after_a_savepoint_went_back, after_a_transaction_went_back, of_another_within,
    of_several_statements, of_a_copy, of_a_reading_in_pieces,
]  # fmt: skip


def test_no_statement_ever_runs_in_anothers_schema(pooled: None, cast: Cast) -> None:
    tenants: list[Tenant | str] = [cast.alice.tenant, cast.bob.tenant, "public"]
    assert connection.pooled  # type: ignore[attr-defined]

    def client(number: int) -> int:
        held = 0
        for turn in range(ROUNDS):
            tenant, way = tenants[(number + turn) % 3], WAYS[(number * 3 + turn) % len(WAYS)]
            if way is of_a_reading_in_pieces and tenant == "public":
                continue  # it has no decisions
            with in_tenant(tenant):
                assert way() == (tenant if isinstance(tenant, str) else tenant.schema_name), way.__name__
            held += 1
        return held

    assert sum(together(CLIENTS, client)) > CLIENTS * ROUNDS * 0.9


def test_decisions_are_recorded_and_billed(pooled: None, cast: Cast, drain: Callable[[], int]) -> None:
    for player, times in ((cast.alice, 3), (cast.bob, 2)):
        for _ in range(times):
            assert Api(player).post("/v1/decisions", HONEST).status_code == 200
    assert drain() == 5
    for player, times in ((cast.alice, 3), (cast.bob, 2)):
        with in_tenant(player.tenant):
            assert Decision.objects.count() == times
        assert UsageEvent.objects.filter(tenant_id=player.tenant.pk).count() == times


def test_a_lock_has_one_holder_and_is_free_after_it(pooled: None) -> None:
    with alone_with("x") as mine, alone_with("x") as also:
        assert (mine, also) == (True, False)
    with alone_with("x") as mine:
        assert mine
