"""OpenTelemetry, where PALISADE_TRACES_URL says to whom (OTLP over HTTP): its packages are an extra, `make tracing`.

A trace begins here: what callers send of theirs is not read, so nobody else decides what is kept.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from apps import tracing
from apps.tracing import Span

#: How long a span waits to be sent with others, and how long a process that ends waits for the last ones.
SEND_MS, FLUSH_MS = 1_000, 2_000
SERVICE = "palisade"


class Otel:
    """The tracer, by OpenTelemetry's own."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation import tracecontext

        self._provider, self._trace = provider, trace
        self._tracer = provider.get_tracer(SERVICE)
        self._form = tracecontext.TraceContextTextMapPropagator()

    def request(self, name: str) -> AbstractContextManager[Span]:
        return self._span(name, kind=self._trace.SpanKind.SERVER)

    def work(self, name: str, carried: str) -> AbstractContextManager[Span]:
        context = self._form.extract({"traceparent": carried}) if carried else None
        return self._span(name, kind=self._trace.SpanKind.CONSUMER, context=context)

    def step(self, name: str) -> AbstractContextManager[Span]:
        if not self._trace.get_current_span().get_span_context().is_valid:
            return tracing.NOTHING
        return self._span(name)

    def carried(self) -> str:
        found: dict[str, str] = {}
        self._form.inject(found)
        return found.get("traceparent", "")

    def went_on(self, name: str, carried: str, begun: float, ended: float) -> None:
        context = self._form.extract({"traceparent": carried})
        span = self._tracer.start_span(name, context, start_time=int(begun * 1e9))
        span.end(int(ended * 1e9))

    @contextmanager
    def _span(self, name: str, **options: Any) -> Iterator[Span]:
        """A span; of what fails in it the kind alone is told, for the text may name what is the tenant's."""
        quiet = {"record_exception": False, "set_status_on_exception": False}
        with self._tracer.start_as_current_span(name, **quiet, **options) as span:
            try:
                yield span
            except Exception as failure:
                span.set_status(self._trace.StatusCode.ERROR, type(failure).__name__)
                raise

    def flush(self) -> None:
        self._provider.force_flush(FLUSH_MS)

    def end(self) -> None:
        """Send what waits, and nothing more after it."""
        self._provider.shutdown()


def begin(url: str, share: float) -> Otel:
    """Trace this process and those it forks; `share` of all requests. Raises `ImproperlyConfigured`."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
    except ImportError as missing:
        raise ImproperlyConfigured(
            "PALISADE_TRACES_URL is set and OpenTelemetry is not there: make tracing"
        ) from missing
    resource = Resource.create({"service.name": SERVICE})
    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(share)), resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url), schedule_delay_millis=SEND_MS))
    tracer = Otel(provider)
    tracing.use(tracer)
    return tracer
