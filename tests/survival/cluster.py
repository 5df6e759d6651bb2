"""A Valkey Cluster of the wheel's own program on 127.0.0.1: three primaries, a replica each."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.cluster import key_slot
from redis.exceptions import ResponseError

from apps.valkey import Away, Valkey
from config.local import embedded
from tests.live import free_port
from tests.pace import within
from tests.survival.machines import until

PRIMARIES = 3
#: When a primary that is silent so long is taken for dead.
NODE_TIMEOUT_MS = 1_500
#: As docs/operations.md says a cluster is to be set.
CONFIGURATION = """
bind 127.0.0.1
port {port}
cluster-port {bus}
cluster-enabled yes
cluster-node-timeout {timeout}
cluster-require-full-coverage no
cluster-replica-validity-factor 0
repl-diskless-sync-delay 0
dir {folder}
save ""
appendonly no
maxmemory-policy noeviction
logfile log
"""


@dataclass
class Node:
    """One server of it."""

    port: int
    bus: int
    process: "subprocess.Popen[bytes]"
    valkey: Valkey

    def command(self, *arguments: Any) -> Any:
        return self.valkey.command(*arguments)

    def facts(self, section: str) -> dict[str, str]:
        lines = self.command("INFO" if section != "cluster" else "CLUSTER", section if section != "cluster" else "INFO")
        return dict(line.split(":", 1) for line in lines.decode().splitlines() if ":" in line)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(within(10))


@dataclass
class Nodes:
    """All of it: the primaries as they were made, and their replicas in the same order."""

    primaries: Sequence[Node]
    replicas: Sequence[Node]

    @property
    def url(self) -> str:
        return "valkey+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.primaries)

    def primary_of(self, key: str) -> int:
        """Which of the primaries, as they were made, has the key."""
        return key_slot(key.encode()) * PRIMARIES // 16_384


@contextmanager
def cluster() -> Iterator[Nodes]:
    """Made, joined and whole; killed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="palisade-cluster-"))
    nodes = [_begun(folder / str(number)) for number in range(2 * PRIMARIES)]
    try:
        made = Nodes(nodes[:PRIMARIES], nodes[PRIMARIES:])
        _join(made)
        yield made
    finally:
        for node in nodes:
            node.kill()
        shutil.rmtree(folder)


def _begun(folder: Path) -> Node:
    folder.mkdir()
    port, bus = free_port(), free_port()
    file = folder / "valkey.conf"
    file.write_text(CONFIGURATION.format(port=port, bus=bus, timeout=NODE_TIMEOUT_MS, folder=folder))
    process = subprocess.Popen([embedded.valkey().command()[0], file])
    node = Node(port, bus, process, Valkey(f"redis://127.0.0.1:{port}", within(2)))
    until(node.valkey.answers, "a node of the cluster does not answer")
    return node


def _join(made: Nodes) -> None:
    first, nodes = made.primaries[0], [*made.primaries, *made.replicas]
    for number, node in enumerate(nodes):
        node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        if node is not first:
            first.command("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
    for number, node in enumerate(made.primaries):
        begin, end = (-(-16_384 * turn // PRIMARIES) for turn in (number, number + 1))
        node.command("CLUSTER", "ADDSLOTSRANGE", begin, end - 1)
    until(lambda: all(_knows(node, len(nodes)) for node in nodes), "the nodes don't know one another")
    for primary, replica in zip(made.primaries, made.replicas, strict=True):
        replica.command("CLUSTER", "REPLICATE", primary.command("CLUSTER", "MYID"))
    until(lambda: all(_is_whole(node) for node in nodes), "the cluster is not whole")
    until(lambda: all(_follows(node) for node in made.replicas), "a replica does not follow")


def _knows(node: Node, others: int) -> bool:
    lines = node.command("CLUSTER", "NODES").decode().splitlines()
    return len(lines) == others and not any("handshake" in line or "noaddr" in line for line in lines)


def _is_whole(node: Node) -> bool:
    try:
        return node.facts("cluster")["cluster_state"] == "ok"
    except (Away, ResponseError):
        return False


def _follows(node: Node) -> bool:
    return node.facts("replication").get("master_link_status") == "up"
