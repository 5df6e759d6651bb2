"""granian's entry to the scoring API. Everything a request needs is loaded here, once, before the first request."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.api")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()

from apps.scoring.runtime import warm_up

warm_up()
