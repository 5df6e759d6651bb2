"""A tenant's rows in `public`: found by following the models' keys to it, so that what is added later is found, too.

Each model of `public` is either the tenant's (a path of keys leads to it) or named in `NOT_CARRIED` with the reason; a
test holds that there is no third kind. Rows keep their ids, for seals, invoices and decisions name them: where one is
taken nothing is restored. People and coupons alone may be there already, by their e-mail and code, and are the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.models import ForeignKey, Model, QuerySet
from psycopg import sql

from apps.accounts.models import AuditChain, AuditEntry, Tenant, User
from apps.billing.models import Coupon

#: Models whose rows name the tenant otherwise than by a key of theirs, or by a better one.
NAMED_BY: Mapping[type[Model], str] = {
    Tenant: "pk",
    AuditEntry: "chain",
    AuditChain: "chain",
    User: "membership__tenant",
    EmailAddress: "user__membership__tenant",
    Authenticator: "user__membership__tenant",
    Coupon: "couponredemption__tenant",
}
#: What several tenants may share, by what it is known: one that is there already is the same.
SHARED: Mapping[type[Model], str] = {User: "email", Coupon: "code"}
#: Models of `public` that are not taken along, and why.
NOT_CARRIED: Mapping[str, str] = {
    "accounts.RegularCheck": "found anew by the next check",
    "accounts.ReadySchema": "the installation's own",
    "accounts.SchemaTemplate": "the installation's own",
    "admin.LogEntry": "what operators did there",
    "auth.Group": "operators' rights",
    "auth.Permission": "made by migrations",
    "axes.AccessAttempt": "locks end by themselves",
    "axes.AccessAttemptExpiration": "locks end by themselves",
    "axes.AccessFailureLog": "locks end by themselves",
    "axes.AccessLog": "logins there",
    "billing.NumberSeries": "moved on past what is restored",
    "billing.ProviderEvent": "what the provider told; payments have what came of it",
    "contenttypes.ContentType": "made by migrations",
    "operations.Backup": "backups of that installation",
    **dict.fromkeys(
        (
            "sla.BurnAlert",
            "sla.Incident",
            "sla.IncidentNote",
            "sla.Maintenance",
            "sla.PartState",
            "sla.ProbedSpan",
            "sla.RoundCount",
        ),
        "how that installation was; statements hold what they were computed from",
    ),
    "sessions.Session": "people log in again",
    "usersessions.UserSession": "people log in again",
}


def shared_models() -> Sequence[type[Model]]:
    """Models whose tables stand in `public`."""
    return [
        model
        for model in apps.get_models()
        if model._meta.managed and not model._meta.proxy and model._meta.app_config.name not in settings.TENANT_APPS
    ]


def carried() -> Sequence[type[Model]]:
    """Models whose rows are the tenant's; what others name comes first."""
    ours = {model for model in shared_models() if path_of(model) is not None}
    named = {model: [key.related_model for key in _keys(model) if key.related_model in ours] for model in ours}
    order = TopologicalSorter({model: [one for one in before if one is not model] for model, before in named.items()})
    return list(order.static_order())


def path_of(model: type[Model]) -> str | None:
    """The lookup that leads from a model's rows to the id of their tenant, None where there is none."""
    if model._meta.label in NOT_CARRIED:
        return None
    if model in NAMED_BY:
        return NAMED_BY[model]
    if {"tenant", "tenant_id"} & {field.name for field in model._meta.concrete_fields}:
        return "tenant_id"
    for key in _keys(model):
        further = path_of(key.related_model) if key.related_model is not model else None
        if further is not None:
            return f"{key.name}__{further}"
    return None


def rows_of(model: type[Model], tenant: Tenant) -> QuerySet[Any]:
    """The tenant's rows of a carried model."""
    return model._base_manager.filter(**{str(path_of(model)): tenant.pk}).order_by("pk").distinct()


