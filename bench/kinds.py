"""Every schema, by its champion and by the ensemble: the whole path over HTTP, and the server's own time.

python -m bench.kinds [--seconds 4] [--rounds 3]
"""

import argparse
import http.client
import json
import random
import statistics
from urllib.parse import urlsplit

from bench import copy as copies
from bench.copy import Copy
from bench.measures import Load, load
from bench.transactions import MAKERS, question

ASKED = 400  # requests a side and round for the server's own time
WARM = 50
MODELS = (None, "ensemble")


def server_ms(copy: Copy, key: str, schema: str, rounds: int) -> dict[str | None, float]:
    """Model → median of the server time an answer tells, champion and ensemble asked in turn over one connection."""
    address = urlsplit(copy.api)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0)
    chance, found = random.Random(3), {model: [] for model in MODELS}
    for number in range(ASKED * rounds + WARM):
        for model, times in found.items():
            total = _asked(connection, key, question(chance, schema, model))
            if number >= WARM:
                times.append(total)
    connection.close()
    return {model: statistics.median(times) for model, times in found.items()}


def _asked(connection: http.client.HTTPConnection, key: str, body: dict) -> float:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    connection.request("POST", "/v1/decisions", json.dumps(body), headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    if answer.status != 200:
        raise RuntimeError(told)
    return told["timing_ms"]["total"]


def measured(copy: Copy, key: str, seconds: float, rounds: int) -> list[str]:
    """The table and the verdicts, as lines of Markdown."""
    lines = [
        "| schema | asked | p50 at 1 connection | requests/s at 16 | server time, median |",
        "|---|---|---|---|---|",
    ]
    ratios, alone = {}, {}
    for schema in MAKERS:
        times = server_ms(copy, key, schema, rounds)
        ratios[schema] = (times["ensemble"] or 0.0) / (times[None] or 1.0)
        for model in MODELS:
            one, many = (_load(copy, key, schema, model, connections, seconds, rounds) for connections in (1, 16))
            alone[schema, model] = one.p50_ms
            name = model or "champion"
            lines.append(
                f"| `{schema}` | {name} | {one.p50_ms:.2f} ms | {many.per_second:,.0f} | {times[model]:.2f} ms |"
            )
    return [
        *lines,
        "",
        "| figure | required | measured |",
        "|---|---|---|",
        "| the ensemble's server time ÷ its champion's alone | ≤ 1.5 | "
        + ", ".join(f"`{schema}` **{ratio:.2f}**" for schema, ratio in ratios.items())
        + " |",
        f"| `ieee_cis` with reasons, p50 at 1 connection | ≤ 2.5 ms | **{alone['ieee_cis', None]:.2f} ms** |",
    ]


def _load(copy: Copy, key: str, schema: str, model: str | None, connections: int, seconds: float, rounds: int) -> Load:
    """The median run of so many, by requests a second."""
    runs = [load(copy.api, "/v1/decisions", key, connections, seconds, schema, model) for _ in range(rounds)]
    if any(run.errors for run in runs):
        raise RuntimeError(f"{schema} {model}: answers that were not 200")
    return sorted(runs, key=lambda run: run.per_second)[len(runs) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with copies.running() as copy:
        print("\n".join(measured(copy, copy.tenant_with_key("bench"), options.seconds, options.rounds)))


if __name__ == "__main__":
    main()
