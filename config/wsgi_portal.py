"""granian's entry to the portal and the operators' admin."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
