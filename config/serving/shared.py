"""gunicorn's settings for the API and the portal alike (they are a module's names)."""

import gc
import logging.config
import os
from typing import Any

from config.serving.stopping import drain_seconds

worker_class = "config.serving.worker.Worker"
#: Everything is imported and every model loaded once, before the workers are forked: they share the memory, and the
#: successor of one that was killed is warm from its first request on.
preload_app = True
#: A worker that does not come back to its loop for so long is killed and replaced.
timeout = 60
#: What was received is answered within this time after the drain, which SIGTERM begins.
ANSWER_SECONDS = 5
graceful_timeout = ANSWER_SECONDS + drain_seconds()
backlog = 1024
loglevel = "warning"
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - gunicorn makes and unlinks its file


def when_ready(server: Any) -> None:
    """All is loaded and no worker forked: it stays, so the garbage collector leaves it alone and its pages are shared;
    gunicorn's own lines look as all others, now that the settings are known."""
    from django.conf import settings

    gc.collect()
    gc.freeze()

    formatters: Any = settings.LOGGING["formatters"]
    for handler in server.log.error_log.handlers:
        handler.setFormatter(
            logging.config.DictConfigurator({}).configure_formatter(dict(formatters[settings.LOG_FORMAT]))
        )


def address(port_variable: str, default: int) -> str:
    """Where to listen: PALISADE_HOST, and the port its variable names."""
    host = os.environ.get("PALISADE_HOST") or "127.0.0.1"
    port = os.environ.get(port_variable) or default
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
