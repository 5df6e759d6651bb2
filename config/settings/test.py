"""The suite's settings: the portal's apps (commands, admin) with the API's addresses."""

from config.settings.portal import *  # noqa: F403
from config.settings.portal import DATABASES, INSTALLED_APPS

ROOT_URLCONF = "config.urls_api"
INSTALLED_APPS = [*INSTALLED_APPS, "drf_spectacular_sidecar"]
from config.settings.api import APPEND_SLASH, DATA_UPLOAD_MAX_MEMORY_SIZE, REST_FRAMEWORK  # noqa: E402, F401

MIDDLEWARE = ["allauth.account.middleware.AccountMiddleware"]  # allauth starts with no less; the API has none
#: So that the suite finds its own connections among all (tests/leftovers.py).
DATABASES["default"]["OPTIONS"]["application_name"] = "tests"
DEMO_MODE = False
#: Nothing of the suite ever reaches Stripe; a test that wants to ask one starts the stand-in.
STRIPE_API_BASE = "http://127.0.0.1:9"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
