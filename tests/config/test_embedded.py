"""The embedded servers: real ones, in a folder of the test's own."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import environ
import psycopg
import pytest
import redis

from config.local import embedded
from config.local.embedded import Unavailable
from config.local.secrets import secret
from config.local.servers import Server
from tests.pace import within
from tests.together import together

HOLD = "import sys; from config.local import embedded as e\nwith e.running(): print('in', flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def own_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PALISADE_DATA", str(tmp_path / "data"))
    yield
    for server in embedded.servers():
        server.stop()


def connect() -> psycopg.Connection:
    where = environ.Env.db_url_config(embedded.database_url())
    return psycopg.connect(host=where["HOST"], dbname=where["NAME"], user=where["USER"], autocommit=True)


def valkey() -> redis.Redis:
    return redis.Redis.from_url(embedded.redis_url())


def alive() -> list[bool]:
    return [server.alive() for server in embedded.servers()]


def another_user() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=embedded.CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "in\n"
    return process


def test_data_written_inside_running_is_there_the_next_time_and_nothing_runs_in_between() -> None:
    with embedded.running():
        connect().execute("CREATE TABLE kept AS SELECT 7 AS number")
        valkey().set("kept", 7)
    assert alive() == [False, False]
    with embedded.running():
        assert connect().execute("SELECT number FROM kept").fetchone() == (7,)
        assert valkey().get("kept") == b"7"


def test_servers_speak_on_unix_sockets_only() -> None:
    with embedded.running():
        assert connect().execute("SHOW listen_addresses").fetchone() == ("",)
        assert valkey().config_get("port") == {"port": "0"}
        assert stat.S_IMODE(embedded.postgres().sockets.stat().st_mode) == 0o700


def test_leaving_while_another_process_is_inside_keeps_the_servers_and_the_last_one_stops_them() -> None:
    with embedded.running():
        other = another_user()
    assert alive() == [True, True]
    other.communicate("")
    assert alive() == [False, False]


def test_a_command_told_to_end_before_it_listens_to_that_stops_the_servers() -> None:
    """As the recorder's is while it is loaded, when `make up` is killed by force."""
    sleep = "import time; print('in', flush=True); time.sleep(600)"
    command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", sleep]
    for number in (signal.SIGTERM, signal.SIGHUP):
        process = subprocess.Popen(command, cwd=embedded.CHECKOUT, stdout=subprocess.PIPE, text=True)
        assert process.stdout and process.stdout.readline() == "in\n"
        process.send_signal(number)
        process.communicate(timeout=within(60))
        assert (process.returncode, alive()) == (128 + number, [False, False])


def test_servers_of_a_user_killed_by_force_are_adopted_by_the_next_and_then_stopped() -> None:
    killed = another_user()
    left_behind = embedded.postgres().pid()
    killed.kill()
    killed.communicate(timeout=within(30))
    with embedded.running():
        assert embedded.postgres().pid() == left_behind
    assert alive() == [False, False]


def test_servers_killed_by_force_come_back_with_their_data() -> None:
    with embedded.running():
        connect().execute("CREATE TABLE kept AS SELECT 7 AS number")
        valkey().set("kept", 7)
        for server in embedded.servers():
            os.kill(server.pid() or 0, signal.SIGKILL)
        with embedded.running():
            assert connect().execute("SELECT number FROM kept").fetchone() == (7,)
            assert valkey().get("kept") == b"7"


def test_lock_file_naming_a_foreign_process_does_not_keep_postgres_from_starting() -> None:
    """After a restart of the machine the number in it may be anybody's: here it is pytest's own parent's."""
    with embedded.running():
        pass
    stale = embedded.postgres().data / "postmaster.pid"
    stale.write_text(f"{os.getppid()}\n{stale.parent}\n{int(time.time())}\n5432\n\n\n")
    with embedded.running():
        assert connect().execute("SELECT 1").fetchone() == (1,)


def test_postgres_has_pages_by_the_memory_there_is() -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    with embedded.running():
        said = connect().execute("SELECT setting::int * 8 / 1024 FROM pg_settings WHERE name = 'shared_buffers'")
        (found,) = said.fetchone() or (0,)
    assert found == 256 or 256 < found <= min(1024, memory / 16)


def test_first_start_cut_short_leaves_nothing_half_made() -> None:
    half = embedded.data_dir() / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with embedded.running():
        assert connect().execute("SELECT 1").fetchone() == (1,)
    assert not half.exists()


def test_many_starting_at_once_get_one_server() -> None:
    others = together(4, lambda _: another_user())
    for other in others:
        other.communicate("", within(30))
    assert alive() == [False, False]
    assert (embedded.data_dir() / "logs" / "valkey.log").read_text().count("Ready to accept connections") == 1


@pytest.mark.parametrize("make", [embedded.valkey, embedded.postgres])
def test_a_server_that_does_not_listen_yet_is_not_spawned_again_and_is_stopped(make: Callable[[], Server]) -> None:
    with embedded.running():
        pass
    revived = [make() for _ in range(5)]  # as many processes, each with an eye of its own on the server
    deadline = time.monotonic() + within(5)
    while not any(server._child for server in revived):  # the last one's lock may outlive it by a moment
        assert time.monotonic() < deadline
        for server in revived:
            server.revive()
    spawned = [server for server in revived if server._child]
    assert len(spawned) == 1
    make().stop()
    assert spawned[0]._child and spawned[0]._child.poll() is not None


def test_servers_named_in_the_environment_are_used_and_none_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@db/x")
    monkeypatch.setenv("REDIS_URL", "redis://cache:6379/0")
    with embedded.running():
        assert embedded.database_url() == "postgresql://u@db/x"
    assert not embedded.data_dir().exists()


def test_socket_folder_open_to_others_is_refused_with_a_sentence() -> None:
    folder = embedded.postgres().sockets
    folder.mkdir(mode=0o700)
    folder.chmod(0o777)
    with pytest.raises(Unavailable, match="open to others"), embedded.running():
        pass
    folder.rmdir()


def test_data_folder_that_cannot_be_made_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALISADE_DATA", "/proc/palisade")
    with pytest.raises(Unavailable, match="PALISADE_DATA"), embedded.running():
        pass


def test_secret_is_made_once_for_all_processes_and_kept_from_others() -> None:
    made = set(together(8, lambda _: secret("PALISADE_KEY_PEPPER")))
    assert len(made) == 1
    assert len(made.pop()) >= 48
    assert stat.S_IMODE((embedded.data_dir() / "secrets.json").stat().st_mode) == 0o600


def test_secret_in_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALISADE_KEY_PEPPER", "mine")
    assert secret("PALISADE_KEY_PEPPER") == "mine"
