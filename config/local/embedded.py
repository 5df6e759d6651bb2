"""Embedded servers: this checkout's own PostgreSQL and Valkey, unless the environment names others.

With `DATABASE_URL` / `REDIS_URL` unset, `running()` starts the missing ones from wheels and keeps their data in
`PALISADE_DATA` (default `.palisade`). Any number of processes may be inside `running()` at once: each holds a shared
lock on `servers.lock`, the first starts the servers, the last one out stops them. The kernel drops a killed process's
lock, so nothing needs counting or cleaning up; servers left behind by `kill -9` are adopted by the next one in.
Imports no Django.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from config.local.secret_files import read_secret_files
from config.local.servers import Postgres, Server, Unavailable, Valkey

__all__ = ["Unavailable", "data_dir", "database_url", "postgres", "redis_url", "running", "valkey"]

CHECKOUT = Path(__file__).resolve().parents[2]
read_secret_files()


def data_dir() -> Path:
    return Path(os.environ.get("PALISADE_DATA") or CHECKOUT / ".palisade").expanduser().resolve()


def database_url() -> str:
    """In the form `environ.Env.db_url_config` reads as HOST = the socket's folder."""
    return os.environ.get("DATABASE_URL") or f"postgresql://palisade@/{_socket_dir()}/palisade"


def redis_url() -> str:
    return os.environ.get("REDIS_URL") or f"unix://{valkey().address}?db=0"


@contextmanager
def running() -> Iterator[None]:
    """The servers answer inside this block. Raises `Unavailable` with a sentence when they can't."""
    if not servers():
        yield
        return
    make_folder(data_dir())
    _make_socket_folder(_socket_dir())
    with _user_of_the_servers():
        yield


def postgres() -> Postgres:
    return Postgres(data_dir() / "postgres", _socket_dir(), data_dir() / "logs" / "postgres.log")


def valkey() -> Valkey:
    return Valkey(data_dir() / "valkey", _socket_dir(), data_dir() / "logs" / "valkey.log")


def servers() -> list[Server]:
    """The embedded servers this environment asks for."""
    needed: list[Server] = []
    if not os.environ.get("DATABASE_URL"):
        needed.append(postgres())
    if not os.environ.get("REDIS_URL"):
        needed.append(valkey())
    return needed


def revive(server: Server) -> None:
    """Spawn a server that died under its users, unless somebody is at it already; returns at once."""
    with suppress(BlockingIOError), _nobody_else_starts_or_stops(fcntl.LOCK_EX | fcntl.LOCK_NB):
        server.revive()


@contextmanager
def _user_of_the_servers() -> Iterator[None]:
    """Hold the shared lock; on leaving try to make it exclusive, which only the last user can."""
    descriptor = _open_lock("servers.lock")
    process = os.getpid()
    try:
        with _nobody_else_starts_or_stops():
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            wanted = servers()
            for server in wanted:
                _spawn(server)
            for server in wanted:
                server.start()
        yield
    finally:
        if os.getpid() == process:  # a forked child shares our lock and must not give it up
            _leave(descriptor)


def _leave(descriptor: int) -> None:
    try:
        with _nobody_else_starts_or_stops():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for server in servers():
                server.stop()
            with suppress(OSError):
                _socket_dir().rmdir()
    except BlockingIOError:
        pass  # somebody else still uses them
    finally:
        os.close(descriptor)


@contextmanager
def _nobody_else_starts_or_stops(how: int = fcntl.LOCK_EX) -> Iterator[None]:
    descriptor = _open_lock("starting.lock")
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _open_lock(name: str) -> int:
    """Close-on-exec, as Python opens everything: a child must not keep the lock after us."""
    return os.open(data_dir() / name, os.O_RDWR | os.O_CREAT, 0o600)


def _spawn(server: Server) -> None:
    """Let it begin while the others do; it is waited for afterwards."""
    make_folder(server.log.parent)
    _make_socket_folder(server.sockets)
    server.revive()


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as trouble:
        raise Unavailable(f"The folder {folder} can't be made: {trouble.strerror}. {_ELSEWHERE}") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise Unavailable(f"The folder {folder} is closed to user id {os.geteuid()}. {_ELSEWHERE}")


def _make_socket_folder(folder: Path) -> None:
    """Ours alone: in /tmp anybody could have made it before us, to listen in our servers' place."""
    make_folder(folder)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise Unavailable(f"The folder {folder} belongs to somebody else or is open to others: look, then remove it.")


_ELSEWHERE = "Set PALISADE_DATA to a folder of your own."


def _socket_dir() -> Path:
    """Short, because a socket's path ends at 107 bytes, and the same for every process whatever its TMPDIR."""
    digest = hashlib.sha256(os.fsencode(data_dir())).hexdigest()[:12]
    return Path(f"/tmp/palisade-{os.geteuid()}-{digest}")  # noqa: S108 - refused when it isn't ours
