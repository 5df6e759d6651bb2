"""Making a tenant's schema by replaying the dump of a template schema.

Running the migrations for a tenant takes 0.6 s; replaying the text of a dump a fraction of it, with every name kept.
The dump is taken by `pg_dump` in the same step as `migrate_schemas`, which later puts after it what the template gets;
it lives in `public` so that a process far from any `pg_dump` can make tenants.
"""

import hashlib
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.accounts.models import SchemaTemplate
from apps.accounts.naming import check_schema
from apps.accounts.postgres_programs import login, program
from apps.accounts.tenancy import tenant_connection

#: Session settings of the dump that would outlive it, and psql's own commands: neither belongs into a replay.
_NOT_REPLAYED = re.compile(r"^(SET .*|SELECT pg_catalog\.set_config.*|\\.*|--.*)\n", re.MULTILINE)
#: A migration of the template's, as the dump notes it or what was put after it.
_NOTED = re.compile(
    r"^(?:INSERT INTO \w+\.django_migrations VALUES )?\((?:\d+, )?'([^']+)', '([^']+)', ['n]", re.MULTILINE
)
#: Statements that are put after a dump before it is taken anew: each is one more for each new tenant.
_MOST_APPENDED = 50
#: Stands before what was put after a dump.
_APPENDED = "-- since the dump\n"


class TemplateMissing(RuntimeError):
    """`migrate_schemas` has not been run yet."""


def refresh() -> None:
    """Dump the migrated template schema and keep the text."""
    _keep(_begun())


@contextmanager
def refreshing() -> Iterator[None]:
    """The same beside what is done in the block, and only where the text that is kept is of other migrations.

    pg_dump reads the catalogue of all schemas first: of 1,000 tenants' that takes seconds.
    """
    if is_current():
        yield
        return
    dump = _begun()
    try:
        yield
    finally:
        _keep(dump)


def append(statements: str) -> None:
    """Let new tenants get what the template just got: cheaper than a dump, which reads all schemas' catalogue.

    `statements` find the template by the path they set. What has got too long is left alone, and dumped anew then.
    """
    kept = SchemaTemplate.objects.get(pk=1)
    appended = kept.sql.partition(_APPENDED)[2]
    if (appended + statements).count(";\n") <= _MOST_APPENDED:
        text = kept.sql if appended else kept.sql + _APPENDED
        SchemaTemplate.objects.filter(pk=1).update(sql=f"{text}{statements}\n", refreshed_at=timezone.now())


def create_schema(name: str) -> str:
    """Build a tenant's schema; the MD5 of the text it was built of. Raises `TemplateMissing`, or the database's error
    when the schema exists."""
    check_schema(name)
    template = SchemaTemplate.objects.filter(pk=1).first()
    if template is None:
        raise TemplateMissing("run `manage.py migrate_schemas` first")
    with connection.cursor() as cursor:
        cursor.execute(re.sub(rf"\b{settings.TEMPLATE_SCHEMA}\b", name, template.sql))
        cursor.execute(tenant_connection().path())  # what was appended has set it to the new schema's
    return hashlib.md5(template.sql.encode(), usedforsecurity=False).hexdigest()


def is_current() -> bool:
    """Whether the text that is kept notes the migrations the template has now."""
    kept = SchemaTemplate.objects.filter(pk=1).values_list("sql", flat=True).first()
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT app, name FROM "{settings.TEMPLATE_SCHEMA}".django_migrations')
        return kept is not None and set(_NOTED.findall(kept)) == set(cursor.fetchall())


def _begun() -> "subprocess.Popen[str]":
    """pg_dump of the template's definition and rows (only django_migrations has any) as SQL text."""
    command = [program("pg_dump"), "--schema", settings.TEMPLATE_SCHEMA, "--inserts"]
    command += ["--no-owner", "--no-privileges", "--no-comments"]
    return subprocess.Popen(command, env=login(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _keep(dump: "subprocess.Popen[str]") -> None:
    """Keep what a dump says. Raises `CalledProcessError` where it failed."""
    text, trouble = dump.communicate()
    if dump.returncode:
        raise subprocess.CalledProcessError(dump.returncode, dump.args, text, trouble)
    replayed = _NOT_REPLAYED.sub("", text)
    SchemaTemplate.objects.update_or_create(pk=1, defaults={"sql": replayed, "refreshed_at": timezone.now()})
