"""Migrations only expand: the version that runs while they are made goes on with the tables they leave."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.db import models
from django.db.migrations import operations as made
from django.db.migrations.loader import MigrationLoader
from django.db.models import NOT_PROVIDED

#: The last migration of each room before there was an installation to migrate: nothing ran beside these.
BEFORE: Mapping[str, str] = {
    "accounts": "0008", "alerts": "0001", "api_keys": "0004", "batches": "0001", "billing": "0014", "ingest": "0001",
    "notifications": "0009", "offboarding": "0002", "operations": "0001", "review": "0001", "scoring": "0008",
    "support": "0001", "usage": "0006",
}  # fmt: skip
#: Migrations that take something away, and since which release nothing reads or writes it: the contracting half.
CONTRACTING: Mapping[str, str] = {}


def _takes_away(operation: Any) -> str | None:
    return "takes away what the running version reads and writes"


def _new_field(operation: Any) -> str | None:
    field = operation.field
    if field.null or field.many_to_many or field.db_default is not NOT_PROVIDED:
        return None
    return "is a column that the running version does not fill: null=True or db_default"


def _altered_field(operation: Any) -> str | None:
    field = operation.field
    if field.null or field.primary_key or field.db_default is not NOT_PROVIDED:
        return None
    return "may refuse what the running version writes: keep null=True, or give it a db_default"


def _constraint(operation: Any) -> str | None:
    return "may refuse what the running version writes"


#: What is looked at: a kind of operation, and what is wrong with one, if anything.
RULES: Mapping[type[Any], Callable[[Any], str | None]] = {
    made.RemoveField: _takes_away,
    made.RenameField: _takes_away,
    made.DeleteModel: _takes_away,
    made.RenameModel: _takes_away,
    made.AlterModelTable: _takes_away,
    made.AddField: _new_field,
    made.AlterField: _altered_field,
    made.AddConstraint: _constraint,
    made.AlterUniqueTogether: _constraint,
}


def faults(operations: list[Any]) -> Iterator[str]:
    """What the running version could not stand. What is done to a table of the same migration troubles nobody."""
    new = {operation.name.lower() for operation in operations if isinstance(operation, made.CreateModel)}
    for operation in operations:
        if isinstance(operation, made.SeparateDatabaseAndState):
            yield from faults(operation.database_operations)
        rule = RULES.get(type(operation))
        if rule and getattr(operation, "model_name", getattr(operation, "name", "")).lower() not in new:
            fault = rule(operation)
            if fault:
                yield f"{operation.describe()}: {fault}"


def ours() -> Iterator[tuple[str, str, list[Any]]]:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    for (app, name), migration in sorted(loader.disk_migrations.items()):
        if Path(str(__import__(migration.__module__, fromlist=["x"]).__file__)).is_relative_to(
            Path(__file__).parents[2] / "apps"
        ):
            yield app, name, migration.operations


def test_migrations_since_the_first_installation_only_expand() -> None:
    found = [
        f"{app}.{name}: {fault}"
        for app, name, operations in ours()
        if name[:4] > BEFORE.get(app, "") and f"{app}.{name}" not in CONTRACTING
        for fault in faults(operations)
    ]
    assert found == [], "expand now, contract a release later (docs/operations.md#restarts)"


def test_every_room_with_migrations_was_looked_at() -> None:
    assert {app for app, _, _ in ours()} >= set(BEFORE)


COLUMN = models.CharField(max_length=5)


@pytest.mark.parametrize(
    ("operation", "stands"),
    [
        (made.AddField("decision", "more", models.CharField(max_length=5, null=True)), True),
        (made.AddField("decision", "more", models.CharField(max_length=5, db_default="")), True),
        (made.AddField("decision", "more", models.CharField(max_length=5, default="")), False),
        (made.AlterField("decision", "more", models.CharField(max_length=9, null=True)), True),
        (made.AlterField("decision", "more", COLUMN), False),
        (made.RemoveField("decision", "more"), False),
        (made.RenameField("decision", "more", "less"), False),
        (made.DeleteModel("decision"), False),
        (made.AddIndex("decision", models.Index(fields=["id"], name="one")), True),
        (made.AddConstraint("decision", models.UniqueConstraint(fields=["id"], name="one")), False),
    ],
)
def test_what_the_running_version_stands(operation: Any, stands: bool) -> None:
    assert (list(faults([operation])) == []) is stands
    assert list(faults([made.CreateModel("Decision", [("id", models.AutoField(primary_key=True))]), operation])) == []
