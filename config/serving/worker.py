"""One process of the API or the portal, started and watched by gunicorn.

Connections are accepted one at a time, and later the more a worker has: so its siblings, waiting at the same socket,
take those it would fall behind with. Requests are answered on the loop itself (one thread, the API: no hand-over; those
that came at the same time wait for Valkey together) or by a pool of threads (the portal: a slow page doesn't hold up
the next).
"""

import asyncio
import contextvars
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import uvloop
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from gunicorn.workers.base import Worker as GunicornWorker

from apps import tracing
from apps.company import together
from apps.errors import Problem
from config.serving import limits, stopping
from config.serving.connection import Connection
from config.serving.kept_files import AtHand
from config.serving.messages import Request

if TYPE_CHECKING:
    from config.serving.application import Application

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
Done = Callable[[HttpResponseBase], None]


class Turn(NamedTuple):
    """A request that waits to be answered on the loop."""

    request: Request
    done: Done


#: Seconds a worker waits before it takes one more connection, for each that it has; and at most.
WAIT_EACH, WAIT_MOST = 0.0002, 0.002


class Bodies:
    """Bytes of bodies that are still coming: in all, of those somebody vouches for and of others, and of one sender."""

    def __init__(self, known: int, unknown: int) -> None:
        self._most = {True: known, False: unknown}
        self._sums = {True: 0, False: 0}
        self._senders: dict[tuple[bool, str], int] = {}

    def take(self, holder: tuple[bool, str], size: int) -> bool:
        """Count so many more; False when that is too many. What was taken is to be given back either way."""
        most = self._most[holder[0]]
        self._sums[holder[0]] += size
        theirs = self._senders[holder] = self._senders.get(holder, 0) + size
        return self._sums[holder[0]] <= most and theirs <= most // limits.SHARE

    def give_back(self, holder: tuple[bool, str], size: int) -> None:
        self._sums[holder[0]] -= size
        left = self._senders.get(holder, 0) - size
        if left > 0:
            self._senders[holder] = left
        else:
            self._senders.pop(holder, None)


