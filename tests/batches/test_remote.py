"""`manage.py score` without --local: a real server scores the file, as a tenant's batch."""

import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.batches import remote, services
from apps.batches.models import Batch
from tests.batches.sent import HEADER, csv_of, rows, worked
from tests.cast import Cast
from tests.live import serving
from tests.pace import within


@pytest.fixture(scope="module")
def server(cast: Cast) -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def scored(server: str, cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Scores a file as bob, whose worker does `work` with the batch."""
    monkeypatch.setenv("PALISADE_API_KEY", cast.bob.text)
    monkeypatch.setattr(remote, "LOOK_SECONDS", 0.05)

    def run(content: bytes, out: str = "out.csv", work: Any = worked, **options: Any) -> Path:
        (tmp_path / "in.csv").write_bytes(content)
        worker = Thread(target=_work_on_all, args=(work,), daemon=True)
        worker.start()
        asked = {"schema": "paysim", "out": tmp_path / out, "server": server, **options}
        try:
            call_command("score", tmp_path / "in.csv", **asked)
        finally:
            worker.join(within(60))
        return tmp_path / out

    return run


def _work_on_all(work: Any) -> None:
    """Wait for a batch, and work on it until nothing more is asked of it."""
    waiting = Batch.objects.filter(assembled_at=None).exclude(state__in=("cancelled", "failed"))
    deadline = time.monotonic() + within(60)
    while time.monotonic() < deadline:
        sent = Batch.objects.exists()  # asked first: what is sent after it is looked at in the next round
        for batch in waiting.all():
            work(batch)
        if sent and not waiting.all().exists():
            break
        time.sleep(0.05)
    connection.close()


def test_results_and_problems_are_fetched(scored: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = (HEADER + rows(2) + "1,TRANSFER,much,C1,1,1,C2,0,0\n").encode()
    with pytest.raises(SystemExit) as ended:
        scored(broken, problems=tmp_path / "problems.csv")
    assert ended.value.code == 3
    assert "3 rows in" in capsys.readouterr().out
    assert len((tmp_path / "out.csv").read_bytes().splitlines()) == 4
    told = (tmp_path / "problems.csv").read_text().splitlines()
    assert (told[0], told[1].split(",")[:2], len(told)) == ("row,column,problem,kind", ["3", "amount"], 2)
    assert Batch.objects.get().units == 2


def test_a_batch_that_does_not_end_well_is_told(scored: Any) -> None:
    def cancel(batch: Batch) -> None:
        services.cancel_batch(batch=batch, now=batch.created_at, actor="key:1")

    with pytest.raises(CommandError, match=r"is cancelled"):
        scored(csv_of(3), work=cancel)


@pytest.mark.parametrize(
    ("options", "said"), [({}, "malformed"), ({"server": "http://127.0.0.1:1"}, "can't be reached")]
)
def test_what_is_refused_is_told(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], said: str
) -> None:
    monkeypatch.setenv("PALISADE_API_KEY", "pk_live_nobody")
    monkeypatch.setattr(remote, "AGAIN_SECONDS", 0.0)
    (tmp_path / "in.csv").write_bytes(csv_of(1))
    asked = {"schema": "paysim", "out": tmp_path / "out.csv", "server": server, **options}
    with pytest.raises(CommandError, match=said):
        call_command("score", tmp_path / "in.csv", **asked)
    assert not (tmp_path / "out.csv").exists()
