"""Schemathesis drives a real server by the description alone: no 5xx, and every answer is one that was described."""

import json
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

from apps.api.documentation import OPENAPI
from tests.campaign import SIZE, campaign
from tests.cast import enter
from tests.pace import within

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
#: Columns of a kind in a small campaign.
FEW = 10
#: Operations whose bodies hold many of what another's holds one of.
ALIKE = ("createTransactions", "ingestTransactions", "predictBatch", "batchPredict", "detectEnsemble")
UNCOVERED = "phases.coverage.enabled = false"
HOW = Path(__file__).parent / "schemathesis.toml"


@campaign
def test_the_server_keeps_the_description(live: str, tmp_path: Path) -> None:
    player = enter("fuzz", "enterprise", rate_per_minute=50_000_000, included=10**9)
    spec = tmp_path / "openapi.json"
    spec.write_text(json.dumps(with_fewer_columns(json.loads(OPENAPI.read_text()), SIZE.columns)))
    done = subprocess.run(
        [
            *(SCHEMATHESIS, "--config-file", how(tmp_path), "run", spec, "--url", live),
            *("--request-timeout", str(within(10))),
            *("--max-examples", str(SIZE.requests), "-H", f"Authorization: Bearer {player.text}"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=within(SIZE.seconds),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def how(folder: Path) -> Path:
    """The configuration; in a small campaign what many transactions have in common with one is covered by one."""
    file = folder / "schemathesis.toml"
    alike = "".join(f'[[operations]]\ninclude-operation-id = "{name}"\n{UNCOVERED}\n' for name in ALIKE)
    file.write_text(HOW.read_text() if SIZE.columns > FEW else f"{HOW.read_text()}\n{alike}")
    return file


def with_fewer_columns(spec: dict[str, Any], most: int) -> dict[str, Any]:
    """Of columns that differ in their number alone (V1 to V339) only the first few: the others are told from them in
    nothing, and would be nine tenths of all requests."""
    for schema in spec["components"]["schemas"].values():
        columns = schema.get("properties", {}).items()
        kinds = groupby(columns, lambda column: (re.sub(r"\d+$", "", column[0]), column[1]))
        schema["properties"] = dict(column for _, kind in kinds for column in list(kind)[:most])
    return spec
