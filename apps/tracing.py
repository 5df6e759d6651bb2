"""Traces: one request is one trace, through gate, engine, journal and recorder, and through the tasks it asks for.

    request ─► gate ─► engine ─► journal ─ ─ ─ the entry carries the trace ─ ─ ─► record
    page ─ ─ ─ the message carries the trace ─ ─ ─► task
    messages of a stream ─► gate ─► engine ─► journal ─ ─ ─► record
                                                     └► deliver

Off unless a tracer is handed in.

Nothing of OpenTelemetry is imported here; config/tracing.py does, where the setting asks for it. While it is off a step
costs one look at a name.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Value = str | int | float


class Span(Protocol):
    """What is done between two moments."""

    def set_attribute(self, name: str, value: Value) -> None: ...

    def update_name(self, name: str) -> None: ...


class Tracer(Protocol):
    """Whoever keeps traces."""

    def request(self, name: str) -> AbstractContextManager[Span]:
        """The beginning of a trace: whoever calls says no more of it than that it calls."""

    def work(self, name: str, carried: str) -> AbstractContextManager[Span]:
        """What was taken from a queue: a part of the carried trace; the beginning of one where "" is carried."""

    def step(self, name: str) -> AbstractContextManager[Span]:
        """A part of what is done at the moment; outside of a trace it is none."""

    def carried(self) -> str:
        """What another process goes on with (a W3C traceparent), "" outside of a trace."""

    def went_on(self, name: str, carried: str, begun: float, ended: float) -> None:
        """What was done elsewhere from one moment to another (seconds since 1970), as a part of a carried trace."""

    def flush(self) -> None:
        """Send what is waiting to be sent: the process ends without saying goodbye."""


class _Nothing:
    """A span of no trace."""

    def set_attribute(self, name: str, value: Value) -> None:
        pass

    def update_name(self, name: str) -> None:
        pass


NOTHING = nullcontext(_Nothing())
_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Trace from now on; None: no more."""
    global _tracer
    _tracer = tracer


def is_on() -> bool:
    return _tracer is not None


def request(name: str) -> AbstractContextManager[Span]:
    """See `Tracer.request`."""
    return NOTHING if _tracer is None else _tracer.request(name)


def work(name: str, carried: str = "") -> AbstractContextManager[Span]:
    """See `Tracer.work`."""
    return NOTHING if _tracer is None else _tracer.work(name, carried)


def step(name: str) -> AbstractContextManager[Span]:
    """See `Tracer.step`."""
    return NOTHING if _tracer is None else _tracer.step(name)


def carried() -> str:
    """See `Tracer.carried`; "" while traces are off."""
    return "" if _tracer is None else _tracer.carried()


def went_on(name: str, carried: str, begun: float, ended: float) -> None:
    """See `Tracer.went_on`."""
    if _tracer is not None and carried:
        _tracer.went_on(name, carried, begun, ended)


def flush() -> None:
    """See `Tracer.flush`."""
    if _tracer is not None:
        _tracer.flush()
