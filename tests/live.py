"""The API and the portal as they are really run, by gunicorn with our worker, over the suite's own stores."""

import os
import resource
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from config.local import embedded
from tests.pace import within

START_SECONDS = 30.0


@contextmanager
def serving(door: str = "api", most_of_a_file: int = 0, **environment: str) -> Iterator[str]:
    """A server on a free port, of one worker; its address. `environment` is added to the suite's own.

    `most_of_a_file`: bytes after which the kernel refuses to write on, as on a full disk.
    """
    port = free_port()
    own = {"PALISADE_API_PORT": str(port), "PALISADE_PORTAL_PORT": str(port), "PALISADE_API_WORKERS": "1"}
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "gunicorn"), "--config", f"python:config.serving.{door}"],
        env=environment_of(f"config.settings.{door}", **own | environment),
        cwd=embedded.CHECKOUT,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most_of_a_file,) * 2)
        if most_of_a_file
        else None,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(address, process)
        yield address
    finally:
        process.terminate()
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """It was asked to; one that doesn't is killed."""
    try:
        process.wait(within(10))
    finally:
        process.kill()
        process.wait(within(10))


def environment_of(settings_module: str, **more: str) -> dict[str, str]:
    """The environment of another process over the suite's own stores."""
    return {**os.environ, **_stores(), "DJANGO_SETTINGS_MODULE": settings_module, **more}


def _stores() -> dict[str, str]:
    """The test database and this suite's Valkey, in the words of the environment."""
    url = urlsplit(embedded.database_url())
    name = str(connection.settings_dict["NAME"])
    return {
        "DATABASE_URL": url._replace(path=f"{url.path.rpartition('/')[0]}/{name}").geturl(),
        "REDIS_URL": settings.REDIS_URL,
    }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + within(START_SECONDS)
    while True:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=within(2)):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
