"""Where the microseconds of one request go: the API's application in this process, CPU time, no HTTP server.

    python -m bench.hot_path KEY [--requests N] [--profile]

Needs the servers of `make up` (or PALISADE_DATA / REDIS_URL of a running copy) and a key with a high limit.
"""

import argparse
import cProfile
import json
import pstats
import random
import time
from typing import Any

from bench.transactions import question
from config.serving.messages import Request, pieces


def bodies(number: int, seed: int = 7) -> list[bytes]:
    """Transactions that differ and name their parties."""
    chance = random.Random(seed)
    return [json.dumps(question(chance)).encode() for _ in range(number)]


def request(application: Any, key: str, body: bytes) -> bytes:
    """One POST /v1/decisions as the worker hands it over."""
    headers = [
        (b"host", b"localhost:8000"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-api-key", key.encode()),
    ]
    one = Request("POST", b"/v1/decisions", headers, "127.0.0.1", ("127.0.0.1", "8000"))
    one.take(body)
    response = application(one)
    answer = b"".join(pieces(response, keep_alive=True))
    response.close()
    if response.status_code != 200:
        raise SystemExit(f"{response.status_code}: {answer.decode()}")
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("key")
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--sort", default="tottime")
    options = parser.parse_args()
    from config.application_api import application

    application.before_serving()

    said = bodies(options.requests, seed=time.time_ns())
    for body in said[:200]:
        request(application, options.key, body)
    profile = cProfile.Profile()
    if options.profile:
        profile.enable()
    wall, processor = time.perf_counter(), time.process_time()
    for body in said:
        request(application, options.key, body)
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    profile.disable()
    print(f"{processor / len(said) * 1e6:.0f} µs CPU, {wall / len(said) * 1e6:.0f} µs wall a request")
    if options.profile:
        pstats.Stats(profile).sort_stats(options.sort).print_stats(70)


if __name__ == "__main__":
    main()
