"""Settings of every process. A checkout runs with no environment: the embedded servers and generated secrets fill in.

Environment variables (all optional): DATABASE_URL, REDIS_URL, PALISADE_DATA, PALISADE_SECRET_KEY,
PALISADE_KEY_PEPPER, PALISADE_TOKEN_SECRET, PALISADE_SEALING_KEYS, PALISADE_BACKUP_KEY, PALISADE_BACKUP_DIR,
PALISADE_BACKUP_DAYS, PALISADE_EMAIL_URL, PALISADE_EMAIL_FROM, PALISADE_ONCALL_EMAIL,
PALISADE_API_URL, PALISADE_API_INSIDE_URL, PALISADE_PORTAL_INSIDE_URL, PALISADE_WEBHOOK_NETWORKS, PALISADE_SELLER_NAME,
PALISADE_SELLER_ADDRESS, PALISADE_SELLER_TAX_ID,
PALISADE_PAYMENT_DETAILS, PALISADE_DEBUG, PALISADE_DEMO, PALISADE_PUBLIC_HOST, PALISADE_ALLOWED_HOSTS,
PALISADE_TRUSTED_PROXIES, PALISADE_OPERATOR_NETWORKS, PALISADE_METRICS_TOKEN, PALISADE_METRICS_PORT,
PALISADE_RESEARCH_LICENSED,
PALISADE_API_WORKERS, PALISADE_JOURNAL_MAX, PALISADE_LOG_FORMAT, PALISADE_LOG_REQUESTS, PALISADE_TRACES_URL,
PALISADE_TRACES_SHARE, PALISADE_STREAM_…. The table is in docs/settings.md.
"""

import re
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from apps.addresses import networks_of
from config.batch_files import batch_files
from config.local import embedded
from config.local.secrets import secret

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent.parent

DEBUG = env.bool("PALISADE_DEBUG", default=False)
SECRET_KEY = secret("PALISADE_SECRET_KEY")
#: Under this pepper API keys are hashed: a stolen database alone can't be searched for a key.
KEY_PEPPER = secret("PALISADE_KEY_PEPPER")
#: Signs the tokens of POST /v1/auth/token, and nothing else; a new one ends all tokens, which live an hour at most.
TOKEN_SECRET = secret("PALISADE_TOKEN_SECRET")
#: Columns with others' secrets are encrypted with the first of these and read with any (apps/sealing.py).
SEALING_KEYS = [key for key in secret("PALISADE_SEALING_KEYS").split(",") if key]

#: Seals backups. Keep it elsewhere than them: who has lost it has lost them all.
BACKUP_KEY = secret("PALISADE_BACKUP_KEY")

# --- where we stand: names, proxies, TLS ------------------------------------------------------------------------------
LOCAL_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
#: "I stand behind TLS at this name" (or these). It sets all that follows from it, here and in the other settings.
PUBLIC_HOSTS = [name.lower() for name in env.list("PALISADE_PUBLIC_HOST", default=[])]
for _name in PUBLIC_HOSTS:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?", _name):
        raise ImproperlyConfigured(f"PALISADE_PUBLIC_HOST takes names like app.example.com, not '{_name}'.")
