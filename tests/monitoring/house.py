"""The whole house as it is really run: API, recorder, courier and a worker of all queues, counting in one folder.

Some traffic goes through each; then Debian's Prometheus looks at /metrics by the shipped configuration.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.test import override_settings
from django.utils import timezone

from apps.monitoring.queues import QUEUES
from apps.notifications.services import create_webhook, send_test
from config import celery
from config.local.embedded import CHECKOUT
from tests.api import bodies, dialects
from tests.batches.sent import csv_of
from tests.cast import Cast
from tests.live import end, environment_of, free_port, serving
from tests.monitoring.tools import SHIPPED, TOOLS
from tests.notifications.receiver import receiving
from tests.pace import within

PATIENCE = 60.0
WORKER = [
    "celery",
    "--quiet",
    "-A",
    "config",
    "worker",
    "--queues",
    ",".join(QUEUES),
    "--pool",
    "solo",
    "--without-gossip",
    "--without-mingle",
]
COMMANDS = (["manage.py", "record"], ["manage.py", "deliver"], ["manage.py", "probe"], ["-m", *WORKER])
#: Everything of which a figure of a worker is made, in the order in which one needs the other.
TASKS = (
    "provider_events", "payments", "reconcile", "compare_vectors", "alerts", "alerts_hourly", "close_months",
    "hourly_figures", "figures",
)  # fmt: skip


@dataclass
class House:
    """What there is to look at once all of it has run."""

    metrics: str = ""
    prometheus: str = ""
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """What Prometheus answers now."""
        address = f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(address, timeout=within(10)) as response:
            return json.load(response)["data"]["result"]


@contextmanager
def running(cast: Cast, folder: Path) -> Iterator[House]:
    """All processes, and the first of the traffic done; `House.metrics` is there."""
    counters = folder / "counters"
    counters.mkdir()
    more = {
        "PROMETHEUS_MULTIPROC_DIR": str(counters),
        "PALISADE_WEBHOOK_NETWORKS": "127.0.0.0/8",
        "PALISADE_BACKUP_DIR": str(folder / "backups"),
    }
    with ExitStack() as stack:
        for command in COMMANDS:
            stack.enter_context(process([sys.executable, *command], more))
        address = stack.enter_context(serving("api", **more))
        portal = stack.enter_context(serving("portal", **more))
        stack.enter_context(override_settings(WEBHOOK_NETWORKS=["127.0.0.0/8"]))
        receiver = stack.enter_context(receiving())
        hook = create_webhook(tenant=cast.alice.tenant, livemode=True, url=receiver.url, now=timezone.now())
        send_test(webhook=hook, now=timezone.now())
        house = House()
        decide(address, cast)
        learn(address, cast)
        score_a_file(address, cast)
        visit(portal)
        for name in TASKS:
            celery.app.send_task(celery.WORK[name].task)
        until(lambda: 'palisade_figures_age_seconds{pace="often"}' in scraped(address))
        if TOOLS.exists():
            house.prometheus = stack.enter_context(prometheus(address, folder / "prometheus"))
            until(lambda: house.ask("palisade_store_up"))
            visit(portal)
            decide(address, cast)  # a rate wants a rise between two looks
            until(lambda: house.ask("sum(increase(fraud_predictions_total[1m])) > 0"))
            until(lambda: house.ask("palisade:cpu_used:ratio5m >= 0"))  # of the group that is evaluated last
            until(lambda: house.ask("palisade:fraud:ratio1h >= 0"))
            until(lambda: house.ask("palisade_burn_rate"))
        house.metrics = scraped(address)
        yield house


def decide(address: str, cast: Cast) -> None:
    """Calls of every kind of transaction, a fraud, refusals of several kinds."""
    for body in (bodies.HONEST, bodies.DRAINED):
        call(address, "/v1/decisions", bodies.asking(body) if "schema" not in body else body, cast.alice.text)
    for one in (dialects.COMMERCIAL, dialects.ENTERPRISE, dialects.DETECT):
        call(address, one.path, one.body, cast.alice.text)
    many = [bodies.TRANSFER | {"nameOrig": f"C{number}", "amount": 1_000.0 + number} for number in range(150)]
    call(address, "/v1/decisions/batch", {"schema": "paysim", "transactions": many}, cast.alice.text)
    for _ in range(11):  # one more than a minute of the free plan
        call(address, "/v1/decisions", bodies.HONEST, cast.charlie.text)
    call(address, "/v1/decisions", bodies.HONEST, "pk_live_no")
    call(address, "/v1/analytics/trends", None, cast.alice.text)


def visit(portal: str) -> None:
    """A page of the portal, and one that is not there."""
    for path in ("/account/login/", "/nothing/here/"):
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(portal + path, timeout=within(20)) as page:
            page.read()


def learn(address: str, cast: Cast) -> None:
    """A label, once its decision is recorded."""
    decision = call(address, "/v1/decisions", bodies.asking(bodies.DRAINED), cast.alice.text)
    label = {"decision_id": decision["id"], "label": "fraud", "source": "analyst"}
    until(lambda: "label" in call(address, "/v1/labels", label, cast.alice.text))


def score_a_file(address: str, cast: Cast) -> None:
    """A file, planned, scored and put together by the worker."""
    batch = call(address, "/v1/batches?schema=paysim", csv_of(50), cast.alice.text, "text/csv")

    def is_done() -> bool:
        celery.app.send_task(celery.WORK["batches"].task)
        time.sleep(0.2)
        return call(address, f"/v1/batches/{batch['id']}", None, cast.alice.text)["state"] == "completed"

    until(is_done)


def call(address: str, path: str, body: Any, key: str, content_type: str = "application/json") -> dict[str, Any]:
    """The answer's JSON, whatever its status."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": content_type}
    request = urllib.request.Request(address + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=within(20)) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as refused:
        return dict(json.load(refused))


def scraped(address: str) -> str:
    """/metrics."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=within(10)) as response:
        return str(response.read().decode())


@contextmanager
def process(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    started = subprocess.Popen(command, cwd=CHECKOUT, env=environment_of("config.settings.portal", **environment))
    try:
        yield
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait(within(10))


@contextmanager
def prometheus(scrapes: str, folder: Path) -> Iterator[str]:
    """Debian's Prometheus by the shipped configuration, but for where it scrapes and that it looks every second."""
    shutil.copytree(SHIPPED / "prometheus", folder)
    (folder / "targets" / "palisade.yml").write_text(f'- targets: ["{urllib.parse.urlsplit(scrapes).netloc}"]\n')
    (folder / "alertmanagers" / "palisade.yml").write_text("[]\n")
    configuration = folder / "prometheus.yml"
    configuration.write_text(
        re.sub(r"(scrape_interval|evaluation_interval|scrape_timeout): \w+", r"\1: 1s", configuration.read_text())
    )
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(TOOLS / "prometheus"), "--config.file", str(configuration), "--storage.tsdb.path", str(folder / "data"),
        "--web.listen-address", address, "--log.level", "error",
    ]  # fmt: skip
    started = subprocess.Popen(command, cwd=folder, env={"PATH": os.environ["PATH"]})
    try:
        until(lambda: ready(address))
        yield f"http://{address}"
    finally:
        started.terminate()
        end(started)


def ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/-/ready", timeout=within(2)) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + within(PATIENCE)
    while not holds():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.2)
