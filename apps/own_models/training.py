"""One training, as a story:

    begin     to keep in Valkey what requests and labels tell of the parties
    read      the tenant's decisions and labels, into a folder of the training's own
    fill      what was told of the parties before, into Valkey
    train     in a process of its own, that knows the folder alone; its lines are the progress
    keep      the artifact, proved, sealed into the tenant's schema, with card, comparison and stability
    notify    whoever answers for the tenant

Killed anywhere before "keep" it is done again from the start, once its lease is over; each line renews it.
"""

import json
import logging
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.services import get_gate
from apps.notifications.services import notify
from apps.own_models import retraining, services
from apps.own_models.reading import Read, read
from apps.own_models.refill import refill
from apps.scoring.engine.models import ModelRefused, load_files
from apps.scoring.engine.own_decisions import CHAMPION, OUT, REPORT, Asked, write
from apps.scoring.models import OwnModel, OwnModelFiles
from apps.scoring.serving.own_shelf import opened, sealed
from apps.times import instant_us
from apps.valkey import Away, server

log = logging.getLogger(__name__)

State = OwnModel.State
#: Who acts where nobody asked: in the audit trail and as the one who published.
ACTOR = "own models"
#: Of a failed training, the most of what it said last that is told.
LONGEST_FAILURE = 500
#: Threads that wait for one another sleep: where others need the processors, spinning takes them from everybody.
PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
#: A training that takes longer is stuck.
MOST_SECONDS = 4 * 3600
#: A worker that says nothing for so long is dead: another begins anew.
LEASE = timedelta(minutes=30)


class TrainingFailed(Exception):
    """The training came to nothing; the message says why, for the tenant."""


def run(tenant: Tenant, model_id: str, now: datetime) -> bool:
    """Train a model that waits; False when another worker has it, or it waits no more."""
    model = _claimed(tenant, model_id, now)
    if model is None:
        return False
    _run(tenant, model, now)
    return True


def _claimed(tenant: Tenant, model_id: str, now: datetime) -> OwnModel | None:
    with in_tenant(tenant):
        free = Q(leased_until=None) | Q(leased_until__lt=now)
        waits = OwnModel.objects.filter(free, pk=model_id, state=State.TRAINING)
        return OwnModel.objects.get(pk=model_id) if waits.update(leased_until=now + LEASE) else None


def _run(tenant: Tenant, model: OwnModel, now: datetime) -> None:
    try:
        with TemporaryDirectory(prefix="own-model-", dir=_work_folder()) as folder:
            _prepare(tenant, model, Path(folder))
            _train(tenant, model, Path(folder))
            _keep(tenant, model, Path(folder) / OUT)
    except TrainingFailed as failure:
        _fail(tenant, model, str(failure), now)
        return
    if retraining.promoted_if_better(tenant, model, get_gate()):
        notify(tenant=tenant, kind="model.promoted", data=services.told_of(model), key=f"model.promoted:{model.pk}",
               now=timezone.now(), livemode=model.livemode)  # fmt: skip
    notify(tenant=tenant, kind="model.trained", data=services.told_of(model), key=f"model.trained:{model.pk}",
           now=timezone.now(), livemode=model.livemode)  # fmt: skip