ALLOWED_HOSTS = env.list("PALISADE_ALLOWED_HOSTS", default=LOCAL_HOSTS)
ALLOWED_HOSTS += [name for name in (host.partition(":")[0] for host in PUBLIC_HOSTS) if name not in ALLOWED_HOSTS]
#: Networks of our own proxies: what they say of whom they forward for is believed. Empty: it is never read.
TRUSTED_PROXIES = networks_of(
    env.list("PALISADE_TRUSTED_PROXIES", default=["127.0.0.0/8", "::1/128"] if PUBLIC_HOSTS else [])
)
#: Who may read /metrics and the details of /ready, beside those that have the token.
OPERATOR_NETWORKS = networks_of(env.list("PALISADE_OPERATOR_NETWORKS", default=["127.0.0.0/8", "::1/128"]))
METRICS_TOKEN = env("PALISADE_METRICS_TOKEN", default="")
#: Where a process that serves nothing else answers /metrics; 0: nowhere.
METRICS_PORT = env.int("PALISADE_METRICS_PORT", default=0)
METRICS_HOST = env("PALISADE_HOST", default="127.0.0.1")
CSRF_TRUSTED_ORIGINS = [f"https://{name}" for name in PUBLIC_HOSTS]
#: Anybody may send this header; `config.middleware.believe_our_proxies` leaves it only to them.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = bool(PUBLIC_HOSTS)
#: Asked from inside, past the proxy.
SECURE_REDIRECT_EXEMPT = [r"^(health|ready|metrics)/?$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if PUBLIC_HOSTS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = bool(PUBLIC_HOSTS)
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE = env.bool("PALISADE_HTTPS", default=bool(PUBLIC_HOSTS))
# W021: browsers' preload lists take whole domains and hardly give them back; whoever wants that says so to them.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

#: Where the embedded servers, files and secrets are.
DATA_DIR = embedded.data_dir()

# --- stores -----------------------------------------------------------------------------------------------------------
DATABASES = {
    "default": env.db_url_config(embedded.database_url())
    | {
        "ENGINE": "config.postgres",  # django-tenants' own, with a net for card numbers
        "CONN_MAX_AGE": env.int("PALISADE_CONNECTION_SECONDS", default=0),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 2},
        "POOLED": env.bool("PALISADE_DATABASE_POOLED", default=False),  # a pooler of transactions stands before it
    }
}
#: A streaming replica, from which analytics are read while it answers.
if _replica := env("PALISADE_REPLICA_URL", default=""):
    DATABASES["replica"] = DATABASES["default"] | env.db_url_config(_replica) | {"ENGINE": "config.postgres"}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter", "apps.analytics.replica.AnalyticsRouter"]
REDIS_URL = embedded.redis_url()
#: Seconds a call to Valkey may take before it counts as away.
REDIS_TIMEOUT = env.float("PALISADE_REDIS_TIMEOUT", default=1.0)
#: Where tasks wait for workers. Celery speaks to one server, never to a cluster.
BROKER_URL = env("PALISADE_BROKER_URL", default=REDIS_URL)
if "+cluster://" in BROKER_URL:
    raise ImproperlyConfigured("Celery can't use a cluster: set PALISADE_BROKER_URL to a Valkey of one server.")

# --- tenancy: `public` holds what is needed before the tenant is known and everything commercial ----------------------
TENANT_MODEL = "accounts.Tenant"
TENANT_DOMAIN_MODEL = "accounts.Domain"
SHARED_APPS = [
    "apps.accounts",  # before django_tenants: its `migrate_schemas` refreshes the template too
    "django_tenants",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "apps.notifications",
    "apps.api_keys",
    "apps.billing",
    "apps.usage",
    "apps.sla",
    "apps.support",
    "apps.alerts",
    "apps.offboarding",
    "apps.operations",
    "apps.batches",
    "apps.streams",  # for its command
    "apps.training",  # for its commands; no serving process imports more of it than its name
    "config",
]
TENANT_APPS = ["apps.scoring", "apps.review", "apps.ingest", "apps.simulation"]
#: `SET search_path` when the schema changes (or a rollback may have taken it back), not before every statement.
TENANT_LIMIT_SET_CALLS = True
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
#: The schema whose dump is replayed to make a tenant (apps/accounts/template.py).
TEMPLATE_SCHEMA = "tenant_template"
#: Schemas built beforehand for tenants to come (apps/accounts/ready_schemas.py).
READY_SCHEMAS = env.int("PALISADE_READY_SCHEMAS", default=4)
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["apps.accounts.passwords.BoundedArgon2"]

# --- scoring ----------------------------------------------------------------------------------------------------------
ARTIFACTS_DIR = Path(env("PALISADE_ARTIFACTS", default=str(BASE_DIR / "ml_artifacts")))
API_WORKERS = env.int("PALISADE_API_WORKERS", default=2)
#: Requests from loopback without a key act for the demo tenant. `make up` sets it; refused in public.
DEMO_MODE = env.bool("PALISADE_DEMO", default=False)
DEMO_TENANT = "demo"
if DEMO_MODE and (PUBLIC_HOSTS or (not DEBUG and set(ALLOWED_HOSTS) - set(LOCAL_HOSTS))):
    raise ImproperlyConfigured(
        "Demo mode answers without a key: it can't be on under a public name (PALISADE_PUBLIC_HOST,"
        " PALISADE_ALLOWED_HOSTS). Set PALISADE_DEMO=0."
    )
