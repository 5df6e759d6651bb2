"""Restarts under load, by the house's own servers: no request is lost, neither behind a balancer nor on one socket."""

import json
import signal
import socket
import urllib.error
import urllib.request

import pytest

from tests.cast import Cast, enter
from tests.live import free_port
from tests.pace import within
from tests.rolling import Server, balancing, calling, running, some_more, troubles, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def key(cast: Cast) -> str:
    """Of a tenant that no rate limit stops."""
    return enter("roller", "enterprise", rate_per_minute=1_000_000).text


def test_restart_behind_a_balancer_loses_no_request(key: str) -> None:
    first, second = Server(free_port(), drain=3), Server(free_port(), drain=3)
    with running(first, second), balancing([first, second]) as where, calling(key, where) as clients:
        some_more(clients)
        first.process.send_signal(signal.SIGTERM)
        until(lambda: where() == [second.port])
        with pytest.raises(urllib.error.HTTPError) as refused:  # it says so before it stops
            urllib.request.urlopen(f"http://127.0.0.1:{first.port}/ready", timeout=within(5))
        with refused.value as answer:
            assert (answer.code, json.load(answer)) == (503, {"status": "stopping"})
        first.process.wait(within(30))
        some_more(clients)
        first.start()
        until(lambda: len(where()) == 2)
        some_more(clients)
    assert troubles(clients) == []


def test_restart_on_a_socket_that_stays_open_loses_no_request(key: str) -> None:
    """As systemd's socket units do it: what knocks meanwhile waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as held:
        server = Server(held.getsockname()[1], held)
        with running(server), calling(key, lambda: [server.port]) as clients:
            some_more(clients)
            server.restart()
            some_more(clients)
    assert troubles(clients) == []
