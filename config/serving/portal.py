"""gunicorn's settings for the portal: `gunicorn --config python:config.serving.portal`."""

from config.serving.shared import *  # noqa: F403
from config.serving.shared import address

wsgi_app = "config.application_portal:application"
bind = address("PALISADE_PORTAL_PORT", 8501)
workers = 1
# Pages wait for the database, and a slow one must not hold up the next; logins that wait for their turn to be hashed
# (apps/accounts/passwords.py) hold nine of them at most.
threads = 12