#: Schemas whose models were trained on data for research only and may be used here all the same: the operator says so.
RESEARCH_LICENSED = env.list("PALISADE_RESEARCH_LICENSED", default=[])
#: Entries a journal stream holds before scoring answers 503 rather than forget (about 3 KB each, 16 streams).
JOURNAL_MAX = env.int("PALISADE_JOURNAL_MAX", default=500_000)

# --- streams: `manage.py stream` reads, decides and writes where these say; nothing of it runs unless started ---------
STREAM_BROKERS = env("PALISADE_STREAM_BROKERS", default="")
STREAM_TOPICS = {
    "in": env("PALISADE_STREAM_IN", default="transactions"),
    "out": env("PALISADE_STREAM_OUT", default="fraud_results"),
    "dead_letter": env("PALISADE_STREAM_DEAD_LETTER", default="transactions_dead_letter"),
}
STREAM_GROUP = env("PALISADE_STREAM_GROUP", default="palisade")
#: Of messages that are a transaction by itself.
STREAM_SCHEMA = env("PALISADE_STREAM_SCHEMA", default="payments")
#: Whose messages are that bring no key of their own.
STREAM_KEY = env("PALISADE_STREAM_KEY", default="")
#: How long a message may wait for its answer while we keep up.
STREAM_BUDGET_MS = env.int("PALISADE_STREAM_BUDGET_MS", default=250)
#: librdkafka's own, for a broker that asks who we are: "security.protocol=SASL_SSL;sasl.mechanism=…".
STREAM_OPTIONS = {
    name.strip(): value.strip()
    for name, _, value in (one.partition("=") for one in env("PALISADE_STREAM_OPTIONS", default="").split(";"))
    if name.strip()
}

