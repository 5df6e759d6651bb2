"""The description says what is there: every address, no other, current, valid, with examples that work."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import schemathesis
from django.urls import URLPattern

from apps.api.decision_filters import FILTERS
from apps.api.documentation import OPENAPI
from apps.api.openapi.document import document
from apps.errors import KINDS
from config.urls_api import urlpatterns
from tests.api.bodies import DRAINED, asking
from tests.api.test_404_isolation import MAKE
from tests.cast import Api
from tests.own_models.kept import enough_frauds

DOCUMENT: dict[str, Any] = json.loads(OPENAPI.read_text())


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def as_path(pattern: URLPattern) -> str:
    """A regular expression of config/urls_api.py as the description writes it."""
    text = str(pattern.pattern).removeprefix("^").removesuffix("/?$")
    text = re.sub(r"\(\?P<drawn>(.*?)\)", r"\1", text)
    return "/" + re.sub(r"\(\?P<(\w+)>.*?\)", r"{\1}", text).replace("\\", "")


def handled(pattern: URLPattern) -> set[str]:
    view = getattr(pattern.callback, "view_class", None)
    if view is None:
        return {"GET"}
    return {method.upper() for method in view.http_method_names if hasattr(view, method)} - {"HEAD"}


def test_the_file_is_what_the_code_says_now() -> None:
    assert document() == DOCUMENT, "make openapi"


def test_every_address_is_described_and_no_other() -> None:
    served = {(as_path(pattern), method) for pattern in urlpatterns for method in handled(pattern)}
    assert served == {(path, method) for path, method, _ in operations()}


def test_it_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(DOCUMENT).validate()


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_is_a_json_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_every_reference_leads_somewhere() -> None:
    for reference in set(re.findall(r'"#/components/(\w+)/(\w+)"', json.dumps(DOCUMENT))):
        assert reference[1] in DOCUMENT["components"][reference[0]]


def test_a_month_has_one_form_wherever_it_stands() -> None:
    months = ("month", "months", "period", "first_month", "last_month")
    told = [
        (struct, name, field.get("items", field))
        for struct, schema in DOCUMENT["components"]["schemas"].items()
        for name, field in schema.get("properties", {}).items()
        if name in months
    ]
    texts_of_months = [row for row in told if "string" in row[2].get("type", ())]
    assert len(texts_of_months) >= 7
    assert [row[:2] for row in texts_of_months if row[2].get("pattern") != "^[0-9]{4}-[0-9]{2}$"] == []


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


def test_every_error_an_address_gives_is_in_the_description() -> None:
    told = set(re.findall(r"^\* `(\w+)`", "\n".join(texts()), re.MULTILINE))
    elsewhere = {"method_not_allowed", "server_busy"}  # of methods that are not described, and of the portal
    assert told == set(KINDS) - elsewhere


def texts() -> list[str]:
    return [answer["description"] for _, _, operation in operations() for answer in operation["responses"].values()]


def test_every_filter_is_a_parameter() -> None:
    parameters = DOCUMENT["paths"]["/v1/decisions"]["get"]["parameters"]
    assert set(FILTERS) | {"limit", "cursor"} == {
        parameter["name"] for parameter in parameters if parameter["in"] == "query"
    }


EXAMPLES = [
    pytest.param(path, example["value"], id=f"{path} {name}")
    for path, _, operation in operations()
    for content in operation.get("requestBody", {}).get("content", {}).values()
    for name, example in content.get("examples", {}).items()
]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that finds the document's components."""
    return schema | {"components": DOCUMENT["components"]}


#: What has to be there for an address's examples.
BEFORE = {"/v1/labels": ("/v1/decisions", asking(DRAINED | {"transaction_id": "txn_123"}))}


@pytest.mark.parametrize(("path", "body"), EXAMPLES)
def test_every_example_works_and_is_answered_as_described(alice: Api, path: str, body: Any) -> None:
    if path == "/v1/models/train":
        enough_frauds(alice.tenant)
    if path in BEFORE:
        alice.post(*BEFORE[path])
    address = re.sub(r"\{(\w+)\}", lambda name: MAKE[name[1]](alice), path)
    method = "patch" if "patch" in DOCUMENT["paths"][path] else "post"
    answer = alice.call(method.upper(), address, json.dumps(body).encode())
    assert answer.status_code in (200, 201, 202), answer.content
    described = DOCUMENT["paths"][path][method]["responses"][str(answer.status_code)]["content"]["application/json"][
        "schema"
    ]
    jsonschema.validate(answer.json(), resolved(described))


def test_example_answers_fit_their_schema() -> None:
    for _, _, operation in operations():
        for answer in operation["responses"].values():
            for content in answer["content"].values():
                for example in content.get("examples", {}).values():
                    value = example.get("value") or DOCUMENT["components"]["examples"][example["$ref"].split("/")[-1]]
                    jsonschema.validate(value.get("value", value), resolved(content["schema"]))
