"""The portal and the operators' admin; also what `manage.py`, Celery and the recorder run under."""

from config.settings.base import *  # noqa: F403
from config.settings.base import BASE_DIR, SHARED_APPS, TENANT_APPS, env

SHARED_APPS = [
    "unfold",  # before django_tenants, or the admin's index renders broken
    *SHARED_APPS,
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "config.admin_site.PalisadeAdminConfig",
    "django_prometheus",
    "rest_framework",
]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
ROOT_URLCONF = "config.urls_portal"
MIDDLEWARE = [
    "config.masking.MaskCardNumbers",  # first: no redirect, no message tells one back
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
WHITENOISE_USE_FINDERS = True
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
X_FRAME_OPTIONS = "DENY"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = env.bool("PALISADE_HTTPS", default=False)
UNFOLD = {
    "SITE_TITLE": "Palisade",
    "SITE_HEADER": "Palisade operators",
    "SITE_URL": "/",
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"navigation": "config.admin_site.menu"},
    # The green of static/palisade.css, from light to dark.
    "COLORS": {
        "primary": {
            "50": "oklch(97% .02 180)",
            "100": "oklch(94% .04 180)",
            "200": "oklch(88% .07 180)",
            "300": "oklch(80% .10 180)",
            "400": "oklch(71% .11 180)",
            "500": "oklch(58% .10 180)",
            "600": "oklch(49% .09 180)",
            "700": "oklch(43% .08 180)",
            "800": "oklch(37% .07 180)",
            "900": "oklch(31% .06 180)",
            "950": "oklch(22% .05 180)",
        }
    },
}
