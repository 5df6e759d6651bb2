"""One connection: its requests are received whole, answered one after the other, and held to their deadlines.

    idle ─► receiving ─► (refused: lingering ─► closed)
              │ whole
              ▼
            answering ─► sending ─► idle

A request that came in one piece goes straight to the application. One whose body is still on its way is first shown to
`Application.before_body`, which may refuse it by its head alone.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

import httptools
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from prometheus_client import Counter

from apps.errors import Problem
from config.serving import limits, messages, stopping
from config.serving.messages import Header, Malformed, Request
from config.serving.uploads import Upload

if TYPE_CHECKING:
    from config.serving.worker import Bodies, Worker

log = logging.getLogger(__name__)

CUT = Counter("palisade_connections_cut_total", "Connections refused or ended by us before an answer", ["reason"])


class Incoming(NamedTuple):
    """A request that is all there, and whether its connection may be used again."""

    request: Request
    keep_alive: bool


class Connection(asyncio.Protocol):
    """A client's connection to one worker."""

    transport: asyncio.Transport

    def __init__(self, worker: "Worker") -> None:
        self.worker = worker
        self.parser = httptools.HttpRequestParser(self)
        self.client, self.server = "", ("", "")
        self.since = time.monotonic()  # when the span began that is held to a deadline
        self.moved = 0  # bytes received in it, or those that were left to send at its beginning
        self.receiving = self.answering = self.sending = self.lingering = False
        self.refusal: Problem | HttpResponseBase | None = None  # nothing is heard any more, and why will be said
        self.request: Request | None = None  # the one whose head is there and whose body is not
        self.shown = False  # to `before_body`
        self.body: list[bytes] = []
        self.upload: Upload | None = None  # where the body goes instead
        self.began = 0.0
        self.held: tuple[bool, str] | None = None  # whose budget the body counts against
        self.size = 0
        self.waiting: deque[Incoming] = deque()
        self.writable = asyncio.Event()
        self.writable.set()
        self.heard_all = self.gone = False

    # --- the transport tells ------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.client = str(peer[0]) if isinstance(peer, tuple) else "127.0.0.1"
        self.server = (str(local[0]), str(local[1])) if isinstance(local, tuple) else ("localhost", "80")
        self.worker.connections.add(self)

    def connection_lost(self, failure: Exception | None) -> None:
        self.gone = True
        self.writable.set()
        self._forget_body()
        for incoming in self.waiting:
            incoming.request.forget_upload()
        self.worker.lost(self)

    def eof_received(self) -> bool:
        """Whether to stay: who has said all it wants may still be reading."""
        self.heard_all = True
        return (self.answering or self.sending) and not self.lingering

    def pause_writing(self) -> None:
        self.writable.clear()
        self.transport.pause_reading()  # who doesn't read answers is asked nothing more

    def resume_writing(self) -> None:
        self.writable.set()
        if not (self.waiting or self.transport.is_closing()):
            self.transport.resume_reading()
        self._answer_next()

    def data_received(self, data: bytes) -> None:
        if self.refusal is not None:
            self._linger(len(data))
            return
        if not self.receiving:
            self.receiving, self.since, self.moved = True, time.monotonic(), 0
        self.moved += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            if not (self.answering or self.waiting):  # nothing else is spoken here: the answer to it closes
                self.transport.close()
        except httptools.HttpParserError as wrong:
            self._refuse(Problem("request_malformed", f"{str(wrong) or 'It is not HTTP'}."))
        if self.refusal is not None or not self.receiving:
            return
        if self.request is not None and not self.shown:
            self._show_head()
        elif self.request is None and self.moved > limits.HEAD_BYTES:
            self._refuse(Problem("head_too_large"))

    # --- the parser tells ---------------------------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        self.receiving = self.refusal is None
        self.target, self.headers, self.head_bytes = b"", list[Header](), 0

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.head_bytes += len(name) + len(value)
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self.refusal is not None:
            return
        if self.head_bytes + len(self.target) > limits.HEAD_BYTES or len(self.headers) > limits.HEADERS:
            self._refuse(Problem("head_too_large"))
            return
        if self.parser.get_http_version() not in ("1.1", "1.0"):
            self._refuse(Problem("request_malformed", "This server speaks HTTP/1.1."))
            return
        method = self.parser.get_method().decode()
        try:
            self.request = Request(method, self.target, self.headers, self.client, self.server)
        except Malformed as wrong:
            self._refuse(Problem("request_malformed", str(wrong)))

    def on_body(self, data: bytes) -> None:
        if self.request is None:  # refused meanwhile
            return
        if self.upload is None:
            self.body.append(data)
        elif not self._written(data):
            return
        self.size += len(data)
        if self.size > self.worker.application.body_limit(self.request):
            self._refuse(Problem("body_too_large", f"The body has more than {self.size - 1:,} bytes."))
        elif self.held is not None and not self._budget().take(self.held, len(data)):
            self._refuse(Problem("bodies_waiting", retry_after=2.0))

    def on_message_complete(self) -> None:
        request = self.request
        if request is None:
            return
        if not self._hand_over(request):
            return
        keep_alive = self.parser.should_keep_alive() and not self.parser.should_upgrade()
        self._forget_body()
        self.receiving = False
        if len(self.waiting) == limits.PIPELINED:
            request.forget_upload()
            self._refuse(Problem("request_malformed", f"More than {limits.PIPELINED} requests were sent ahead."))
            return
        self.waiting.append(Incoming(request, keep_alive))
        self._answer_next()
        if self.waiting:
            self.transport.pause_reading()  # who sends ahead is heard again when that is answered

    # --- receiving ----------------------------------------------------------------------------------------------------
    def _show_head(self) -> None:
        """The body is still on its way: is it wanted?"""
        request, application = cast(Request, self.request), self.worker.application
        self.shown = True
        refusal = self.worker.call(application.before_body, request)
        if refusal is not None:
            self._refuse(refusal)
            return
        declared = int(request.META.get("CONTENT_LENGTH") or 0)
        if declared > application.body_limit(request):
            self._refuse(Problem("body_too_large", f"The body has {declared:,} bytes."))
            return
        sender = request.META.get("HTTP_AUTHORIZATION") or request.META.get("HTTP_X_API_KEY") or self.client
        self.held = (application.vouched_for(request), sender)
        if not self._begin_upload(request):
            return
        if not self._budget().take(self.held, self.size):
            self._refuse(Problem("bodies_waiting", retry_after=2.0))
        elif request.META.get("HTTP_EXPECT", "").lower() == "100-continue" and not self.answering:
            self.transport.write(messages.CONTINUE)

    def _begin_upload(self, request: Request) -> bool:
        """Let the body become a file, where it is wanted as one; what has come of it goes there, too."""
        folder = self.worker.application.uploads_to(request)
        if folder is None:
            return True
        self.began = time.monotonic()
        try:
            self.upload = Upload(folder)
        except OSError:
            self._refuse(Problem("storage_full"))
            return False
        body, self.body = b"".join(self.body), []
        return self._written(body)

    def _written(self, data: bytes) -> bool:
        """Whether there was room on the disk for it."""
        try:
            cast(Upload, self.upload).write(data)
        except OSError:
            self._refuse(Problem("storage_full"))
            return False
        return True

    def _hand_over(self, request: Request) -> bool:
        """Give the request its body; False when the last of it found no room."""
        if self.upload is None:
            request.take(self.body[0] if len(self.body) == 1 else b"".join(self.body))
            return True
        try:
            self.upload.finish()
        except OSError:
            self._refuse(Problem("storage_full"))
            return False
        request.take_upload(self.upload, self.size)
        self._forget_body(keeping_upload=True)
        return True

    def _budget(self) -> "Bodies":
        return self.worker.bodies if self.upload is None else self.worker.uploads

    def _forget_body(self, *, keeping_upload: bool = False) -> None:
        if self.held is not None:
            self._budget().give_back(self.held, self.size)
        if self.upload is not None and not keeping_upload:
            self.upload.discard()
        self.request, self.shown, self.body, self.held, self.size = None, False, [], None, 0
        self.upload = None

    def _refuse(self, why: Problem | HttpResponseBase) -> None:
        """Hear nothing more, and say why after the answers to what came before."""
        self._forget_body()
        self.receiving, self.refusal = False, why
        self.moved = 0
        CUT.labels(why.code if isinstance(why, Problem) else str(why.status_code)).inc()
        self._answer_next()

    def _say_refusal(self, why: Problem | HttpResponseBase) -> None:
        """Say why, and close once the client has heard it: a connection closed at once would break in its hands."""
        self.lingering, self.since = True, time.monotonic()
        response = self.worker.application.refusal(why) if isinstance(why, Problem) else cast(HttpResponse, why)
        for piece in messages.pieces(response, keep_alive=False):
            self.transport.write(piece)
        self.transport.write_eof()

    def _linger(self, size: int) -> None:
        self.moved += size
        if self.moved > limits.LINGER_BYTES:
            self.transport.abort()

    # --- answering ----------------------------------------------------------------------------------------------------
    def _answer_next(self) -> None:
        """Answer the oldest request that came. Those sent ahead wait for the answers before them, and others' requests
        come in between."""
        if self.answering or self.lingering or self.transport.is_closing() or not self.writable.is_set():
            return
        if not self.waiting:
            self._after_the_last()
            return
        incoming = self.waiting.popleft()
        if not self.waiting:
            self.transport.resume_reading()
        self.answering = True
        self.worker.submit(incoming.request, lambda response: self._answered(incoming, response))

    def _after_the_last(self) -> None:
        """All that came is answered: a refusal that had to wait is said; who said that nothing follows is let go."""
        if self.refusal is not None:
            self._say_refusal(self.refusal)
        elif self.heard_all:
            self.transport.close()

    def _answered(self, incoming: Incoming, response: HttpResponseBase) -> None:
        """The answer is there."""
        self.answering = False
        self._send(incoming, response)
        self._answer_next()

    def _send(self, incoming: Incoming, response: HttpResponseBase) -> None:
        keep_alive = incoming.keep_alive and not stopping.begun()
        if isinstance(response, StreamingHttpResponse):
            self.answering = True
            self.worker.spawn(self._stream(incoming, response, keep_alive))
            return
        if self.gone or self.transport.is_closing():
            return
        head_only = incoming.request.method == "HEAD"
        for piece in messages.pieces(cast(HttpResponse, response), keep_alive=keep_alive, head_only=head_only):
            self.transport.write(piece)
        self._sent(keep_alive)

    async def _stream(self, incoming: Incoming, response: StreamingHttpResponse, keep_alive: bool) -> None:
        """An answer made piece by piece: the next piece is made when the client has taken those before it."""
        bodiless = incoming.request.method == "HEAD" or response.status_code in messages.BODILESS
        chunked = not bodiless and "Content-Length" not in response.headers and self.parser.get_http_version() != "1.0"
        keep_alive = keep_alive and (bodiless or chunked or "Content-Length" in response.headers)
        try:
            if not self.gone:
                self.transport.write(messages.response_head(response, keep_alive=keep_alive, chunked=chunked))
            pieces = iter(()) if bodiless else iter(cast(Iterator[bytes], response))
            while not self.gone and (piece := await self.worker.next_of(response, pieces)) is not None:
                self.transport.write(messages.chunk(piece) if chunked and piece else piece)
                await self.writable.wait()
            if chunked:
                self.transport.write(messages.chunk(b""))
        except Exception:
            log.exception("%s %s broke off", incoming.request.method, incoming.request.path)
            self.transport.abort()  # the client must not take half an answer for a whole one
        finally:
            await self.worker.close(response)
        self.answering = False
        self._sent(keep_alive)
        self._answer_next()

    def _sent(self, keep_alive: bool) -> None:
        if self.gone:
            return
        self.since = time.monotonic()
        if self.transport.get_write_buffer_size():
            self.worker.make_room()
        if not keep_alive:
            self.transport.close()

    # --- deadlines ----------------------------------------------------------------------------------------------------
    def look(self, now: float) -> None:
        """Whether the client keeps to its deadlines; asked a few times a second."""
        left = self.transport.get_write_buffer_size()
        if left:
            self._look_at_sending(now, left)
            return
        self.sending = False
        if self.lingering:
            if now - self.since > limits.LINGER_SECONDS:
                self.transport.abort()
        elif self.receiving:
            self._look_at_receiving(now)
        elif not self.answering and now - self.since > limits.IDLE_SECONDS:
            self.transport.close()

    def idle(self) -> bool:
        return not (self.receiving or self.answering or self.sending or self.lingering)

    def _look_at_receiving(self, now: float) -> None:
        if now - self.since < limits.SECONDS:
            return
        if self.moved < limits.SPAN_BYTES or (self.upload and now - self.began > limits.UPLOAD_SECONDS):
            self._refuse(Problem("request_too_slow"))
        self.since, self.moved = now, 0

    def _look_at_sending(self, now: float, left: int) -> None:
        if not self.sending:
            self.sending, self.since, self.moved = True, now, left
        elif now - self.since >= limits.SECONDS:
            if self.moved - left < limits.SPAN_BYTES:
                CUT.labels("answer_not_taken").inc()
                self.transport.abort()
            self.since, self.moved = now, left
