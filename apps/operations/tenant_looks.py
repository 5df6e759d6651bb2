"""What the doctor looks at in tenants' schemas: own models, simulations, lists. All are asked in few statements."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import connection
from psycopg import sql

from apps.accounts.models import Tenant
from apps.api_keys.gate import names_of
from apps.operations.findings import Finding, Level, Patient
from apps.own_models.services import policy_of
from apps.scoring.engine.models import ModelRefused
from apps.scoring.lists.publishing import HEADER
from apps.scoring.serving import own_shelf
from apps.valkey import Valkey

#: Schemas asked in one statement.
TOGETHER = 200
#: After so long nobody trains a model that was asked for, nobody runs a simulation.
TRAINING_LATE, SIMULATION_LATE = timedelta(minutes=10), timedelta(minutes=5)
#: Models that are opened, lists that are counted: of more, the first ones.
MOST = 200
#: Named in words; of more, how many.
TOLD = 3
_TRAINING = "SELECT {schema}, id, asked_at, leased_until FROM {table} WHERE state = 'training'"
_ASKED = "SELECT {schema} FROM {table} WHERE state IN ('shadow', 'champion') GROUP BY 1"
_UNDER_WAY = "SELECT {schema}, id, touched_at FROM {table} WHERE state IN ('queued', 'running')"
_LISTS = "SELECT {schema}, name, livemode, size, version, published FROM {table} WHERE deleted_at IS NULL"


class Listed(NamedTuple):
    """A list as Postgres has it; `published`: the version Valkey was told of."""

    tenant_schema: str
    name: str
    livemode: bool
    size: int
    version: int
    published: int


def own_models(patient: Patient) -> Iterator[Finding]:
    """Models that are asked can be loaded, and those that were asked for are trained."""
    about, refused = "Own models", list(_refused())
    if refused:
        do = "Restore that tenant's schema from a backup, or retire the model: the shared one decides meanwhile."
        yield Finding(about, Level.WRONG, f"They can't be loaded: {_in_words(refused)}.", do)
    late = [f"{schema}: {name}" for schema, name, *when in _rows(_TRAINING, "scoring_ownmodel") if _idle(patient, when)]
    if late:
        said = f"Nobody trains what was asked for: {_in_words(late)}."
        yield Finding(about, Level.WRONG, said, "Start the worker of the queue `models` (Procfile).")
    if not (refused or late):
        yield Finding(about, Level.FINE, "All that are asked can be loaded.")


def _refused() -> Iterator[str]:
    schemas = [schema for (schema,) in _rows(_ASKED, "scoring_ownmodel")][:MOST]
    for tenant in Tenant.objects.filter(schema_name__in=schemas).order_by("pk"):
        asked = policy_of(tenant).own_models
        for name in {name for one in asked for name in (one.champion, *one.shadows) if name}:
            try:
                own_shelf.load(tenant.schema_name, name)
            except ModelRefused as refused:
                yield f"{tenant.slug}: {name}: {refused}"


def _idle(patient: Patient, when: Sequence[datetime | None]) -> bool:
    """Whether nobody has taken a training for too long, or whoever had is silent."""
    asked_at, leased_until = when
    since = leased_until or asked_at
    return since is not None and since < patient.now - TRAINING_LATE


def simulations(patient: Patient) -> Iterator[Finding]:
    """Those that were asked for come on."""
    late = [
        f"{schema}: {name}"
        for schema, name, touched_at in _rows(_UNDER_WAY, "simulation_simulation")
        if touched_at < patient.now - SIMULATION_LATE
    ]
    if late:
        do = "Start a worker of the queue `batches` (Procfile); whoever looks at one then has it run again."
        yield Finding("Simulations", Level.WARNING, f"They stand still: {_in_words(late)}.", do)
    else:
        yield Finding("Simulations", Level.FINE, "None stands still.")


def lists(patient: Patient) -> Iterator[Finding]:
    """Valkey knows every change of lists, and of those it has every item."""
    rows = [Listed(*row) for row in _rows(_LISTS, "scoring_valuelist")]
    waiting = [f"{row.tenant_schema}: {row.name}" for row in rows if row.published < row.version]
    if waiting:
        said = f"Valkey is still to hear of {_in_words(waiting)}."
        yield Finding("Lists", Level.WARNING, said, "The worker of `money` writes them within seconds: look again.")
    half = list(_half_written(patient.valkey, [row for row in rows if row.published == row.version][:MOST]))
    if half:
        do = "DEL that key in Valkey: the list is unknown until the worker of `money` has written it anew, in seconds."
        yield Finding("Lists", Level.WRONG, f"Valkey has a part of them: {_in_words(half)}.", do)
    if not (waiting or half):
        yield Finding("Lists", Level.FINE, "What Valkey has of them is whole.")


def _half_written(valkey: Valkey, rows: Sequence[Listed]) -> Iterator[str]:
    """Lists of which Valkey says it has this version, and has another number of items. One it has not is no fault."""
    handles = dict(Tenant.objects.values_list("schema_name", "handle"))
    keys = [names_of(handles[row.tenant_schema], row.livemode).list(row.name) for row in rows]
    commands = [command for key in keys for command in (("HGET", key, HEADER), ("HLEN", key))]
    answers = valkey.pipeline(commands) if commands else []
    for row, key, header, count in zip(rows, keys, answers[::2], answers[1::2], strict=True):
        if header and int(header.split(b" ")[0]) == row.version and count - 1 != row.size:
            yield f"{key} {count - 1:,} of {row.size:,} items"


def _rows(ask: str, table: str) -> list[tuple]:
    """The rows of a question that is asked of every tenant's table."""
    schemas = list(Tenant.objects.order_by("pk").values_list("schema_name", flat=True))
    found = list[tuple]()
    with connection.cursor() as cursor:
        for begin in range(0, len(schemas), TOGETHER):
            asked = [
                sql.SQL(ask).format(schema=sql.Literal(schema), table=sql.Identifier(schema, table))
                for schema in schemas[begin : begin + TOGETHER]
            ]
            cursor.execute(sql.SQL(" UNION ALL ").join(asked))
            found += cursor.fetchall()
    return found


def _in_words(named: Sequence[str]) -> str:
    more = f" and {len(named) - TOLD} more" if len(named) > TOLD else ""
    return ", ".join(named[:TOLD]) + more
