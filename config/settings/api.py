"""The scoring API: no sessions, no admin, no templates but the documentation pages; one slim middleware."""

from typing import Any

from config.settings.base import *  # noqa: F403
from config.settings.base import BASE_DIR, DATABASES, INSTALLED_APPS, SILENCED_SYSTEM_CHECKS

ROOT_URLCONF = "config.urls_api"
INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework", "drf_spectacular_sidecar", "django.contrib.staticfiles"]
MIDDLEWARE = [
    "config.middleware.look_after_connection",
    "config.middleware.believe_our_proxies",
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.permit_nothing",
    "config.files.SmallFiles",
]
# W002: pages are kept out of frames by their Content-Security-Policy. W003: there are no cookies, so nothing to forge.
SILENCED_SYSTEM_CHECKS = [*SILENCED_SYSTEM_CHECKS, "security.W002", "security.W003"]
WHITENOISE_USE_FINDERS = True
APPEND_SLASH = False
#: A body's limit is 1 MB, a batch's 25 MB: apps/api refuses earlier and says so; this is the outer wall.
DATA_UPLOAD_MAX_MEMORY_SIZE = 26 * 1024 * 1024
#: A connection a thread, kept and checked before use. A worker has one thread: a pool would only add its own waiting
#: (it backs off for seconds after Postgres is back).
DATABASES["default"]["CONN_MAX_AGE"] = 300

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_THROTTLE_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "EXCEPTION_HANDLER": "apps.api.problems.handle",
}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [BASE_DIR / "templates"]}]
