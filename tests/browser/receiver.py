"""A customer's own server that takes webhooks and verifies them with the library of Standard Webhooks."""

import threading
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any

from standardwebhooks import Webhook

from tests.http_server import EndingServer


class Receiver:
    """Keeps what came: (id, event), once its signature was right."""

    def __init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.take(self.rfile.read(int(self.headers["Content-Length"])), dict(self.headers))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self._http = EndingServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/palisade"
        self.came: list[tuple[bytes, dict[str, str]]] = []

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        self.came.append((body, {name.lower(): value for name, value in headers.items()}))

    def verified(self, secret: str) -> list[str]:
        """The ids of what came, all of it signed with the secret."""
        for body, headers in self.came:
            Webhook(secret).verify(body, headers)
        return [headers["webhook-id"] for _, headers in self.came]
