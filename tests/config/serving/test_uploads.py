"""Files on their way to the API: a slow sender is cut, a full disk is told; what came of either is forgotten."""

import time
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from config.serving import limits
from config.serving.limits import KILOBYTE
from tests.batches.sent import csv_of
from tests.cast import Api
from tests.config.serving.sockets import Peer
from tests.live import serving
from tests.pace import within

ADDRESS = "/v1/batches?schema=paysim"


def left_over() -> list[Path]:
    return list(Path(settings.BATCH_SCRATCH).glob("upload-*"))


def is_forgotten() -> bool:
    """Whether nothing of an upload is left, soon."""
    deadline = time.monotonic() + within(5)
    while left_over() and time.monotonic() < deadline:
        time.sleep(0.05)
    return not left_over()


def test_a_slow_sender_is_cut_and_holds_nobody_up(api: str, bob: Api) -> None:
    assert bob.player
    head = (
        f"POST {ADDRESS} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {bob.player.text}\r\n"
        f"Content-Type: text/csv\r\nContent-Length: {900 * KILOBYTE}\r\n\r\n"
    ).encode()
    with Peer(api) as slow, httpx.Client(base_url=api) as quick:
        slow.send(head + b"step,type\n" * 100)
        took = []
        for _ in range(20):
            began = time.monotonic()
            assert quick.get("/health").status_code == 200
            took.append(time.monotonic() - began)
        assert left_over()
        assert slow.answer().status == 408
    assert max(took) < within(limits.SECONDS / 2)
    assert is_forgotten()


@pytest.mark.parametrize("rows", [20, 20_000], ids=["that fits", "that does not"])
def test_a_full_disk_is_told_and_nothing_is_kept(bob: Api, rows: int) -> None:
    assert bob.player
    with serving(most_of_a_file=256 * KILOBYTE) as address, httpx.Client(base_url=address) as client:
        headers = {"X-API-Key": bob.player.text, "Content-Type": "text/csv"}
        answer = client.post(ADDRESS, content=csv_of(rows), headers=headers)
        fits = rows == 20
        assert (answer.status_code, answer.json().get("code")) == ((202, None) if fits else (507, "storage_full"))
    assert is_forgotten()
