"""What is wrong with this installation, in words, and what to do: `manage.py doctor`, and a page for operators.

Each look is one function; `LOOKS` is the table of them. A look that needs a store that is away says so, and the others
go on. Nothing is changed by looking.
"""

import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from redis.exceptions import ResponseError

from apps.accounts.models import RegularCheck, Tenant
from apps.accounts.postgres_programs import ProgramMissing, program
from apps.accounts.services import BACKUP
from apps.accounts.tenancy import POSTGRES_AWAY, in_tenant, tenant_connection
from apps.monitoring import figures, stores
from apps.operations import tenant_looks
from apps.operations.backups.manifest import applied, known
from apps.operations.findings import Finding, Level, Patient
from apps.operations.models import Backup
from apps.usage.metering.journal import Journal
from apps.valkey import Away, Valkey, server

#: The recorder takes entries within this; beyond the second figure it stands still. Seconds.
RECORDER_LATE, RECORDER_AWAY = 10, 60
#: Figures are taken every 30 s by the money worker when the clock asks: older than this, one of the two is away.
CLOCK_LATE = 120
#: Of tasks and messages that wait. Seconds.
QUEUE_LATE, OUTBOX_LATE = 300, 300
#: What Valkey is to be set to, each server of a cluster, and what would be otherwise.
VALKEY_WANTED: Mapping[str, tuple[str, str]] = {
    "appendonly": ("yes", "what is acknowledged would not survive its end"),
    "maxmemory-policy": ("noeviction", "the journal could be forgotten"),
}
#: Share of a disk that is free.
DISK_LOW, DISK_FULL = 0.15, 0.05
#: Clocks may differ by so much, in seconds: rates and tokens are told by them.
CLOCKS_DIFFER = 1.0
#: A nightly backup is late after this, and so are the nightly checks.
BACKUP_LATE = CHECK_LATE = timedelta(hours=26)
#: Tenants' schemas looked at for their migrations: the last ones are what a run that was broken off left.
SCHEMAS = 20
OLDEST_POSTGRES = 140_000


def examine(valkey: Valkey, now: datetime) -> list[Finding]:
    """All findings, the gravest first."""
    patient, found = Patient(valkey, now), list[Finding]()
    for about, look in LOOKS.items():
        try:
            found += look(patient)
        except POSTGRES_AWAY:
            found.append(Finding(about, Level.WARNING, "Not looked at: PostgreSQL is away."))
        except DatabaseError as trouble:
            said = str(trouble).splitlines()[0]
            found.append(Finding(about, Level.WARNING, f"Not looked at: {said}", "Run `manage.py migrate_schemas`."))
        except Away:
            found.append(Finding(about, Level.WARNING, "Not looked at: Valkey is away."))
    return sorted(found, key=lambda finding: -finding.level)


def _postgres(patient: Patient) -> Iterator[Finding]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('server_version_num')::int, pg_is_in_recovery()")
            version, replica = cursor.fetchone()
    except POSTGRES_AWAY as trouble:
        connection.close()
        said = str(trouble).splitlines()[0]
        yield Finding("PostgreSQL", Level.WRONG, f"It does not answer: {said}", "Start it; look at DATABASE_URL.")
        return
    if version < OLDEST_POSTGRES:
        yield Finding("PostgreSQL", Level.WRONG, f"Version {version // 10_000} is too old.", "Take 14 or later.")
    elif replica:
        yield Finding("PostgreSQL", Level.WRONG, "It is a replica: nothing can be written.", "Name the primary.")
    else:
        yield Finding("PostgreSQL", Level.FINE, f"Version {version // 10_000} answers.")


def _valkey(patient: Patient) -> Iterator[Finding]:
    if not patient.valkey.answers():
        yield Finding("Valkey", Level.WRONG, "It does not answer.", "Start it; look at REDIS_URL.")
        return
    yield Finding("Valkey", Level.FINE, "It answers.")
    servers = patient.valkey.primaries()
    for name, (value, why) in VALKEY_WANTED.items():
        for has in sorted({has for one in servers if (has := _setting(one, name)) and has != value}):
            yield Finding("Valkey", Level.WRONG, f"{name} is {has}: {why}.", f"Set it to {value}.")


