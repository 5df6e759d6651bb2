"""Celery: the application, and one table of what is done when and in whose queue."""

import gc
import logging.config
import os
import signal
import time
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, ClassVar

from celery import Celery, Task
from celery.platforms import SecurityWarning
from celery.schedules import crontab
from celery.signals import (
    before_task_publish,
    celeryd_after_setup,
    setup_logging,
    worker_process_shutdown,
    worker_shutting_down,
)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")

# `make up` may run as root (in a container it often does); Celery's eight lines about it would bury the banner.
warnings.filterwarnings("ignore", category=SecurityWarning)

from django.conf import settings  # noqa: E402 - the settings' name must be set first

from apps import tracing  # noqa: E402
from apps.batches.lean_arrow import keep_arrow_lean  # noqa: E402
from apps.monitoring.queues import ASKED_AT  # noqa: E402


@dataclass(frozen=True)
class Work:
    """A task, whose queue it waits in, and when it is asked for: every so many seconds, by the clock, or by others."""

    task: str
    queue: str
    when: float | crontab | None = None

    @property
    def expires(self) -> float | None:
        """What is asked for every few seconds and waited as long is done by the next one."""
        return self.when if isinstance(self.when, float) else None


#: What somebody waits for: one that takes long never keeps another from its turn (a worker with threads).
MONEY = "money"
#: What nobody waits for and takes minutes of a processor: one after the other, behind everything else.
HEAVY = "heavy"
HEAVY_NICENESS = 10
#: Training of tenants' own models: minutes of a processor each, one after the other, in nobody else's way.
MODELS = "models"
#: Batches, a task a chunk: as many workers as there are, on as many machines.
BATCHES = "batches"
#: New objects after which a worker of batches looks for garbage; Python's own number is 700.
GARBAGE_AFTER = 50_000
#: Who started this process, and the seconds it has once that one is gone.
SUPERVISOR, ALONE_SECONDS = os.getppid(), 10
#: Sending what is told is no task: `manage.py deliver` takes it from the outbox itself.
WORK: Mapping[str, Work] = {
    # Payments: what the provider told, what is due or unanswered, and what nobody told.
    "provider_events": Work("apps.billing.tasks.work_through_events", MONEY, 5.0),
    "payments": Work("apps.billing.tasks.collect_payments", MONEY, 30.0),
    # A tax id that was changed is the provider's within the minute.
    "tax_ids": Work("apps.billing.tasks.tell_tax_ids", MONEY, 60.0),
    "provider_books": Work("apps.billing.tasks.reconcile_with_provider", MONEY, crontab(hour=4, minute=20)),
    # Scheduled plans begin and trials end within a minute; the gate knows to the second by itself.
    "plans": Work("apps.usage.tasks.follow_plans", MONEY, 60.0),
    # Who reached 80 % or 100 % of the included volume or of the spend cap is told within a minute.
    "budgets": Work("apps.usage.tasks.notify_budgets", MONEY, 60.0),
    # What a tenant is to look at is told within a minute; what is held against full hours, once they are recorded.
    "alerts": Work("apps.alerts.tasks.look_each_minute", MONEY, 60.0),
    "alerts_hourly": Work("apps.alerts.tasks.look_each_hour", MONEY, crontab(minute=4)),
    # The worker says that it works: the prober listens.
    "pulse": Work("apps.sla.tasks.say_pulse", MONEY, 15.0),
    # A month's SLA is stated, with its credit, within two hours of its end; what becomes known later corrects it.
    "sla_days": Work("apps.sla.tasks.keep_measured_days", HEAVY, crontab(minute=5)),
    "sla_months": Work("apps.sla.tasks.evaluate_months", HEAVY, crontab(minute=10)),
    "sla_corrections": Work("apps.sla.tasks.correct_months", HEAVY, crontab(hour=5, minute=15)),
    # Months are closed within the first hour, when the last of them is recorded; whoever was missed, an hour later.
    "close_months": Work("apps.usage.tasks.close_months", MONEY, crontab(minute=35)),
    # What /metrics tells of Postgres is at most a minute old; what every tenant's schema is asked for, an hour.
    "figures": Work("apps.monitoring.tasks.take_figures", MONEY, 30.0),
    "hourly_figures": Work("apps.monitoring.tasks.take_hourly_figures", HEAVY, crontab(minute=45)),
    # Whoever signs up takes a schema that stands ready; what was taken is there again within half a minute.
    "ready_schemas": Work("apps.accounts.tasks.stock_schemas", MONEY, 30.0),
    # What was served, journaled, recorded and rolled up agrees, or somebody is told.
    "reconcile": Work("apps.scoring.tasks.reconcile_books", HEAVY, crontab(minute=20)),
    # Yesterday's features are what the stored past says they were.
    "compare_vectors": Work("apps.scoring.tasks.compare_vectors", HEAVY, crontab(hour=3, minute=10)),
    # A year is read from months: each is added up once it is over, and again after somebody counted into it.
    "decision_months": Work("apps.scoring.tasks.fold_months", HEAVY, crontab(minute=15)),
    "label_months": Work("apps.review.tasks.fold_months", HEAVY, crontab(minute="*/20")),
    # A list Valkey lost, or was not told of, is asked for by the next request and in force again within seconds.
    "publish_lists": Work("apps.scoring.tasks.publish_lists", MONEY, 2.0),
    "tidy_lists": Work("apps.scoring.tasks.tidy_lists", HEAVY, crontab(hour=1, minute=50)),
    # What labels teach is told to the parties' history at once; what Valkey missed, within ten minutes.
    "history_marks": Work("apps.review.tasks.mark_histories", MONEY, crontab(minute="*/10")),
    # Review cases that grew old enough for another queue go there.
    "aged_cases": Work("apps.review.tasks.move_aged_cases", MONEY, 60.0),
    # Whoever asked for an export watches it grow; closed accounts are emptied once their grace is over.
    "exports": Work("apps.offboarding.tasks.make_exports", MONEY, 5.0),
    # What is held for a person's erasure is swept again within a minute.
    "erasures": Work("apps.offboarding.tasks.finish_erasures", MONEY, 60.0),
    # What a tenant keeps no longer goes by night, before the vectors are compared.
    "retention": Work("apps.offboarding.tasks.remove_old", HEAVY, crontab(hour=1, minute=20)),
    "closures": Work("apps.offboarding.tasks.finish_closures", HEAVY, crontab(minute=50)),
    # What was recorded in the last days is as its receipts say.
    "receipts": Work("apps.operations.tasks.verify_receipts", HEAVY, crontab(hour=3, minute=40)),
    # A backup a night, before what is old is removed; nothing where no folder is named.
    "backup": Work("apps.operations.tasks.back_up", HEAVY, crontab(hour=0, minute=30)),
    # Batches that wait are planned, scored chunk by chunk and put together; whatever a killed worker left goes on.
    "batches": Work("apps.batches.tasks.go_on", BATCHES, 1.0),
    "plan_batch": Work("apps.batches.tasks.plan", BATCHES),
    "score_chunk": Work("apps.batches.tasks.score", BATCHES),
    "assemble_batch": Work("apps.batches.tasks.assemble", BATCHES),
    # A list's file of more lines than a call waits for: whoever sent it looks on.
    "import_list": Work("apps.batches.tasks.import_list", BATCHES),
    # A model that was asked for begins within seconds; those that are trained again every week are asked for by night.
    # What own models know of parties and Valkey lost is there again within minutes.
    "own_models": Work("apps.own_models.tasks.go_on", MODELS, 5.0),
    "own_pasts": Work("apps.own_models.tasks.refill_lost", HEAVY, 60.0),
    "retrain": Work("apps.own_models.tasks.retrain", MODELS, crontab(hour=4, minute=40)),
    # What models in shadow said is held against what became known, before the working day; where conditions were stated
    # and hold, the model is promoted.
    "compare_shadows": Work("apps.own_models.tasks.compare_shadows", MODELS, crontab(hour=4, minute=20)),
    # A policy held against a span's decisions: somebody waits for it, and it takes a processor for as long as a chunk.
    "simulate": Work("apps.simulation.tasks.simulate", BATCHES),
    "forget_batches": Work("apps.batches.tasks.forget_old_batches", HEAVY, crontab(hour=2, minute=50)),
    "forget_deliveries": Work("apps.notifications.tasks.forget_old_deliveries", HEAVY, crontab(hour=2, minute=40)),
}
#: What a killed worker had in hand comes again after so many seconds; workers look for it as often as `LOOKED_FOR`.
HANDED_BACK = 900
LOOKED_FOR = 10
#: The header of a message that carries the trace it was asked for in.
TRACE = "traceparent"