class Worker(GunicornWorker):
    """gunicorn's worker, on uvloop."""

    application: "Application"
    loop: asyncio.AbstractEventLoop

    def run(self) -> None:
        """Serve until stopped, or until gunicorn is gone."""
        self.application = self.wsgi
        self.connections: set[Connection] = set()
        self.bodies = Bodies(limits.KNOWN_BODIES, limits.UNKNOWN_BODIES)
        self.uploads = Bodies(limits.UPLOADS, limits.UPLOADS)
        self.upload_threads: ThreadPoolExecutor | None = None
        self.stopping = self.settled = False
        self.threads = ThreadPoolExecutor(self.cfg.threads) if self.cfg.threads > 1 else None
        self.in_threads = 0
        self.turn: list[Turn] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.application.before_serving()
        gc.freeze()  # a full collection of what is there by now would hold up a turn by 40 ms, every few seconds
        self.loop = uvloop.new_event_loop()
        self.loop.add_signal_handler(signal.SIGTERM, self.drain)
        for number in (signal.SIGINT, signal.SIGQUIT):
            self.loop.add_signal_handler(number, self.stop)
        for listener in self.sockets:
            listener.setblocking(False)
            self._listen(listener)
        self.loop.call_soon(self._look)
        self.loop.run_forever()
        # At once: libraries that were loaded before the fork would wait for threads of theirs that it left behind.
        tracing.flush()
        logging.shutdown()
        os._exit(0)

    def init_signals(self) -> None:
        """gunicorn's, but for those the loop takes itself in `run`."""
        super().init_signals()
        signal.set_wakeup_fd(-1)

    # --- accepting ----------------------------------------------------------------------------------------------------
    def _listen(self, listener: Any) -> None:
        if not self.stopping:
            self.loop.add_reader(listener.fileno(), self._knocked, listener)

    def _knocked(self, listener: Any) -> None:
        """Somebody waits: let them in after as long as this worker is loaded, unless a sibling has by then."""
        if not self.connections:
            self._accept(listener)
            return
        self.loop.remove_reader(listener.fileno())
        wait = min(len(self.connections) * WAIT_EACH, WAIT_MOST)
        self.loop.call_later(wait, self._accept_after_waiting, listener)

    def _accept_after_waiting(self, listener: Any) -> None:
        if self.stopping:
            return
        # the longest wait lets in several, so that a busy worker still takes thousands a second
        for _ in range(1 + len(self.connections) // 64):
            if not self._accept(listener):
                break
        self._listen(listener)

    def _accept(self, listener: Any) -> bool:
        if len(self.connections) >= limits.CONNECTIONS and not self._close_an_idle_one():
            return False
        try:
            accepted, _ = listener.accept()
        except OSError:  # a sibling was quicker, the client left again, or there is no descriptor left
            return False
        accepted.setblocking(False)
        if accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.SEND_BUFFER)
        self.spawn(self._connect(accepted))
        return True

    async def _connect(self, accepted: socket.socket) -> None:
        await self.loop.connect_accepted_socket(lambda: Connection(self), accepted)

    def _close_an_idle_one(self) -> bool:
        idle = min(
            (connection for connection in self.connections if connection.idle()),
            key=lambda one: one.since,
            default=None,
        )
        if idle is None:
            return False
        idle.transport.abort()
        return True

    def make_room(self) -> None:
        """Cut who has been slowest to read, while the answers that wait for readers are too much to hold."""
        unread = {connection: connection.transport.get_write_buffer_size() for connection in self.connections}
        total = sum(unread.values())
        for one in sorted(unread, key=lambda one: one.since):
            if total <= limits.UNREAD_BYTES:
                return
            if unread[one]:
                total -= unread[one]
                one.transport.abort()

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if self.settled and not self.connections:
            self.loop.stop()

    # --- answering ----------------------------------------------------------------------------------------------------
    def call(self, function: Callable[..., Answer], *arguments: Any) -> Answer:
        """Call synchronous code from the loop and let it see none: under a running loop Django refuses its database and
        keeps a connection a task instead of one a thread."""
        asyncio._set_running_loop(None)
        try:
            return function(*arguments)
        finally:
            asyncio._set_running_loop(self.loop)

    def submit(self, request: Request, done: Done) -> None:
        """Answer a request, in a thread or in the loop's next turn, and hand the answer to `done` on the loop. What
        the application fails to catch itself is a fault of ours, told as one."""
        if self.threads is None and request.upload is None:
            self._have_a_turn(Turn(request, done))
            return
        at_hand = self.application.at_once(request)
        if at_hand is not None:
            self.loop.call_soon(done, at_hand)
            return
        threads = self.threads or self._upload_threads()
        if self.in_threads >= limits.WAITING + self.cfg.threads:
            request.forget_upload()
            self.loop.call_soon(done, self.application.refusal(Problem("server_busy", retry_after=2.0)))
            return
        self.in_threads += 1
        context = contextvars.Context()

        def answered(future: Any) -> None:
            self.in_threads -= 1
            done(future.result())

        future = self.loop.run_in_executor(threads, context.run, self._answer, request)
        future.add_done_callback(answered)

    def _upload_threads(self) -> ThreadPoolExecutor:
        """For what comes with an upload where all else is answered on the loop; made with the first of them."""
        if self.upload_threads is None:
            self.upload_threads = ThreadPoolExecutor(limits.UPLOAD_THREADS)
        return self.upload_threads

    def _have_a_turn(self, turn: Turn) -> None:
        """The turn comes when all that has arrived by now is read: that is answered in it, too."""
        if not self.turn:
            self.loop.call_soon(self._take_turn)
        self.turn.append(turn)

    def _take_turn(self) -> None:
        """Answer all that came since the last turn: so many side by side as may be, the others one by one."""
        turn, self.turn = self.turn, []
        company: list[Turn] = []
        alone: list[Turn] = []
        for one in turn:
            (company if self.application.in_company(one.request) else alone).append(one)
        for begin in range(0, len(company), limits.TOGETHER):
            self._answer_together(company[begin : begin + limits.TOGETHER])
        for one in alone:
            one.done(self.call(self._answer, one.request))

    def _answer_together(self, turns: Sequence[Turn]) -> None:
        answers: list[tuple[Done, HttpResponseBase]] = []

        def answer(one: Turn) -> None:
            answers.append((one.done, self._answer(one.request)))

        self.call(together, [partial(answer, turn) for turn in turns])
        for done, response in answers:
            done(response)

    async def next_of(self, response: StreamingHttpResponse, pieces: Iterator[bytes]) -> bytes | None:
        """The next piece of a streamed answer, None after the last."""
        if self.threads is not None and not isinstance(response, AtHand):
            return await self.loop.run_in_executor(self.threads, next, pieces, None)
        return self.call(next, pieces, None)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine, held until it ends."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, response: HttpResponseBase) -> None:
        """Close a streamed answer where it was made: Django looks after that thread's database connection then."""
        if isinstance(response, AtHand):
            return
        if self.threads is not None:
            await self.loop.run_in_executor(self.threads, response.close)
        else:
            self.call(response.close)

    def _answer(self, request: Request) -> HttpResponseBase:
        try:
            response = self.application(request)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return self.application.refusal(Problem("internal"))
        finally:
            request.forget_upload()
        if not (response.streaming or response.closed):
            response.close()
        return response

    # --- keeping watch ------------------------------------------------------------------------------------------------
    def _look(self) -> None:
        """Deadlines of all connections; that gunicorn is there, and that it knows we are."""
        now = time.monotonic()
        for connection in tuple(self.connections):
            connection.look(now)
        self.notify()
        if os.getppid() != self.ppid:
            self.stop()
        self.loop.call_later(limits.LOOK_SECONDS, self._look)

    def drain(self) -> None:
        """Let `/ready` say that nothing new should come, serve on until balancers know it, then stop."""
        if stopping.begun():
            return
        stopping.begin()
        self.loop.call_later(stopping.drain_seconds(), self.stop)

    def stop(self) -> None:
        """Accept nothing more than has knocked, answer what has come, and end."""
        if self.stopping:
            return
        for listener in self.sockets:
            for _ in range(self.cfg.backlog):
                if not self._accept(listener):
                    break
        self.stopping = True
        stopping.begin()
        for listener in self.sockets:
            self.loop.remove_reader(listener.fileno())
            listener.close()
        self.loop.call_later(stopping.SETTLE_SECONDS, self._let_go)
        self.loop.call_later(self.cfg.graceful_timeout - stopping.drain_seconds(), self.loop.stop)

    def _let_go(self) -> None:
        """Close connections that are silent; the others end with their answers, and the last one ends us."""
        self.settled = True
        for connection in tuple(self.connections):
            if connection.idle():
                connection.transport.close()
        if not self.connections:
            self.loop.stop()
