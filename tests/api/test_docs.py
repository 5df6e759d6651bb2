"""The guide (docs/api.md) says what is so: its examples work, its tables are complete."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from django.conf import settings

from apps.api.decision_filters import FILTERS
from apps.api.openapi.document import document
from apps.errors import KINDS
from apps.notifications.kinds import HOOKED
from apps.notifications.kinds import KINDS as EVENTS
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.decision_formats import Decision
from apps.scoring.serving.transaction_fields import of_shelf
from config.local.embedded import CHECKOUT
from tests.cast import Api

GUIDE = (CHECKOUT / "docs" / "api.md").read_text()
CALLS: list[Any] = re.findall(r"curl http://127.0.0.1:8000(\S+) .*?-d '(.*?)'\n```", GUIDE, re.DOTALL)


@pytest.mark.parametrize(("path", "body"), CALLS, ids=[path for path, _ in CALLS])
def test_every_call_in_the_guide_works(alice: Api, path: str, body: str) -> None:
    assert alice.post(path, json.loads(body)).status_code == 200


def test_the_guide_has_calls() -> None:
    assert len(CALLS) == 16


@pytest.mark.parametrize("code", KINDS)
def test_every_error_is_in_the_guide(code: str) -> None:
    kind = KINDS[code]
    assert f"| `{code}` | {kind.status} | {kind.title} | {kind.fix} |" in GUIDE


@pytest.mark.parametrize("field", [field.name for field in msgspec.structs.fields(Decision) if field.name != "object"])
def test_every_field_of_a_decision_is_in_the_guide(field: str) -> None:
    assert f"`{field}`" in GUIDE


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=lambda schema: schema.name)
def test_every_field_of_a_transaction_is_in_the_guide(schema: Any) -> None:
    assert f"### {schema.name}" in GUIDE
    named = {*re.findall(r"`(\w+)`", GUIDE), *spans(GUIDE)}
    assert not [field for field in schema.fields if field not in named]


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_known_values_that_others_are_warned_against_are_in_the_guide(schema: Any) -> None:
    (section,) = re.findall(rf"### {schema.name}\n(.*?)\n##", GUIDE, re.DOTALL)
    known = [known for known in schema.known_values.values() if known.consequence and not known.listed_as]
    assert known
    assert [value for values in known for value in values.values if f"`{value}`" not in section] == []


def test_what_the_guide_says_no_model_weighs_none_weighs() -> None:
    rows = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in GUIDE.splitlines() if "o model weighs" in row]
    weighed = {field.name for fields in of_shelf(settings.ARTIFACTS_DIR).values() for field in fields if field.weighed}
    assert rows and not weighed & {name for row in rows for name in row}


def spans(text: str) -> Iterator[str]:
    """Every name of `C1` … `C14`."""
    for begin, first, last in re.findall(r"`([A-Za-z_]+)(\d+)` … `\1(\d+)`", text):
        yield from (f"{begin}{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))


@pytest.mark.parametrize("kind", HOOKED)
def test_every_event_is_in_the_guide(kind: str) -> None:
    fields = ", ".join(f"`{field}`" for field in EVENTS[kind].fields)
    assert f"| `{kind}` | {EVENTS[kind].about} | {fields} |" in GUIDE


def test_every_address_and_filter_is_in_the_guide() -> None:
    shown = {re.sub(r"\{\w+_id\}", "{id}", path) for path in document()["paths"]}
    assert not [path for path in shown if path not in GUIDE and path not in ("/docs/errors",)]
    assert not [name for name in FILTERS if f"`{name}`" not in GUIDE]
