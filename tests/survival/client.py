"""A client as a careful customer writes it: one Idempotency-Key a transaction, repeated until it is answered."""

import http.client
import json
import time
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from tests.pace import within

#: Answers after which the same request is sent again.
AGAIN = {409, 429, 500, 502, 503, 504}


class Client:
    """One connection, opened again when it breaks."""

    def __init__(self, url: str, key: str) -> None:
        self.address = urlsplit(url)
        self.key = key
        self.connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """One attempt. Raises OSError or http.client.HTTPException when the connection breaks."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(
                self.address.hostname or "", self.address.port, timeout=within(20)
            )
        said = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self.connection.request("POST", path, json.dumps(body), said)
            answer = self.connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise

    def until_answered(self, path: str, body: Any, idempotency_key: str, stop: Event) -> dict[str, Any]:
        """The answer, whatever dies meanwhile; none is waited for once `stop` is set."""
        limit = time.monotonic() + within(120)
        while time.monotonic() < limit and not stop.is_set():
            try:
                status, _, answer = self.post(path, body, Idempotency_Key=idempotency_key)
            except (OSError, http.client.HTTPException):
                stop.wait(0.05)
                continue
            if status == 200:
                return json.loads(answer)
            if status not in AGAIN:
                raise AssertionError(f"{status}: {answer.decode()}")
            stop.wait(0.1)
        raise AssertionError(f"{idempotency_key} was never answered")
