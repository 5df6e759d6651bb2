"""gunicorn's settings for the scoring API: `gunicorn --config python:config.serving.api`."""

import os

from config.serving.shared import *  # noqa: F403
from config.serving.shared import address

wsgi_app = "config.application_api:application"
bind = address("PALISADE_API_PORT", 8000)
workers = int(os.environ.get("PALISADE_API_WORKERS") or 2)
threads = 1  # a request is answered on the loop: a thread would cost a hand-over and more than it gives
