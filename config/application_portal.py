"""The portal's application: Django as it is."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")
# A connection a thread, kept: a new one reads Postgres' catalogues anew, a third of a page's time.
os.environ.setdefault("PALISADE_CONNECTION_SECONDS", "60")

import django

django.setup(set_prefix=False)

from config.serving.application import Application

application = Application()
