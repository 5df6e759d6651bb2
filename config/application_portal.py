"""What the portal's worker serves: Django as it is."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")

import django

django.setup(set_prefix=False)

from config.serving.application import Application

application = Application()
