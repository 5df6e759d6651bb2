"""Probes of real parts: what is there, what is not, what hangs; and the process as the Procfile starts it."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from django.test import override_settings
from django.utils import timezone

from apps.sla import failures, probes
from apps.sla.aside import Aside, Late
from apps.sla.models import FailedMinute, PartState
from apps.usage.admission.admission import get_admissions
from apps.usage.metering.journal import STREAMS, Journal
from apps.valkey import Valkey
from config.local.embedded import CHECKOUT
from tests.api.bodies import HONEST
from tests.cast import Api, Player
from tests.faces import as_the_api
from tests.live import environment_of
from tests.pace import within

pytestmark = pytest.mark.django_db(transaction=True)


def found(part: str) -> bool | None:
    return probes.look(part, 0).up


def test_stores_that_answer_are_up(flush: None) -> None:
    assert (found("postgres"), found("valkey"), found("recorder"), found("stripe")) == (True, True, True, None)


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_doors_that_answer_nothing_are_down(nobody: str) -> None:
    with override_settings(API_INSIDE_URL=nobody, PORTAL_INSIDE_URL=nobody):
        assert (found("api"), found("portal")) == (False, False)


@pytest.mark.parametrize(
    ("silent", "waiting", "worker", "beat"),
    [(None, 0, None, None), (5, 0, True, True), (5, 3, True, True), (90, 3, False, None), (90, 0, None, False)],
)
def test_the_worker_is_told_from_the_schedule_by_what_waits(
    valkey: Valkey, silent: int | None, waiting: int, worker: bool | None, beat: bool | None
) -> None:
    if silent is not None:
        probes.say_pulse(time.time() - silent)
    for _ in range(waiting):
        valkey.command("LPUSH", probes.WAITING, "task")
    assert (found("worker"), found("beat")) == (worker, beat)


def test_a_recorder_that_is_behind_is_down(valkey: Valkey) -> None:
    Journal(valkey).prepare()
    valkey.command("XADD", STREAMS[0], f"{int((time.time() - 120) * 1000)}-0", "e", "x")
    assert found("recorder") is False


def test_what_hangs_is_late_and_nothing_is_begun_beside_it() -> None:
    aside, over = Aside(0.05), threading.Event()
    with pytest.raises(Late, match="no answer"):
        aside.do(lambda: over.wait(within(10)))
    with pytest.raises(Late, match="still hangs"):
        aside.do(lambda: None)
    over.set()
    deadline = time.monotonic() + within(10)
    while time.monotonic() < deadline:
        try:
            assert aside.do(lambda: 7) == 7
            break
        except Late:
            time.sleep(0.01)
    with pytest.raises(ZeroDivisionError):
        aside.do(lambda: 1 // 0)


def test_a_call_for_scoring_that_fails_is_counted_in_its_minute(dora: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_admissions().gate, "journal_limit", 0)
    with as_the_api():
        callers = (Api(dora), Api(dora), Api(dora).in_test_mode())
        assert [caller.post("/v1/decisions", HONEST).status_code for caller in callers] == [503, 503, 503]
        assert Api(dora).post("/v1/decisions", {}).status_code == 422
    failures.keep(timezone.now())
    assert sum(row.counted for row in FailedMinute.objects.filter(tenant_id=dora.tenant.pk)) == 2


def test_the_process_probes_and_stops_when_told() -> None:
    line = [sys.executable, "manage.py", "probe"]
    process = subprocess.Popen(line, cwd=CHECKOUT, env=environment_of("config.settings.portal"))
    try:
        deadline = time.monotonic() + within(60)
        while not PartState.objects.filter(part="postgres", up=True).exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(within(30)) == 0