def rows(model: type[Model], tenant: Tenant) -> Iterator[bytes]:
    """The tenant's rows of a model: a line of its columns, then as `COPY … TO STDOUT` writes them."""
    columns = _columns(model)
    chosen = rows_of(model, tenant).values(*(field.attname for field in columns.values()))
    yield "\t".join(columns).encode() + b"\n"
    with connection.cursor() as cursor, cursor.copy(f"COPY ({chosen.query}) TO STDOUT") as copied:
        yield from (bytes(block) for block in copied)


class Rows:
    """Rows on their way into `public`, model after model, in one transaction of the caller's."""

    def __init__(self) -> None:
        self._ids: dict[type[Model], dict[str, str]] = {model: {} for model in SHARED}
        self._known: dict[type[Model], set[str]] = {model: set() for model in SHARED}

    def write(self, model: type[Model], pieces: Iterable[bytes]) -> int:
        """Write a model's rows; how many. Raises `psycopg.IntegrityError` where one is taken."""
        lines = _lines(pieces)
        columns = next(lines).split("\t")
        table, count = sql.Identifier("public", model._meta.db_table), 0
        into = sql.SQL("COPY {} ({}) FROM STDIN").format(table, sql.SQL(", ").join(map(sql.Identifier, columns)))
        here = (self._row(model, dict(zip(columns, line.split("\t"), strict=True))) for line in lines)
        # what others may share is looked for, which can't be done while rows are copied
        rows = list(here) if model in SHARED else here
        with connection.cursor() as cursor, cursor.copy(into) as copying:
            for row in filter(None, rows):
                copying.write("\t".join(row.values()) + "\n")
                count += 1
        _move_sequence_on(model)
        return count

    def _row(self, model: type[Model], row: dict[str, str]) -> dict[str, str] | None:
        """The row as it is written here; None for one that is here already, or belongs to a person who is."""
        for key in _keys(model):
            if key.related_model in SHARED:
                value = row[key.column]
                if model in (EmailAddress, Authenticator) and value in self._known[key.related_model]:
                    return None
                row[key.column] = self._ids[key.related_model].get(value, value)
        return self._shared(model, row) if model in SHARED else row

    def _shared(self, model: type[Model], row: dict[str, str]) -> dict[str, str] | None:
        key = _key_of(model)
        old = row[key]
        there = model._base_manager.filter(**{f"{SHARED[model]}__iexact": row[SHARED[model]]}).first()
        if there is not None:
            self._ids[model][old] = str(there.pk)
            self._known[model].add(old)
            return None
        row[key] = self._ids[model][old] = _next_id(model)
        return row


def _columns(model: type[Model]) -> Mapping[str, Any]:
    """Column → field, of what is written: what Postgres generates of it is not carried."""
    return {str(field.column): field for field in model._meta.concrete_fields if not field.generated}


def _key_of(model: type[Model]) -> str:
    """The column of the primary key."""
    return str(model._meta.pk.column)


def _keys(model: type[Model]) -> Iterator[Any]:
    return (field for field in model._meta.concrete_fields if isinstance(field, ForeignKey))


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode() for line in lines)


def _next_id(model: type[Model]) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, %s))", _sequence_of(model))
        return str(cursor.fetchone()[0])


def _move_sequence_on(model: type[Model]) -> None:
    """So that the next row made here gets an id of its own."""
    table, key = sql.Identifier("public", model._meta.db_table), sql.Identifier(_key_of(model))
    move = sql.SQL("SELECT setval(s, greatest((SELECT max({}) FROM {}), nextval(s))) FROM (SELECT {}::regclass AS s) x")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", _sequence_of(model))
        if sequence := cursor.fetchone()[0]:
            cursor.execute(move.format(key, table, sql.Literal(sequence)))


def _sequence_of(model: type[Model]) -> list[str]:
    return [f"public.{model._meta.db_table}", _key_of(model)]