CONFIGURATION = {
    "broker_url": settings.BROKER_URL.replace("unix://", "redis+socket://", 1),
    "broker_connection_retry_on_startup": True,
    "broker_transport_options": {
        "visibility_timeout": HANDED_BACK,
        "unacked_restore_interval": LOOKED_FOR,
        "unacked_restore_throttle": 1,  # at each of them, not at every tenth
    },
    # Without the broker's connection a task can't be acknowledged and comes again: it stops here, rather than run twice
    # at once. It is Celery 6's default; unset, every lost connection is a deprecation warning.
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "task_ignore_result": True,
    "task_acks_late": True,  # a task may run twice: each is harmless when repeated
    "worker_prefetch_multiplier": 1,
    "task_default_queue": HEAVY,
    "task_routes": {work.task: {"queue": work.queue} for work in WORK.values()},
    "timezone": "UTC",
    "beat_schedule": {
        name: {"task": work.task, "schedule": work.when, "options": {"expires": work.expires} if work.expires else {}}
        for name, work in WORK.items()
        if work.when is not None
    },
}


class Alone(Task):
    """A task that runs once at a time in a process: the same one asked for meanwhile has nothing to add.

    It is a part of the trace it was asked for in, or one of its own where the clock asked.
    """

    _running: ClassVar[defaultdict[str, Lock]] = defaultdict(Lock)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        running = self._running[self.name]
        if not running.acquire(blocking=False):
            return None
        try:
            with tracing.work(f"task {self.name}", self.request.get(TRACE) or ""):
                return super().__call__(*args, **kwargs)
        finally:
            running.release()


