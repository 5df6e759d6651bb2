"""openapi-typescript: its types are checked by tsc, and openapi-fetch, run by node, calls every operation with them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from apps.api.documentation import OPENAPI
from tests.cast import Api
from tests.clients.calls import Operation
from tests.pace import within

_HERE = Path(__file__).parent
_PACKAGES = _HERE / "node_modules"
_START = """
import createClient from "openapi-fetch";
import type { paths } from "./palisade.js";
const [baseUrl, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });
const answers: Record<string, unknown> = {};
"""
_CONFIG = {
    "compilerOptions": {
        "strict": True,
        "exactOptionalPropertyTypes": True,
        "target": "es2022",
        "module": "nodenext",
        "lib": ["es2022", "dom"],
        "types": [],
        "outDir": "out",
    }
}
#: What of node's the program names: its own types would be one more package.
_NODE = "declare const process: { argv: string[] };\n"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (_PACKAGES / ".bin" / "tsc").exists(),
    reason="node or its packages are not there: install node 20 with npm, then `npm ci --prefix tests/clients`",
)


def test_every_operation(tmp_path: Path, service: str, customer: Api, every_operation: list[Operation]) -> None:
    assert customer.player is not None
    (tmp_path / "node_modules").symlink_to(_PACKAGES)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "tsconfig.json").write_text(json.dumps(_CONFIG))
    (tmp_path / "node.d.ts").write_text(_NODE)
    (tmp_path / "calls.ts").write_text(_program(every_operation))
    shutil.copy(_HERE / "reads.ts", tmp_path)
    _run(tmp_path, "openapi-typescript", str(OPENAPI), "--output", "palisade.d.ts")
    _run(tmp_path, "tsc")
    told = json.loads(_run(tmp_path, "node", "out/calls.js", service, customer.player.text))
    statuses = {operation.id: operation.statuses for operation in every_operation}
    well = {name for name, answer in told.items() if answer["status"] in statuses[name] and answer["data"]}
    assert {name: answer for name, answer in told.items() if name not in well} == {}
    assert told.keys() == {operation.id for operation in every_operation}


def _run(folder: Path, program: str, *arguments: str) -> str:
    """What a program of node's prints. Fails with all it says."""
    found = folder / "node_modules" / ".bin" / program
    done = subprocess.run(
        [found if found.exists() else program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=within(60),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _program(operations: list[Operation]) -> str:
    """A program that makes all calls and prints the answers by operation id."""
    return _START + "".join(map(_statement, operations)) + "console.log(JSON.stringify(answers));\n"


def _statement(operation: Operation) -> str:
    call = operation.call
    parameters = {"path": call.path, "query": call.query, "header": call.headers}
    options = {
        **({"params": given} if (given := {name: said for name, said in parameters.items() if said}) else {}),
        **({"body": call.body} if call.kind else {}),
        **({"body": call.file.decode(), "headers": {"Content-Type": "text/csv"}} if call.file else {}),
        **({} if operation.media_type == "application/json" else {"parseAs": "text"}),
    }
    written = json.dumps(options, indent=1)
    if call.file:
        written = written[:-1] + ", bodySerializer: (body: unknown) => body as string }"
    return (
        f"{{ const {{ data, error, response }} = await client.{operation.method.upper()}"
        f"({json.dumps(operation.address)}, {written});\n"
        f"  answers[{json.dumps(operation.id)}] = {{ status: response.status, data, error }}; }}\n"
    )
