"""openapi-python-client: its functions call every operation, and its models give back what they read."""

import importlib
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from apps.api.documentation import OPENAPI
from tests.cast import Api
from tests.clients.calls import Operation, with_times
from tests.pace import within

GENERATOR = Path(sys.executable).parent / "openapi-python-client"
PACKAGE = "palisade_by_openapi_python_client"
OPTIONS = ("generate", "--meta", "none", "--fail-on-warning")
#: It knows JSON, text and bytes; what else is answered is named one of them.
CONFIG = """
post_hooks: []
content_type_overrides:
  image/svg+xml: application/octet-stream
  application/pdf: application/octet-stream
  application/atom+xml: application/octet-stream
  text/csv: application/octet-stream
  text/plain: application/octet-stream
  application/csv: application/octet-stream
  application/jsonl: application/octet-stream
  application/x-jsonlines: application/octet-stream
  application/gzip: application/octet-stream
  application/x-gzip: application/octet-stream
  application/zstd: application/octet-stream
  application/x-ndjson: application/octet-stream
  application/vnd.apache.parquet: application/octet-stream
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Imports a module of the client; generating it must not have left anything out."""
    folder = tmp_path_factory.mktemp("openapi-python-client")
    (folder / "config.yml").write_text(CONFIG)
    done = subprocess.run(
        [GENERATOR, *OPTIONS, "--path", OPENAPI, "--config", folder / "config.yml", "--output-path", folder / PACKAGE],
        capture_output=True,
        text=True,
        check=False,
        timeout=within(60),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    return lambda name: importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture
def client(generated: Callable[[str], Any], service: str, customer: Api) -> Any:
    assert customer.player is not None
    made = generated("client").AuthenticatedClient(base_url=service, token=customer.player.text)
    return made.with_timeout(httpx.Timeout(within(20)))


def test_every_operation(generated: Callable[[str], Any], client: Any, every_operation: list[Operation]) -> None:
    wrong = {operation.id: what for operation in every_operation if (what := _wrong(operation, generated, client))}
    assert wrong == {}


def test_a_refusal_is_read(generated: Callable[[str], Any], client: Any) -> None:
    answer = generated("api.decisions.get_decision").sync_detailed("dec_none", client=client)
    assert (answer.status_code, answer.parsed.code) == (404, "not_found")


def _wrong(operation: Operation, generated: Callable[[str], Any], client: Any) -> str:
    """What is wrong with an operation; "" when it is answered and the answer is read without a loss."""
    function = generated(f"api.{_snake(operation.tag)}.{_snake(operation.id)}").sync_detailed
    arguments = _arguments(operation, function, generated("models"))
    if operation.call.file:
        form = getattr(generated("models"), f"{operation.id[:1].upper()}{operation.id[1:]}FilesBody")
        arguments["body"] = form.from_dict({"file": operation.call.file.decode()})
    answer = function(**arguments, client=client)
    if answer.status_code not in operation.statuses:
        return f"{answer.status_code} {answer.content.decode(errors='replace')}"
    if operation.media_type != "application/json":
        return "" if answer.parsed else "there is nothing in it"
    told, read = json.loads(answer.content), answer.parsed.to_dict()
    return "" if with_times(told) == with_times(read) else f"{told} was read as {read}"


def _arguments(operation: Operation, function: Any, models: Any) -> dict[str, Any]:
    call, kinds = operation.call, inspect.signature(function).parameters
    said = {_snake(name): value for name, value in {**call.path, **call.query, **call.headers}.items()}
    arguments = {name: _as(kinds[name].annotation, value) for name, value in said.items()}
    return arguments | ({"body": getattr(models, call.kind).from_dict(call.body)} if call.kind else {})


def _as(annotation: Any, value: Any) -> Any:
    """A value as the function takes it."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Enum):
            return kind(value)
        if kind is not annotation and isinstance(value, str) and hasattr(kind, "fromisoformat"):
            return kind.fromisoformat(value)
    return value


def _snake(name: str) -> str:
    """A name as the generator writes it in Python."""
    return re.sub(r"[\s-]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)).lower()