# --- telling people ---------------------------------------------------------------------------------------------------
#: smtp+tls://user:password@host:587 in earnest; without it mails become files in the data folder.
_EMAIL = env.email_url("PALISADE_EMAIL_URL", default="filemail://")
EMAIL_BACKEND, EMAIL_FILE_PATH = _EMAIL["EMAIL_BACKEND"], str(embedded.data_dir() / "mail")
EMAIL_HOST, EMAIL_PORT = _EMAIL["EMAIL_HOST"], _EMAIL["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _EMAIL["EMAIL_HOST_USER"], _EMAIL["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _EMAIL.get("EMAIL_USE_TLS", False), _EMAIL.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = env("PALISADE_EMAIL_FROM", default="Palisade <no-reply@localhost>")
SUPPORT_EMAIL = env("PALISADE_SUPPORT_EMAIL", default="support@localhost")  # requests for support are mailed to it
ONCALL_EMAIL = env("PALISADE_ONCALL_EMAIL", default="oncall@localhost")  # outages and burn rates are
#: Where customers reach the API: what is told outside of it needs whole addresses.
API_URL = env(
    "PALISADE_API_URL",
    default=f"https://{PUBLIC_HOSTS[0]}"
    if PUBLIC_HOSTS
    else f"http://{env('PALISADE_HOST', default='127.0.0.1')}:{env('PALISADE_API_PORT', default='8000')}",
).rstrip("/")
#: Where the portal and probes reach it.
API_INSIDE_URL = env(
    "PALISADE_API_INSIDE_URL", default=f"http://127.0.0.1:{env('PALISADE_API_PORT', default='8000')}"
).rstrip("/")
#: Where probes reach the portal.
PORTAL_INSIDE_URL = env(
    "PALISADE_PORTAL_INSIDE_URL", default=f"http://127.0.0.1:{env('PALISADE_PORTAL_PORT', default='8501')}"
).rstrip("/")
#: Where an error's page is (`type`, `doc_url`).
DOCS_URL = env("PALISADE_DOCS_URL", default=f"{API_URL}/docs/errors")
#: Networks that webhooks may call beside the public ones, also without TLS.
WEBHOOK_NETWORKS = env.list("PALISADE_WEBHOOK_NETWORKS", default=[])


# --- who sends the invoices: the defaults are an example, and `check --deploy` says so --------------------------------
def _lines_of(name: str, example: str) -> str:
    """Lines are separated by a semicolon or a written \\n; unset or empty is the example."""
    value = (env(name, default="") or example).replace("\\n", "\n").replace(";", "\n")
    return "\n".join(line.strip() for line in value.splitlines() if line.strip())


#: As it stands on invoices; each keeps a copy of what was true when it was drafted.
SELLER = {
    "name": _lines_of("PALISADE_SELLER_NAME", "Palisade Example Ltd"),
    "address": _lines_of("PALISADE_SELLER_ADDRESS", "1 Example Street; 00000 Exampletown"),
    "tax_id": _lines_of("PALISADE_SELLER_TAX_ID", "EXAMPLE-TAX-ID"),
    "payment_details": _lines_of(
        "PALISADE_PAYMENT_DETAILS", "Example Bank (an example: do not pay); IBAN XX00 EXAMPLE; BIC EXAMPLEX"
    ),
}
#: Those that are still the example.
SELLER_UNSET = [
    name
    for name in (
        "PALISADE_SELLER_NAME",
        "PALISADE_SELLER_ADDRESS",
        "PALISADE_SELLER_TAX_ID",
        "PALISADE_PAYMENT_DETAILS",
    )
    if not env(name, default="")
]

# --- money: without a key invoices are paid by bank transfer, see docs/stripe.md --------------------------------------
STRIPE_API_KEY = env("STRIPE_API_KEY", default="")
#: Signs Stripe's webhooks to /stripe/webhook; without it every one of them is refused.
STRIPE_WEBHOOK_SECRET = env("STRIPE_WEBHOOK_SECRET", default="")
#: Another address than Stripe's own, for a stand-in.
STRIPE_API_BASE = env("STRIPE_API_BASE", default="")
#: Seconds until a call to Stripe counts as unanswered; it is repeated later under its idempotency key.
STRIPE_TIMEOUT = env.float("STRIPE_TIMEOUT", default=20.0)

# --- files: exports, which the money worker writes and the portal hands out, never by their address -------------------
MEDIA_ROOT = embedded.data_dir() / "files"
#: Where files of batches are received and written before they have a name; on the same disk as those that have.
BATCH_SCRATCH = embedded.data_dir() / "batches" / ".scratch"
FILE_UPLOAD_PERMISSIONS, FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o600, 0o700

# --- backups: made each night where a folder is named -----------------------------------------------------------------
BACKUP_DIR = env("PALISADE_BACKUP_DIR", default="")
#: How long one is kept; the newest stays.
BACKUP_DAYS = env.int("PALISADE_BACKUP_DAYS", default=14)

# --- the rest ---------------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LOCALE_PATHS = [BASE_DIR / "locale"]  # our spelling of the libraries' words: one way to write e-mail
FORMAT_MODULE_PATH = ["config.formats"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES: dict[str, dict[str, Any]] = {
    "batches": batch_files(
        embedded.data_dir() / "batches",
        bucket=env("PALISADE_BATCH_BUCKET", default=""),
        endpoint=env("PALISADE_S3_ENDPOINT", default=""),
        region=env("PALISADE_S3_REGION", default=""),
    ),
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.files.VersionedFiles"},
}
#: Where traces are sent to (OTLP over HTTP), none when empty; and of which share of the requests.
TRACES_URL = env("PALISADE_TRACES_URL", default="")
TRACES_SHARE = env.float("PALISADE_TRACES_SHARE", default=1.0)
#: `line` to read, `json` for machines to: an object a line.
LOG_FORMAT = env("PALISADE_LOG_FORMAT", default="json" if PUBLIC_HOSTS else "line")
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "config.logs.MaskedLine", "fmt": "%(levelname)s %(name)s: %(message)s"},
        "json": {"()": "config.logs.JsonLine"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["stderr"], "level": env("PALISADE_LOG_LEVEL", default="INFO")},
    "loggers": {
        "palisade.requests": {"level": "INFO" if env.bool("PALISADE_LOG_REQUESTS", default=False) else "WARNING"},
        "django.request": {"level": "CRITICAL"},  # our own handler logs what is a fault (problems.py)
        "celery": {"level": "WARNING"},  # a line a task otherwise, with its arguments
        "axes": {"level": "WARNING"},  # a line a login, with whatever was typed as a name
        "stripe": {"level": "WARNING"},  # two lines a call otherwise
        "weasyprint": {"level": "WARNING"},  # a line a step of each PDF
        "fontTools": {"level": "WARNING"},  # dozens of lines a PDF
    },
}