def _setting(one: Valkey, name: str) -> str:
    """A setting of a server's; "" where it does not tell, as hosted ones, or has none of that name."""
    try:
        return str(one.command("CONFIG", "GET", name)[1].decode())
    except (ResponseError, IndexError):
        return ""


def _migrations(patient: Patient) -> Iterator[Finding]:
    missing, unknown = known() - applied(), applied() - known()
    if unknown:
        yield Finding(
            "Migrations",
            Level.WARNING,
            f"{len(unknown)} are of a newer version.",
            "Fine while versions change; else install the newer one.",
        )
    if missing:
        yield Finding(
            "Migrations",
            Level.WRONG,
            f"{len(missing)} wait: {sorted(missing)[0]} …",
            "Run `manage.py migrate_schemas`.",
        )
    behind = list(_schemas_behind())
    if behind:
        yield Finding(
            "Migrations",
            Level.WRONG,
            f"Schemas are behind: {', '.join(behind[:5])}.",
            "Run `manage.py migrate_schemas` again: it goes on where it broke off.",
        )
    if not (missing or behind):
        yield Finding("Migrations", Level.FINE, "All are made.")


def _schemas_behind() -> Iterator[str]:
    """Those of the newest tenants, and the template, that lack a migration of theirs."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    rooms = {room.rpartition(".")[2] for room in settings.TENANT_APPS}
    wanted = {key for key in loader.disk_migrations if key[0] in rooms}
    newest = Tenant.objects.order_by("-pk").values_list("schema_name", flat=True)[:SCHEMAS]
    for schema in [settings.TEMPLATE_SCHEMA, *newest]:
        with in_tenant(schema), connection.cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            if wanted - set(cursor.fetchall()):
                yield schema
    tenant_connection().set_schema_to_public()


def _recorder(patient: Patient) -> Iterator[Finding]:
    age = Journal(patient.valkey).age_ms() / 1_000
    level = Level.WRONG if age > RECORDER_AWAY else Level.WARNING if age > RECORDER_LATE else Level.FINE
    do = "Start `manage.py record`; its log says what keeps it." if level else ""
    yield Finding("Recorder", level, f"The oldest decision waits for {age:.0f} s to be recorded.", do)
    for name, _, value in stores.samples(patient.valkey, _broker()):
        if name == "palisade_journal_dead_entries" and value:
            yield Finding(
                "Recorder",
                Level.WRONG,
                f"{value:.0f} journal entries were put aside.",
                "docs/operations.md: Journal entries that can't be recorded.",
            )


def _clock_and_workers(patient: Patient) -> Iterator[Finding]:
    """Figures are taken when the clock asks and the money worker works: the queues tell which of them is away."""
    ages = dict(_figures(patient, figures.AGE))
    waiting = {
        labels[0]: value for name, labels, value in stores.samples(patient.valkey, _broker()) if "queue_age" in name
    }
    silent = ages.get(("often",), float("inf"))
    if silent <= CLOCK_LATE:
        yield Finding("Clock and workers", Level.FINE, f"What is due was done {silent:.0f} s ago.")
    elif waiting.get("money", 0) > CLOCK_LATE:
        yield Finding("Workers", Level.WRONG, "Nobody works through the queue `money`.", "Start its worker (Procfile).")
    else:
        since = f"for {silent:.0f} s" if silent < float("inf") else "for hours, or never"
        yield Finding("Clock", Level.WRONG, f"Nothing was asked for {since}.", "Start `beat` (Procfile), one of it.")
    for queue, age in waiting.items():
        if queue != "money" and age > QUEUE_LATE:
            yield Finding(
                "Workers", Level.WARNING, f"A task of `{queue}` waits for {age:.0f} s.", "Start more of them."
            )


def _broker() -> Valkey:
    """Where tasks wait."""
    return server(settings.BROKER_URL, settings.REDIS_TIMEOUT)


def _outbox(patient: Patient) -> Iterator[Finding]:
    oldest = max((value for _, value in _figures(patient, "palisade_outbox_oldest_due_seconds")), default=0.0)
    late = oldest > OUTBOX_LATE
    do = "Start `manage.py deliver`." if late else ""
    yield Finding("Outbox", Level.WARNING if late else Level.FINE, f"The oldest message is {oldest:.0f} s late.", do)


def _figures(patient: Patient, wanted: str) -> Iterator[tuple[tuple[str, ...], float]]:
    told = figures.samples(patient.valkey, patient.now)
    return ((tuple(labels), value) for name, labels, value in told if name == wanted)


def _disks(patient: Patient) -> Iterator[Finding]:
    folders = [Path(settings.MEDIA_ROOT).parent, *([Path(settings.BACKUP_DIR)] if settings.BACKUP_DIR else [])]
    for folder in folders:
        there = next(one for one in (folder, *folder.parents) if one.exists())
        disk = shutil.disk_usage(there)
        free = disk.free / disk.total
        level = Level.WRONG if free < DISK_FULL else Level.WARNING if free < DISK_LOW else Level.FINE
        do = "Make room: old backups and logs first; then a larger disk." if level else ""
        yield Finding("Disk", level, f"{free:.0%} of the disk of {folder} are free.", do)


def _clocks(patient: Patient) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        before = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        theirs = {"PostgreSQL's": cursor.fetchone()[0] - (before + time.time()) / 2}
    seconds, micros = map(int, patient.valkey.command("TIME"))
    theirs["Valkey's"] = seconds + micros / 1_000_000 - time.time()
    far = {name: off for name, off in theirs.items() if abs(off) > CLOCKS_DIFFER}
    for name, off in far.items():
        yield Finding("Time", Level.WRONG, f"{name} clock is {off:+.1f} s from ours.", "Let NTP set all of them.")
    if not far:
        yield Finding("Time", Level.FINE, "The clocks agree.")


def _mail(patient: Patient) -> Iterator[Finding]:
    if not settings.EMAIL_BACKEND.endswith("smtp.EmailBackend"):
        level = Level.WARNING if settings.PUBLIC_HOSTS else Level.FINE
        yield Finding("Mail", level, "Mails become files: nobody gets any.", "Set PALISADE_EMAIL_URL." if level else "")
        return
    try:
        socket.create_connection((settings.EMAIL_HOST, settings.EMAIL_PORT), timeout=5).close()
    except OSError as trouble:
        said = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT} can't be reached: {trouble}"
        yield Finding("Mail", Level.WRONG, said, "Look at PALISADE_EMAIL_URL and at what stands between.")
    else:
        yield Finding("Mail", Level.FINE, f"{settings.EMAIL_HOST} answers.")


def _stripe(patient: Patient) -> Iterator[Finding]:
    key = settings.STRIPE_API_KEY
    if not key:
        yield Finding("Stripe", Level.FINE, "Not set: invoices are paid by bank transfer.")
        return
    if not settings.STRIPE_WEBHOOK_SECRET:
        said = "STRIPE_WEBHOOK_SECRET is missing: what Stripe tells us is refused."
        yield Finding("Stripe", Level.WRONG, said, "Make a webhook to /stripe/webhook and set its secret.")
    if not key.startswith(("sk_", "rk_")):
        yield Finding("Stripe", Level.WRONG, "STRIPE_API_KEY is no secret key.", "It begins with sk_ or rk_.")
    elif "_test_" in key and settings.PUBLIC_HOSTS:
        yield Finding(
            "Stripe", Level.WARNING, "STRIPE_API_KEY is of the test mode: no money moves.", "Set the live one."
        )
    elif settings.STRIPE_WEBHOOK_SECRET:
        yield Finding("Stripe", Level.FINE, "Key and webhook's secret are set.")


def _backups(patient: Patient) -> Iterator[Finding]:
    if not settings.BACKUP_DIR:
        said = "None is made: PALISADE_BACKUP_DIR is not set."
        level = Level.WRONG if settings.PUBLIC_HOSTS else Level.WARNING
        yield Finding("Backups", level, said, "Name a folder on another disk, and copy from it elsewhere.")
        return
    tries = Backup.objects.filter(tenant="")
    last, kept = tries.first(), tries.filter(trouble="", removed_at=None).first()
    if last and last.trouble:
        yield Finding("Backups", Level.WRONG, f"The last one failed: {last.trouble}", "Run `manage.py backup`.")
    if kept is None or patient.now - kept.made_at > BACKUP_LATE:
        since = f"since {kept.made_at:%Y-%m-%d %H:%M} UTC" if kept else "at all"
        yield Finding(
            "Backups", Level.WRONG, f"None was made {since}.", "Run `manage.py backup`; look at worker `heavy`."
        )
    elif not Path(kept.file).exists():
        yield Finding("Backups", Level.WARNING, f"{kept.file} is not here.", "Look whether it is where it was made.")
    else:
        yield Finding("Backups", Level.FINE, f"The last is of {kept.made_at:%Y-%m-%d %H:%M} UTC, {kept.size:,} bytes.")


def _checks(patient: Patient) -> Iterator[Finding]:
    """What the regular checks found last: served = recorded = invoiced, payments, decisions as their receipts say."""
    rows = list(RegularCheck.objects.exclude(name=BACKUP).order_by("name"))
    for row in rows:
        if row.count:
            said = f"{row.name}: {row.count} differences, the first: {row.differences[0]}"
            yield Finding("Checks", Level.WRONG, said, "docs/runbook.md: PalisadeBooksDiffer.")
        elif row.checked_at < patient.now - CHECK_LATE:
            said = f"{row.name}: not checked since {row.checked_at:%Y-%m-%d %H:%M} UTC."
            yield Finding("Checks", Level.WARNING, said, "Look at the worker of `heavy` and at `beat`.")
    if not any(row.count for row in rows):
        yield Finding("Checks", Level.FINE, "The last ones found no difference.")


def _programs(patient: Patient) -> Iterator[Finding]:
    try:
        program("pg_dump")
    except ProgramMissing as missing:
        yield Finding("Programs", Level.WRONG, str(missing), "Install PostgreSQL's client programs.")


def _settings(patient: Patient) -> Iterator[Finding]:
    """What `manage.py check --deploy` finds, where this installation is public."""
    if settings.PUBLIC_HOSTS:
        for found in run_checks(include_deployment_checks=True):
            if not found.is_silenced():
                level = Level.WRONG if found.level >= ERROR else Level.WARNING
                yield Finding("Settings", level, f"{found.msg} ({found.id})", found.hint or "docs/settings.md")
    elif urlsplit(settings.API_URL).hostname not in ("127.0.0.1", "localhost", "::1"):
        said = "PALISADE_PUBLIC_HOST is not set, but the API has a public address."
        yield Finding("Settings", Level.WARNING, said, "Set it: TLS, HSTS and secure cookies follow from it.")


#: What is looked at, in this order.
LOOKS: Mapping[str, Callable[[Patient], Iterator[Finding]]] = {
    "PostgreSQL": _postgres,
    "Valkey": _valkey,
    "Migrations": _migrations,
    "Recorder": _recorder,
    "Clock and workers": _clock_and_workers,
    "Outbox": _outbox,
    "Disk": _disks,
    "Time": _clocks,
    "Mail": _mail,
    "Stripe": _stripe,
    "Backups": _backups,
    "Checks": _checks,
    "Own models": tenant_looks.own_models,
    "Simulations": tenant_looks.simulations,
    "Lists": tenant_looks.lists,
    "Programs": _programs,
    "Settings": _settings,
}


def worst(findings: Sequence[Finding]) -> Level:
    return max((finding.level for finding in findings), default=Level.FINE)
