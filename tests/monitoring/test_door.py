"""A process that serves nothing else tells what it counts, to operators alone, from a port of its own."""

import logging
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from django.test import override_settings

from apps.addresses import networks_of
from apps.monitoring.door import open_door
from tests.cast import Cast
from tests.live import free_port
from tests.monitoring.house import process, until
from tests.pace import within


def asked(port: int, path: str = "/metrics", **headers: str) -> tuple[int, str]:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=said)
    try:
        with urllib.request.urlopen(request, timeout=within(5)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()
    except OSError:
        return 0, ""


@pytest.mark.django_db(transaction=True)
def test_a_recorder_of_its_own_tells_what_it_counts(cast: Cast) -> None:
    port = free_port()
    with process([sys.executable, "manage.py", "record"], {"PALISADE_METRICS_PORT": str(port)}):
        until(lambda: "palisade_recorder_lag_seconds" in asked(port)[1])
        assert "palisade_recorded_total 0.0" in asked(port)[1]
        assert asked(port, "/") == (404, "")


@pytest.fixture(scope="module")
def door() -> Iterator[int]:
    """A door of this process."""
    port = free_port()
    server = open_door("127.0.0.1", port)
    assert server is not None
    yield port
    server.shutdown()
    server.server_close()


def test_only_operators_are_told(door: int) -> None:
    assert asked(door, "/metrics/")[0] == 200
    with override_settings(OPERATOR_NETWORKS=networks_of(["10.0.0.0/8"]), METRICS_TOKEN="a token of ours"):
        assert asked(door) == (404, "")
        assert asked(door, Authorization="Bearer another") == (404, "")
        assert asked(door, Authorization="Bearer a token of ours")[0] == 200
    assert asked(door, X_Forwarded_For="203.0.113.5") == (404, "")


def test_a_port_that_is_taken_is_said_and_stops_nothing(door: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert open_door("127.0.0.1", door) is None
    assert "can't be answered" in caplog.text