app = Celery("palisade", task_cls=Alone)
app.conf.update(CONFIGURATION)
app.set_default()  # of all threads: otherwise those of the portal would send their tasks to a broker that is not ours


@celeryd_after_setup.connect
def step_back(instance: Any, **_: Any) -> None:
    """A worker of the heavy queues alone leaves the processors to whoever wants them."""
    if set(instance.app.amqp.queues.consume_from) in ({HEAVY}, {MODELS}):
        os.nice(HEAVY_NICENESS)


@celeryd_after_setup.connect
def keep_batches_lean(instance: Any, **_: Any) -> None:
    """A worker of batches alone is spared what pyarrow would bring along, and looking for garbage every few rows: a
    chunk makes some 20,000 objects of each kind, of which none holds another."""
    if set(instance.app.amqp.queues.consume_from) == {BATCHES}:
        keep_arrow_lean()
        gc.set_threshold(GARBAGE_AFTER)


@worker_shutting_down.connect
def end_although_alone(**_: Any) -> None:
    """A worker whose supervisor was killed ends within seconds, whatever Celery waits for: its stores end as well, and
    nobody is left to end it by force. What it was at is done again: the tables are the queue."""
    if os.getppid() != SUPERVISOR:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(ALONE_SECONDS)


@setup_logging.connect
def log_as_all_do(**_: Any) -> None:
    """Celery would write lines of its own form: all of ours are written by the settings' formatter."""
    logging.config.dictConfig(settings.LOGGING)


@before_task_publish.connect
def say_when(headers: dict[str, Any], **_: Any) -> None:
    """Let every task say since when it waits, and in which trace it was asked for."""
    headers[ASKED_AT] = time.time()
    if carried := tracing.carried():
        headers[TRACE] = carried


@worker_process_shutdown.connect
def send_last_spans(**_: Any) -> None:
    """A process of a pool ends without saying goodbye."""
    tracing.flush()


ROOMS = (
    "accounts",
    "notifications",
    "billing",
    "usage",
    "sla",
    "scoring",
    "review",
    "simulation",
    "batches",
    "own_models",
    "alerts",
    "offboarding",
    "monitoring",
    "operations",
)
app.autodiscover_tasks([f"apps.{room}" for room in ROOMS])

#: The clock (`celery -A config.celery:clock beat`) knows names and times alone; it loads neither apps nor models.
clock = Celery("palisade-clock", fixups=set(), set_as_current=False)
clock.conf.update(CONFIGURATION)
