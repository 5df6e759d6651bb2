"""Where the microseconds of one request go: the API's WSGI application in this process, CPU time, no HTTP server.

    python -m bench.hot_path KEY [--requests N] [--profile]

Needs the servers of `make up` (or PALISADE_DATA / REDIS_URL of a running copy) and a key with a high limit.
"""

import argparse
import cProfile
import io
import json
import pstats
import random
import time
from typing import Any

from bench.transactions import question


def bodies(number: int, seed: int = 7) -> list[bytes]:
    """Transactions that differ and name their parties."""
    chance = random.Random(seed)
    return [json.dumps(question(chance)).encode() for _ in range(number)]


def request(application: Any, key: str, body: bytes) -> bytes:
    """One POST /v1/decisions as granian would hand it over."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/decisions",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "localhost:8000",
        "HTTP_X_API_KEY": key,
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
    }
    status: list[str] = []
    response = application(environ, lambda said, headers: status.append(said))
    answer = b"".join(response)
    response.close()
    if not status[0].startswith("200"):
        raise SystemExit(f"{status[0]}: {answer.decode()}")
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("key")
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--sort", default="tottime")
    options = parser.parse_args()
    from config.wsgi_api import application

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
