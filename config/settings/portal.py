"""The portal and the operators' admin; also what `manage.py`, Celery and the recorder run under."""

from datetime import timedelta

from csp.constants import NONE, SELF
from django.templatetags.static import static

from config.settings.base import *  # noqa: F403
from config.settings.base import BASE_DIR, LOGGING, PUBLIC_HOSTS, SHARED_APPS, TENANT_APPS

SHARED_APPS = [
    # before django_tenants, or the admin's index renders broken; its default configuration puts its own site for ours
    "unfold.apps.BasicAppConfig",
    *SHARED_APPS,
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",  # of allauth's templates
    "django.contrib.staticfiles",
    "apps.backoffice.site.PalisadeAdminConfig",
    "apps.backoffice",
    "rest_framework",
    "csp",
    "axes",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_htmx",
    "hijack",
]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
LOGGING["loggers"]["django.request"]["level"] = "ERROR"  # a page that failed, with its traceback
ROOT_URLCONF = "config.urls_portal"
MIDDLEWARE = [
    "config.middleware.time_pages",
    "config.masking.MaskCardNumbers",  # before all that answers: no redirect, no message tells one back
    "config.middleware.believe_our_proxies",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.middleware.permit_nothing",
    "config.middleware.note_origin",
    "config.middleware.trace_pages",
    "config.readable.ReadableOnly",
    "config.files.SmallFiles",
    "config.files.SmallPages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.logins.SayWhenBusy",
    "allauth.account.middleware.AccountMiddleware",
    "apps.portal.kept_forms.KeptForms",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "hijack.middleware.HijackUserMiddleware",
    "apps.backoffice.impersonation.LookingOn",
    "apps.portal.tenancy.CurrentTenant",
    "axes.middleware.AxesMiddleware",
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
                "apps.portal.frame.frame",
            ],
            "libraries": {"figures": "apps.portal.figures"},
        },
    }
]
#: Files that are uploaded become files of the disk they stay on: a batch of a gigabyte is moved, not copied.
FILE_UPLOAD_HANDLERS = [
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "apps.portal.uploads.FileOnDisk",
]
X_FRAME_OPTIONS = "DENY"
CSRF_COOKIE_HTTPONLY = True
#: Everything is ours. The admin's pages ask for more: apps/backoffice/site.py.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# --- logging in: limits, words and records are config/logins.py's; django-axes counts, in Postgres --------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "apps.portal.demo.DemoAtHomeOnly",
    "allauth.account.auth_backends.AuthenticationBackend",  # by e-mail; Django's own for the admin's form
]
AXES_HANDLER = "config.logins.Logins"
AXES_FAILURE_LIMIT = 1  # `Logins.get_failures` counts rules that are used up
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # what a successful login makes forget
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or whoever goes on trying locks the name for ever
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "config.logins.address_block"
AXES_USERNAME_CALLABLE = "config.logins.name_of"
AXES_LOCKOUT_CALLABLE = "config.logins.locked_out"
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# --- accounts: django-allauth, with apps/portal/accounts.py -----------------------------------------------------------
LOGIN_URL, LOGIN_REDIRECT_URL, LOGOUT_REDIRECT_URL = "account_login", "start", "landing"
ACCOUNT_ADAPTER = "apps.portal.accounts.AccountAdapter"
ACCOUNT_SIGNUP_FORM_CLASS = "apps.portal.accounts.SignUpForm"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CONFIRM_EMAIL_ON_GET = True  # the link is a secret of one use; a second click would be asked of everybody
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60  # seconds after which sensitive pages ask for the password again
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if PUBLIC_HOSTS else "http"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Palisade"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not PUBLIC_HOSTS  # browsers take http://localhost as safe; nothing else
USERSESSIONS_TRACK_ACTIVITY = False  # a write a request otherwise
# --- operators who look on: apps/backoffice/impersonation.py; the banner is in our own frame --------------------------
HIJACK_PERMISSION_CHECK = "apps.backoffice.impersonation.may_look_on"
HIJACK_INSERT_BEFORE = None
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTH_PASSWORD_VALIDATORS[1]["OPTIONS"] = {"min_length": 10}  # type: ignore[assignment]
UNFOLD = {
    "SITE_TITLE": "Palisade",
    "SITE_HEADER": "Palisade operators",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("palisade.svg")}],
    "STYLES": [lambda request: static("operators.css")],
    "SHOW_VIEW_ON_SITE": False,
    "SIDEBAR": {"navigation": "apps.backoffice.site.menu"},
    # The green of static/palisade.css, from light to dark.
    "COLORS": {
        "primary": {
            "50": "oklch(97% .02 180)",
            "100": "oklch(94% .04 180)",
            "200": "oklch(88% .07 180)",
            "300": "oklch(80% .10 180)",
            "400": "oklch(71% .11 180)",
            "500": "oklch(63% .10 180)",
            "600": "oklch(49% .09 180)",
            "700": "oklch(43% .08 180)",
            "800": "oklch(37% .07 180)",
            "900": "oklch(31% .06 180)",
            "950": "oklch(22% .05 180)",
        }
    },
}
