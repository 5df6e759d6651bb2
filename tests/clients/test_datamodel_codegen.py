"""datamodel-code-generator: its models write every request's body and read every answer, over httpx."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from apps.api.documentation import OPENAPI
from tests.cast import Api
from tests.clients.calls import Operation, with_times
from tests.pace import within

GENERATOR = Path(sys.executable).parent / "datamodel-codegen"

OPTIONS = (
    *("--input-file-type", "openapi", "--output-model-type", "pydantic_v2.BaseModel"),
    *("--target-python-version", "3.11", "--formatters", "builtin", "--disable-timestamp"),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The generated module."""
    file = tmp_path_factory.mktemp("datamodel-codegen") / "palisade_by_datamodel_codegen.py"
    done = subprocess.run(
        [GENERATOR, "--input", OPENAPI, "--output", file, *OPTIONS],
        capture_output=True,
        text=True,
        check=False,
        timeout=within(60),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return _imported(file)


def _imported(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(service: str, customer: Api) -> Any:
    assert customer.player is not None
    key = {"Authorization": f"Bearer {customer.player.text}"}
    with httpx.Client(base_url=service, headers=key, timeout=within(20)) as client:
        yield client


def test_every_operation(models: Any, client: httpx.Client, every_operation: list[Operation]) -> None:
    wrong = {operation.id: what for operation in every_operation if (what := _wrong(operation, models, client))}
    assert wrong == {}


def test_a_refusal_is_read(models: Any, client: httpx.Client) -> None:
    refused = models.Problem.model_validate(client.get("/v1/decisions/dec_none").json())
    assert (refused.status, refused.code.value) == (404, "not_found")


def _wrong(operation: Operation, models: Any, client: httpx.Client) -> str:
    """What is wrong with an operation; "" when it is answered and its model reads the answer."""
    call, body = operation.call, None
    if call.kind:
        body = TypeAdapter(getattr(models, call.kind)).validate_python(call.body)
        body = TypeAdapter(type(body)).dump_json(body, by_alias=True, exclude_unset=True)
    answer = client.request(
        operation.method,
        operation.address.format(**call.path),
        params=dict(call.query),
        headers={**call.headers, "Content-Type": "text/csv" if call.file else "application/json"},
        content=call.file or body,
    )
    if answer.status_code not in operation.statuses:
        return f"{answer.status_code} {answer.text}"
    if operation.media_type != "application/json":
        return "" if answer.content else "there is nothing in it"
    kind = _model_of(operation.answer_schema, models)
    read = TypeAdapter(kind).dump_python(
        TypeAdapter(kind).validate_json(answer.content), mode="json", by_alias=True, exclude_unset=True
    )
    return "" if with_times(read) == with_times(answer.json()) else f"{answer.json()} was read as {read}"


def _model_of(schema: Any, models: Any) -> Any:
    """The model of an answer: that of its name, or one of several."""
    if "$ref" in schema:
        return getattr(models, schema["$ref"].rpartition("/")[2])
    kinds = [_model_of(part, models) for part in schema["anyOf"]]
    return kinds[0] | kinds[1] if len(kinds) == 2 else kinds[0] | kinds[1] | kinds[2]