def _prepare(tenant: Tenant, model: OwnModel, folder: Path) -> None:
    services.begin_keeping(
        tenant=tenant, schema=model.schema, livemode=model.livemode, gate=get_gate(), now=timezone.now(), actor=ACTOR
    )
    _progress(tenant, model, "reading decisions and labels")
    known = read(tenant, model.schema, model.livemode)
    _fill(tenant, model, known)
    asked = Asked(
        schema=model.schema,
        model_id=model.pk,
        families=tuple(model.families),
        artifacts=settings.ARTIFACTS_DIR,
        maturity_days=model.maturity_days,
        since_ms=instant_us(model.since) // 1000 if model.since else None,
    )
    decisions = known.decisions
    write(folder, asked, decisions.dated_before(instant_us(model.until) // 1000) if model.until else decisions)
    _put_champion(tenant, model, folder / CHAMPION)


def _put_champion(tenant: Tenant, model: OwnModel, folder: Path) -> None:
    """The files of the own model that decides now, to be compared with; nothing where none does."""
    policy = services.policy_of(Tenant.objects.get(pk=tenant.pk))
    asked = policy.own_models_for(model.schema, model.livemode)
    with in_tenant(tenant):
        row = OwnModelFiles.objects.filter(pk=asked.champion).first() if asked and asked.champion else None
    if row is None:
        return
    folder.mkdir()
    for name, content in opened(row.content, row.sha256).items():
        (folder / name).write_bytes(content)


def _train(tenant: Tenant, model: OwnModel, folder: Path) -> None:
    """In a process of its own. Raises `TrainingFailed` with what it said."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "train_own_model", str(folder)]
    with (folder / "errors").open("w+") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=settings.BASE_DIR, env=os.environ | PATIENT
        )
        try:
            for line in process.stdout or ():
                _progress(tenant, model, line.strip())
            process.wait(MOST_SECONDS)
        finally:
            process.kill()
        if process.returncode:
            errors.seek(0)
            raise TrainingFailed(_last_words(errors.read()))


def _last_words(errors: str) -> str:
    """What a command that failed said it failed by; a fault of ours is in the log, and not told."""
    last = errors.strip().splitlines()[-1] if errors.strip() else ""
    if last.startswith("CommandError: "):
        return last.removeprefix("CommandError: ")[:LONGEST_FAILURE]
    log.error("a training failed: %s", errors)
    return "The training failed by a fault of ours; it is being looked at."


def _keep(tenant: Tenant, model: OwnModel, out: Path) -> None:
    """Raises `TrainingFailed` for an artifact that does not prove itself here."""
    files = {path.name: path.read_bytes() for path in out.iterdir() if path.name != REPORT}
    report = json.loads((out / REPORT).read_text())
    try:
        load_files(files)
    except ModelRefused as refused:
        raise TrainingFailed(f"The model was refused: {refused}") from refused
    content, digest = sealed(files)
    model.card = _for_people(json.loads(files["card.json"]))
    model.comparison, model.stability = report["comparison"], report["stability"]
    model.state, model.trained_at, model.progress = State.CANDIDATE, timezone.now(), "done"
    with in_tenant(tenant):
        OwnModelFiles.objects.update_or_create(model=model, defaults={"content": content, "sha256": digest})
        model.save(update_fields=["card", "comparison", "stability", "state", "trained_at", "progress"])


#: What of a card the engine needs and nobody reads.
_FOR_THE_ENGINE = ("features", "reference", "own", "files")


def _for_people(card: dict) -> dict:
    """A card without what the engine alone needs, and with what that says in short."""
    kept = {name: value for name, value in card.items() if name not in _FOR_THE_ENGINE}
    return kept | {"features": len(card["features"]), "base_rate": card["own"]["base_rate"]}


def _fill(tenant: Tenant, model: OwnModel, known: Read) -> None:
    """While Valkey is away the parties' pasts begin empty: said in the log, and filled by the next training. A label
    that is corrected between reading and this is taken back by the next training, too."""
    try:
        parties = refill(
            tenant, server(settings.REDIS_URL, settings.REDIS_TIMEOUT), model.schema, model.livemode, known
        )
        log.info("own model %s: %d parties filled", model.pk, parties)
    except Away:
        log.error("own model %s: Valkey is away, nothing was filled", model.pk)


def _fail(tenant: Tenant, model: OwnModel, why: str, now: datetime) -> None:
    with in_tenant(tenant):
        model.state, model.failure, model.progress = State.FAILED, why[:LONGEST_FAILURE], ""
        model.save(update_fields=["state", "failure", "progress"])
    notify(tenant=tenant, kind="model.failed", data=services.told_of(model), key=f"model.failed:{model.pk}", now=now,
           livemode=model.livemode)  # fmt: skip


def _progress(tenant: Tenant, model: OwnModel, line: str) -> None:
    with in_tenant(tenant):
        waits = OwnModel.objects.filter(pk=model.pk, state=State.TRAINING)
        waits.update(progress=line[:200], leased_until=timezone.now() + LEASE)


def _work_folder() -> Path:
    folder = Path(settings.DATA_DIR) / "own_models"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
