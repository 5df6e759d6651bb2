"""Analytics are read from a streaming replica of the suite's Postgres, and from the primary while it is away."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection, connections

from apps.analytics import replica
from config.local import embedded
from config.local.servers import Postgres, as_owner_of
from tests.api.bodies import HONEST
from tests.cast import Api
from tests.pace import within
from tests.survival.machines import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def server(_before_any_transaction: None) -> Iterator[Postgres]:
    """A copy of the primary that follows it."""
    if not embedded.servers():
        pytest.skip("copies the embedded PostgreSQL")
    primary, folder = embedded.postgres(), Path(tempfile.mkdtemp(prefix="palisade-replica-"))
    shutil.chown(folder, primary.data.stat().st_uid, primary.data.stat().st_gid)
    program = next(part for part in map(Path, primary.command()) if part.name == "postgres").with_name("pg_basebackup")
    said = ["--pgdata", folder / "data", "--host", primary.sockets, "--username", "palisade", "--checkpoint=fast"]
    owner = as_owner_of(primary.data)
    subprocess.run([*owner, program, *said, "--write-recovery-conf"], cwd="/", check=True, timeout=within(60))
    made = Postgres(folder / "data", folder, folder / "log")
    made.start()
    yield made
    connections.close_all()
    made.stop()
    shutil.rmtree(folder)


@pytest.fixture
def following(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    """The settings name it."""
    named = {**connections.settings["default"], "HOST": str(server.sockets), "NAME": connection.settings_dict["NAME"]}
    monkeypatch.setitem(connections.settings, replica.REPLICA, named)
    monkeypatch.setattr(replica, "_away_until", 0.0)
    monkeypatch.setattr(connections[replica.REPLICA], "ensure_connection", connected, raising=False)
    yield server
    connections[replica.REPLICA].close()
    del connections[replica.REPLICA]


def connected() -> None:
    """As Django does it where it is not told by its tests that they have one database."""
    there = connections[replica.REPLICA]
    if there.connection is None:
        with there.wrap_database_errors:
            there.connect()


def reads(store: str) -> float:
    return replica.READS.labels(store)._value.get()


def decisions(api: Api) -> int:
    return int(api.get("/v1/analytics/trends?days=2").json()["decisions"])


def on_the_replica(sql: str) -> object:
    with connections[replica.REPLICA].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def caught_up() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn()::text")
        return bool(on_the_replica(f"SELECT pg_last_wal_replay_lsn() >= '{cursor.fetchone()[0]}'::pg_lsn"))


def test_analytics_are_read_from_the_replica_and_from_the_primary_while_it_is_away(
    following: Postgres, alice: Api, drain: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = reads("replica")
    alice.post("/v1/decisions", HONEST)
    drain()
    seconds = until(caught_up, "the replica does not follow")
    assert decisions(alice) == 1
    assert reads("replica") > before

    on_the_replica("SELECT pg_wal_replay_pause()::text")
    alice.post("/v1/decisions", HONEST | {"transaction": HONEST["transaction"] | {"amount": 11.0}})
    drain()
    assert decisions(alice) == 1  # so it is really the replica that answers
    assert len(alice.get("/v1/decisions").json()["data"]) == 2  # all else is read from the primary

    following.stop()
    before = reads("postgres")
    assert decisions(alice) == 2
    assert reads("postgres") > before

    following.start()
    assert decisions(alice) == 2
    before = reads("replica")
    monkeypatch.setattr(replica, "_away_until", 0.0)  # its 5 s are over
    until(caught_up, "the replica does not follow")
    assert decisions(alice) == 2
    assert reads("replica") > before
    print(f"caught up after {seconds:.2f} s")


def test_nothing_can_be_written_there(following: Postgres, alice: Api) -> None:
    with replica.reading_in(alice.tenant.schema_name) as there, there.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery(), current_schema()")
        assert cursor.fetchone() == (True, alice.tenant.schema_name)


def test_without_one_the_primary_is_read(alice: Api) -> None:
    before = reads("postgres")
    assert decisions(alice) == 0
    assert reads("postgres") > before
