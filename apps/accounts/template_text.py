"""The text of the template's dump, made quick to replay. Pure.

`pg_dump` writes a table, its identity, its keys and each row as statements of their own, as suits a restore of much
data. Replayed over empty tables each costs Postgres another look at the catalogue, so here a table is made with its
identity and its keys at once, and the rows of `django_migrations` are one statement. All names stay as they are.
"""

import re
from collections.abc import Sequence

#: Session settings of the dump that would outlive it, and psql's own commands: neither belongs into a replay.
_NOT_REPLAYED = re.compile(r"^(SET .*|SELECT pg_catalog\.set_config.*|\\.*|--.*|)\n", re.MULTILINE)
#: A plain table; partitions and their parents end otherwise, and stay as they are.
_TABLE = re.compile(r"^CREATE TABLE (?P<table>\S+) \(\n(?P<body>(?: {4}.*\n)+)\);\n", re.MULTILINE)
_KEY = re.compile(
    r"^ALTER TABLE ONLY (?P<table>\S+)\n {4}ADD (?P<key>CONSTRAINT \S+ (?:PRIMARY KEY|UNIQUE) .*);\n", re.MULTILINE
)
_IDENTITY = re.compile(
    r"^ALTER TABLE (?P<table>\S+) ALTER COLUMN (?P<column>\S+) ADD (?P<identity>GENERATED [^;]*\n\));\n", re.MULTILINE
)
#: A sequence as it is made anyway.
_UNUSED = re.compile(r"^SELECT pg_catalog\.setval\('[^']+', 1, false\);\n", re.MULTILINE)
_ROW = re.compile(r"^INSERT INTO (?P<table>\S+\.django_migrations) VALUES (?P<row>\(\d+, .*\));\n", re.MULTILINE)
#: A migration as the text notes it, a line each.
_NOTED = re.compile(r"^\((?:\d+, )?'([^']+)', '([^']+)', ", re.MULTILINE)


def condensed(dump: str) -> str:
    """What is replayed of a dump, in as few statements as do the same."""
    text = _UNUSED.sub("", _NOT_REPLAYED.sub("", dump))
    text = _with_identities(_with_keys(text))
    return _with_one_insert(text)


def migrations_of(text: str) -> set[tuple[str, str]]:
    """The (app, name) a replayed text notes as made."""
    return set(_NOTED.findall(text))


def noted(migrations: Sequence[tuple[str, str]]) -> str:
    """SQL that notes migrations in the schema that is first on the path; "" for none."""
    if not migrations:
        return ""
    rows = ",\n".join(f"('{app}', '{name}', now())" for app, name in migrations)
    return f"INSERT INTO django_migrations (app, name, applied) VALUES\n{rows};"


def _with_keys(text: str) -> str:
    """Primary keys and unique constraints stand in their tables."""
    tables = {found["table"] for found in _TABLE.finditer(text)}
    keys: dict[str, list[str]] = {}
    for found in _KEY.finditer(text):
        keys.setdefault(found["table"], []).append(found["key"])
    text = _KEY.sub(lambda found: "" if found["table"] in tables else found[0], text)
    return _TABLE.sub(lambda found: _lengthened(found, keys.get(found["table"], [])), text)


def _lengthened(found: re.Match[str], keys: Sequence[str]) -> str:
    lines = [found["body"].rstrip("\n"), *(f"    {key}" for key in keys)]
    return f"CREATE TABLE {found['table']} (\n" + ",\n".join(lines) + "\n);\n"


def _with_identities(text: str) -> str:
    """Identities stand at their columns."""
    identities = {(found["table"], found["column"]): found["identity"] for found in _IDENTITY.finditer(text)}
    done: set[tuple[str, str]] = set()

    def given(found: re.Match[str]) -> str:
        made = found[0]
        for (table, column), identity in identities.items():
            if table == found["table"]:
                bare = re.compile(rf"^( {{4}}{re.escape(column)} \S+) NOT NULL", re.MULTILINE)
                made, times = bare.subn(rf"\1 {identity}", made, count=1)
                done.update([(table, column)] * times)
        return made

    text = _TABLE.sub(given, text)
    return _IDENTITY.sub(lambda found: "" if (found["table"], found["column"]) in done else found[0], text)


def _with_one_insert(text: str) -> str:
    """The rows that note migrations are inserted at once, where the first of them was."""
    rows = list(_ROW.finditer(text))
    if not rows:
        return text
    together = f"INSERT INTO {rows[0]['table']} VALUES\n" + ",\n".join(row["row"] for row in rows) + ";\n"
    return text[: rows[0].start()] + together + _ROW.sub("", text[rows[0].end() :])
