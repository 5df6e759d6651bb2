"""A file scored by a server: sent to its `/v1/batches`, watched until it ends, its results fetched.

Sent under an Idempotency-Key: what breaks off on the way is sent again and is the same batch.
"""

import csv
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from uuid import uuid4

from apps.batches.local import Progress, Summary, format_of
from apps.batches.reading import RowProblem

#: Seconds between two looks, and until an answer counts as lost.
LOOK_SECONDS, TIMEOUT = 1.0, 60.0
#: How often what breaks off or is put off is asked once more, with so many seconds in between.
TRIES, AGAIN_SECONDS = 5, 2.0
AWAY = (502, 503, 504)
PAGE = 100


class Refused(ValueError):
    """The server says no, or the batch did not end well; the message is a sentence."""


class Wanted(NamedTuple):
    """What is to be scored, how, and where the results go."""

    file: Path
    out: Path
    schema: str
    model: str | None = None
    explain: str = "flagged"
    problems: Path | None = None


class Server(NamedTuple):
    """Where the API is, and the key to it; without one a server in demo mode takes whoever is on its machine."""

    address: str
    key: str = ""

    @contextmanager
    def asked(self, method: str, path: str, body: IO[bytes] | None = None, **headers: str) -> Iterator[HTTPResponse]:
        """The answer to a request. Raises `Refused`."""
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = Request(f"{self.address.rstrip('/')}{path}", body, headers, method=method)  # noqa: S310 - as told
        for left in reversed(range(TRIES)):
            try:
                answer = urlopen(request, timeout=TIMEOUT)  # noqa: S310 - an operator's own server
                break
            except HTTPError as refusal:
                if refusal.code not in (*AWAY, 429) or not left:
                    raise Refused(_said(refusal)) from refusal
            except (URLError, HTTPException, OSError) as failure:
                if not left:
                    raise Refused(f"{self.address} can't be reached: {failure}.") from failure
            time.sleep(AGAIN_SECONDS)
            if body is not None:
                body.seek(0)
        with answer:
            yield answer

    def read(self, path: str) -> dict[str, Any]:
        with self.asked("GET", path) as answer:
            return dict(json.load(answer))


def score_file(server: Server, wanted: Wanted, say: Callable[[Progress], None]) -> Summary:
    """Have a file scored and fetch its results. Raises `Refused`, `OSError`."""
    batch = _watched(server, _sent(server, wanted), say)
    with TemporaryDirectory(prefix="palisade-score-", dir=wanted.out.parent) as name:
        out, wrong = Path(name) / "results", Path(name) / "problems.csv"
        _fetch(server, batch, format_of(wanted.out) or "csv", out)
        count = _write_problems(server, batch, wrong)
        shutil.move(out, wanted.out)
        if wanted.problems is not None:
            shutil.move(wrong, wanted.problems)
    return Summary(batch["rows"]["done"], batch["rows"]["flagged"], count)


def _sent(server: Server, wanted: Wanted) -> str:
    """Send the file; the batch's id."""
    asked = {"schema": wanted.schema, "explain": wanted.explain} | ({"model": wanted.model} if wanted.model else {})
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(wanted.file.stat().st_size),
        "Idempotency-Key": uuid4().hex,
    }
    with (
        wanted.file.open("rb") as file,
        server.asked("POST", f"/v1/batches?{urlencode(asked)}", file, **headers) as answer,
    ):
        return str(json.load(answer)["id"])


def _watched(server: Server, batch_id: str, say: Callable[[Progress], None]) -> dict[str, Any]:
    """The batch once it is completed. Raises `Refused` when it stands still before."""
    began = time.monotonic()
    while True:
        batch = server.read(f"/v1/batches/{batch_id}")
        rows = batch["rows"]
        say(Progress("scored", rows["done"], rows["total"], time.monotonic() - began))
        if batch["state"] == "completed":
            return batch
        if batch["state"] not in ("queued", "running"):
            raise Refused(f"The batch {batch_id} is {batch['state']}. {batch['reason'] or ''}".strip())
        time.sleep(LOOK_SECONDS)


def _fetch(server: Server, batch: dict[str, Any], wanted: str, out: Path) -> None:
    """Write the results; a format that is not there yet is made meanwhile."""
    while True:
        with server.asked("GET", f"/v1/batches/{batch['id']}/results?format={wanted}") as answer:
            if answer.status == 200:
                with out.open("wb") as file:
                    shutil.copyfileobj(answer, file)
                return
        time.sleep(LOOK_SECONDS)


def _write_problems(server: Server, batch: dict[str, Any], path: Path) -> int:
    """Write what is wrong with which row, as a run on this machine does; how many problems there are."""
    count, asked = 0, {"limit": str(PAGE)}
    with path.open("w", newline="") as file:
        told = csv.writer(file, lineterminator="\n")
        told.writerow(RowProblem._fields)
        while True:
            page = server.read(f"/v1/batches/{batch['id']}/problems?{urlencode(asked)}")
            told.writerows([one["row"], one["column"], one["detail"], one["problem"]] for one in page["data"])
            count += len(page["data"])
            if not page["has_more"]:
                return count
            asked["cursor"] = page["next_cursor"]


def _said(refusal: HTTPError) -> str:
    """What a refusal says."""
    try:
        told = json.load(refusal)
        return f"{told['title']}. {told['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"The server answers {refusal.code}."
