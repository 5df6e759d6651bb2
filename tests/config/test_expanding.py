"""Migrations only expand: the version that runs while they are made goes on with the tables they leave."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.db import models
from django.db.migrations import operations as made
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED

#: The last migration of each room before there was an installation to migrate: nothing ran beside these.
BEFORE: Mapping[str, str] = {
    "accounts": "0008", "alerts": "0001", "api_keys": "0004", "batches": "0003", "billing": "0014", "ingest": "0001",
    "notifications": "0009", "offboarding": "0002", "operations": "0001", "review": "0001", "scoring": "0008",
    "support": "0001", "usage": "0006",
}  # fmt: skip
#: Migrations that take something away, and since which release nothing reads or writes it: the contracting half.
CONTRACTING: Mapping[str, str] = {}


Field = Any


def _takes_away(operation: Any, before: Field | None) -> str | None:
    return "takes away what the running version reads and writes"


def _new_field(operation: Any, before: Field | None) -> str | None:
    field = operation.field
    if field.null or field.many_to_many or field.generated or field.db_default is not NOT_PROVIDED:
        return None
    return "is a column that the running version does not fill: null=True, db_default, or generated"


def _altered_field(operation: Any, before: Field | None) -> str | None:
    """Choices, texts and defaults are no matter of the database; nor does a column that takes more trouble anybody."""
    after = operation.field
    if before is None or type(after) is not type(before):
        return "is of another type"
    narrower = (before.null and not after.null) or (after.unique and not before.unique)
    shorter = after.max_length is not None and (before.max_length or after.max_length + 1) > after.max_length
    return "may refuse what the running version writes" if narrower or shorter else None


def _constraint(operation: Any, before: Field | None) -> str | None:
    return "may refuse what the running version writes"


#: What is looked at: a kind of operation, and what is wrong with one, if anything.
RULES: Mapping[type[Any], Callable[[Any, Field | None], str | None]] = {
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


def faults(app: str, operations: list[Any], state: ProjectState) -> Iterator[str]:
    """What the running version could not stand. What is done to a table of the same migration troubles nobody."""
    new = {operation.name.lower() for operation in operations if isinstance(operation, made.CreateModel)}
    for operation in operations:
        if isinstance(operation, made.SeparateDatabaseAndState):
            yield from faults(app, operation.database_operations, state)
        rule, of = RULES.get(type(operation)), getattr(operation, "model_name", getattr(operation, "name", "")).lower()
        model = state.models.get((app, of))
        before = model.fields.get(getattr(operation, "name", "")) if model else None
        if rule and of not in new and (fault := rule(operation, before)):
            yield f"{operation.describe()}: {fault}"


def ours() -> Iterator[tuple[str, str, list[str]]]:
    """(room, migration, its faults), of every migration of ours."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    for (app, name), migration in sorted(loader.disk_migrations.items()):
        if migration.__module__.startswith("apps."):
            late = name[:4] > BEFORE.get(app, "")
            state = loader.project_state((app, name), at_end=False) if late else ProjectState()
            yield app, name, list(faults(app, migration.operations, state)) if late else []


def test_migrations_since_the_first_installation_only_expand() -> None:
    found = [
        f"{app}.{name}: {fault}" for app, name, said in ours() if f"{app}.{name}" not in CONTRACTING for fault in said
    ]
    assert found == [], "expand now, contract a release later (docs/operations.md#restarts)"


def test_every_room_that_had_migrations_was_looked_at() -> None:
    assert {app for app, _, _ in ours()} >= set(BEFORE)


def text(length: int, **options: Any) -> Any:
    return models.CharField(max_length=length, **options)


#: A decision with a column of five letters.
TABLE = made.CreateModel(
    "decision", [("id", models.AutoField(primary_key=True)), ("more", text(5)), ("maybe", text(5, null=True))]
)
UNIQUE = models.UniqueConstraint(fields=["id"], name="one")


@pytest.mark.parametrize(
    ("operation", "stands"),
    [
        (made.AddField("decision", "new", text(5, null=True)), True),
        (made.AddField("decision", "new", text(5, db_default="")), True),
        (made.AddField("decision", "new", text(5, default="")), False),
        (made.AlterField("decision", "more", text(9, choices=[("a", "A")])), True),
        (made.AlterField("decision", "more", text(4)), False),
        (made.AlterField("decision", "more", text(5, unique=True)), False),
        (made.AlterField("decision", "more", models.IntegerField()), False),
        (made.AlterField("decision", "more", text(5, null=True)), True),
        (made.AlterField("decision", "maybe", text(5)), False),
        (made.RemoveField("decision", "more"), False),
        (made.RenameField("decision", "more", "less"), False),
        (made.DeleteModel("decision"), False),
        (made.AddIndex("decision", models.Index(fields=["id"], name="one")), True),
        (made.AddConstraint("decision", UNIQUE), False),
    ],
)
def test_what_the_running_version_stands(operation: Any, stands: bool) -> None:
    state = ProjectState()
    TABLE.state_forwards("scoring", state)
    assert (list(faults("scoring", [operation], state)) == []) is stands
    assert list(faults("scoring", [TABLE, operation], state)) == []
