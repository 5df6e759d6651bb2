"""Traces: one request is one trace over its processes, sent to a collector of this test's; off, there is nothing."""

import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from apps import tracing
from apps.accounts.tenancy import in_tenant
from apps.simulation.models import Simulation
from apps.usage.metering import journal
from apps.usage.metering.journal import Entry
from apps.valkey import Valkey
from config import tracing as otel
from config.local.embedded import CHECKOUT
from config.middleware import trace_pages
from tests.api.bodies import HONEST
from tests.cast import Api, Cast, Player
from tests.factories import MembershipFactory
from tests.http_server import EndingServer
from tests.live import serving
from tests.monitoring.house import call, process
from tests.pace import within

STEPS = ("gate", "engine", "journal", "record")
WORKER = [sys.executable, "-m", "celery", "--quiet", "-A", "config", "worker", "--queues", "batches", "--pool", "solo",
          "--without-gossip", "--without-mingle"]  # fmt: skip


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
            refused = [call(api, "/v1/decisions", HONEST, "pk_live_no"), refused_by_its_head(api)]
            sent = len(asked) + 1 + len(refused)
            until(lambda: len(traces(span for span in spans if span.name == "record")) >= len(asked))
            until(lambda: len(traces(span for span in spans if not span.parent_span_id)) == sent)
    requests = traces(span for span in spans if not span.parent_span_id)
    assert len(requests) == sent
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
    wrong = [one for one in requests.values() if (one.name, status(one)) == ("POST decisions", 401)]
    assert {attributes(one)["palisade.request_id"] for one in wrong} == {one["request_id"] for one in refused}
    assert cast.alice.text not in str(spans)


def refused_by_its_head(api: str) -> dict[str, Any]:
    """The answer to a decision under no key of anybody's, whose body never comes."""
    head = {"Authorization": "Bearer pk_live_no", "Content-Type": "application/json", "Content-Length": "500"}
    connection = HTTPConnection(urlsplit(api).netloc, timeout=within(20))
    with closing(connection):
        connection.putrequest("POST", "/v1/decisions")
        for name, value in head.items():
            connection.putheader(name, value)
        connection.endheaders()
        return dict(json.load(connection.getresponse()))


def traces(spans: Iterable[Any]) -> dict[bytes, Any]:
    """One span a trace: what a collector is slow to answer for is sent to it again."""
    return {span.trace_id: span for span in spans}


@pytest.mark.django_db(transaction=True)
def test_a_page_and_the_task_it_asks_for_are_one_trace(cast: Cast) -> None:
    with collecting() as (address, spans):
        more = {"PALISADE_TRACES_URL": address}
        with process(WORKER, more), serving("portal", **more) as portal:
            page = urllib.request.Request(
                f"{portal}/simulations/{standing(cast.alice)}/", headers={"Cookie": logged_in(cast.alice)}
            )
            with urllib.request.urlopen(page, timeout=within(20)) as answer:
                request_id = answer.headers["X-Request-Id"]
            until(lambda: any(span.name.startswith("task ") for span in spans) and any(is_page(span) for span in spans))
    (asked,) = (span for span in spans if is_page(span))
    (task,) = (span for span in spans if span.name == "task apps.simulation.tasks.simulate")
    assert not asked.parent_span_id
    assert (task.trace_id, task.parent_span_id) == (asked.trace_id, asked.span_id)
    assert attributes(asked) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "palisade.request_id": request_id,
        "palisade.tenant": cast.alice.tenant.schema_name,
    }


def standing(player: Player) -> str:
    """A simulation that stands still: whoever looks at it asks for it anew."""
    now = timezone.now()
    with in_tenant(player.tenant):
        made = Simulation.objects.create(
            id="sim_traced", livemode=False, asked_at=now, policy={}, against=0, begin=now - timedelta(days=1), end=now,
            costs={}, total=1, touched_at=now - timedelta(hours=1),
        )  # fmt: skip
    return str(made.pk)


def logged_in(player: Player) -> str:
    client = Client()
    user = MembershipFactory(tenant=player.tenant).user
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return f"sessionid={client.cookies['sessionid'].value}"


def is_page(span: Any) -> bool:
    return bool(span.name == "GET simulation")


def until(holds: Callable[[], bool]) -> None:
    """Wait for it, or go on without it: what is looked at then says what is missing."""
    deadline = time.monotonic() + within(30)
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)


@contextmanager
def traced() -> Iterator[list[Any]]:
    """This process traces; what it has sent once it traces no more."""
    with collecting() as (address, spans):
        tracer = otel.begin(address, 1.0)
        try:
            yield spans
        finally:
            tracing.use(None)
            tracer.end()


def test_work_goes_on_with_what_is_carried_or_begins_a_trace() -> None:
    with traced() as spans:
        with tracing.request("page"):
            carried = tracing.carried()
        with tracing.work("asked for", carried):
            pass
        with tracing.work("by the clock"):
            pass
    found = {span.name: span for span in spans}
    assert found["asked for"].parent_span_id == found["page"].span_id
    assert not found["by the clock"].parent_span_id
    assert len({span.trace_id for span in spans}) == 2


def test_of_a_failure_its_kind_alone_is_told() -> None:
    with traced() as spans, pytest.raises(ValueError), tracing.work("task"):
        raise ValueError("4111111111111111")
    (span,) = spans
    assert span.status.message == "ValueError"
    assert "4111" not in str(span)


def test_off_pages_pass_nothing_of_it() -> None:
    with pytest.raises(MiddlewareNotUsed):
        trace_pages(lambda request: HttpResponse())


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
    assert tracing.work("task", "00-" + "1" * 32 + "-" + "2" * 16 + "-01") is tracing.NOTHING
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
