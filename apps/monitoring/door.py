"""/metrics of a process that serves nothing else: recorder, courier, workers, streams, where each has a machine or a
container of its own (PALISADE_METRICS_PORT). It tells what is counted there; the API's tells all the rest.
"""

import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from apps.monitoring.exposition import CONTENT_TYPE, counted
from apps.monitoring.operators import asks_an_operator

log = logging.getLogger(__name__)


class Door(BaseHTTPRequestHandler):
    """GET /metrics, for operators; for all else there is nothing here."""

    timeout = 5  # seconds a client may take to say what it wants

    def do_GET(self) -> None:
        meta = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}
        meta["REMOTE_ADDR"] = str(self.client_address[0])
        is_here = self.path.rstrip("/") == "/metrics" and asks_an_operator(meta)
        body = counted() if is_here else b""
        self.send_response(200 if is_here else 404)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: a line a look would be all there is to read."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True


def open_door(host: str, port: int) -> ThreadingHTTPServer | None:
    """Answer from a thread, until the process ends. A port that another has is said, and no reason to stop: None."""
    try:
        server = _Server((host, port), Door)
    except OSError as taken:
        log.warning("/metrics can't be answered at %s:%d: %s", host, port, taken)
        return None
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
