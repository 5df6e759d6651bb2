"""Traces: one request is one trace over two processes, sent to a collector of this test's; off, there is nothing."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any

import msgspec
import pytest
from django.core.exceptions import ImproperlyConfigured
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from apps import tracing
from apps.usage.metering import journal
from apps.usage.metering.journal import Entry
from apps.valkey import Valkey
from config import tracing as otel
from config.local.embedded import CHECKOUT
from tests.api.bodies import HONEST
from tests.cast import Api, Cast
from tests.http_server import EndingServer
from tests.live import serving
from tests.monitoring.house import call, process
from tests.pace import within

STEPS = ("gate", "engine", "journal", "record")


@contextmanager
def collecting() -> Iterator[tuple[str, list[Any]]]:
    """A collector: its address, and the spans it has been sent so far."""
    spans: list[Any] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            spans.extend(span for one in told.resource_spans for scope in one.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = EndingServer(("127.0.0.1", 0), Collector)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", spans
    finally:
        server.shutdown()
        server.server_close()
        thread.join(within(10))


@pytest.mark.django_db(transaction=True)
def test_one_request_is_one_trace_through_gate_engine_journal_and_recorder(cast: Cast) -> None:
    with collecting() as (address, spans):
        more = {"PALISADE_TRACES_URL": address}
        with process([sys.executable, "manage.py", "record"], more), serving("api", **more) as api:
            asked = [call(api, "/v1/decisions", HONEST, cast.alice.text) for _ in range(3)]
            call(api, "/v1/usage", None, cast.alice.text)
            refused = call(api, "/v1/decisions", HONEST, "pk_live_no")
            deadline = time.monotonic() + within(30)
            while sum(span.name == "record" for span in spans) < len(asked) and time.monotonic() < deadline:
                time.sleep(0.1)
    requests = {span.trace_id: span for span in spans if not span.parent_span_id}
    assert len(requests) == len(asked) + 2
    decided = [one for one in requests.values() if (one.name, status(one)) == ("POST decisions", 200)]
    assert len(decided) == len(asked)
    for one in decided:
        mine = {span.name: span for span in spans if span.trace_id == one.trace_id and span is not one}
        assert sorted(mine) == sorted(STEPS)
        assert {span.parent_span_id for span in mine.values()} == {one.span_id}
        assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in mine.values())
        assert mine["gate"].end_time_unix_nano <= mine["engine"].start_time_unix_nano
        assert mine["journal"].end_time_unix_nano <= mine["record"].end_time_unix_nano
        assert attributes(one)["palisade.tenant"] == cast.alice.tenant.schema_name
    (wrong,) = [one for one in requests.values() if status(one) == 401]
    assert attributes(wrong)["palisade.request_id"] == refused["request_id"]
    assert cast.alice.text not in str(spans)


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def status(span: Any) -> Any:
    return attributes(span)["http.response.status_code"]


@pytest.mark.django_db(transaction=True)
def test_off_the_journal_carries_no_trace(alice: Api, valkey: Valkey) -> None:
    alice.post("/v1/decisions", HONEST)
    found = [entry for stream in journal.STREAMS for entry in valkey.command("XRANGE", stream, "-", "+")]
    assert [journal.decode(fields[1]).trace for _, fields in found] == [""]


def test_off_a_step_is_the_same_nothing_and_nothing_is_sent() -> None:
    assert not tracing.is_on()
    assert tracing.step("gate") is tracing.step("engine") is tracing.request("some") is tracing.NOTHING
    tracing.went_on("record", "00-" + "1" * 32 + "-" + "2" * 16 + "-01", 1.0, 2.0)
    tracing.flush()
    assert tracing.carried() == ""


def test_off_a_request_pays_a_few_microseconds() -> None:
    times = 100_000
    begun = time.process_time()
    for _ in range(times):
        with tracing.step("gate"), tracing.step("engine"), tracing.step("journal"):
            tracing.carried()
    spent = (time.process_time() - begun) / times * 1e6
    assert spent < within(10)


def test_nothing_but_its_own_module_imports_opentelemetry_and_that_only_when_asked() -> None:
    files = [*(CHECKOUT / "apps").rglob("*.py"), *(CHECKOUT / "config").rglob("*.py")]
    found = {file.name: re.findall(r"^( *)from opentelemetry", file.read_text(), re.MULTILINE) for file in files}
    assert {name for name, places in found.items() if places} == {"tracing.py"}
    assert "" not in found["tracing.py"]


def test_without_its_packages_the_setting_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ImproperlyConfigured, match="make tracing"):
        otel.begin("http://127.0.0.1:9/v1/traces", 1.0)


def test_entries_of_the_version_before_and_after_are_read() -> None:
    """An older recorder reads what a newer API wrote, and the other way round."""

    class Older(msgspec.Struct, array_like=True):
        handle: str
        event: msgspec.Raw
        body_hash: str
        transaction_hash: str
        record: msgspec.Raw

    event = ["dec_1", 1, 1, 1, "decisions", "paysim", True, False, 1, 1, ""]
    older = msgspec.msgpack.encode(["ab12cd", event, "", "h", {}])
    newer = msgspec.msgpack.encode(["ab12cd", event, "", "h", {}, "00-trace"])
    assert (journal.decode(older).trace, journal.decode(newer).trace) == ("", "00-trace")
    assert msgspec.msgpack.decode(newer, type=Older).transaction_hash == "h"
    assert Entry.__struct_fields__[-1] == "trace"
