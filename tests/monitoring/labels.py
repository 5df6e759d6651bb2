"""What each label of a metric may say, from the tables it is said by."""

from collections.abc import Callable, Mapping

from django.urls import URLResolver, get_resolver

from apps.alerts.kinds import KINDS as ALERTS
from apps.analytics.replica import REPLICA
from apps.api.endpoint import ApiView
from apps.batches.metrics import OUTCOMES
from apps.billing.models import Invoice, Subscription
from apps.billing.rating.plans import PLANS
from apps.currencies import CURRENCIES
from apps.errors import KINDS as PROBLEMS
from apps.monitoring import figures, host, stores
from apps.monitoring.queues import QUEUES
from apps.notifications.models import Delivery
from apps.scoring.engine.decide import SEVERITY
from apps.scoring.engine.engine import ENSEMBLE
from apps.scoring.engine.models import active
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.metrics import NO_MODEL, PARTS, TEST, UNKNOWN
from apps.sla.burn import WINDOWS
from apps.sla.parts import PARTS as PROBED
from config.middleware import NO_PAGE
from config.settings.base import ARTIFACTS_DIR

Values = Callable[[], set[str]]


def _endpoints() -> set[str]:
    """Of every view there is."""
    import config.urls_api  # noqa: F401 - so that all of them are known

    found, left = set[str](), [ApiView]
    while left:
        view = left.pop()
        found.add(view.endpoint)
        left += view.__subclasses__()
    return found


def _pages() -> set[str]:
    """Names of the portal's and the admin's addresses."""
    found, left = {NO_PAGE}, [get_resolver("config.urls_portal")]
    while left:
        for one in left.pop().url_patterns:
            if isinstance(one, URLResolver):
                left.append(one)
            elif one.name:
                found.add(one.name)
    return found


def _models() -> set[str]:
    entries = [entry for schema in SCHEMAS for entry in active(ARTIFACTS_DIR, schema)]
    return {NO_MODEL, ENSEMBLE, *(entry.partition("/")[0] for entry in entries)}


_STATUSES = {str(status) for status in range(100, 600)}
VALUES: Mapping[str, Values] = {
    "action": lambda: set(SEVERITY),
    "basis": lambda: {"card", "labels"},
    "books": lambda: set(figures.BOOKS),
    "channel": lambda: set(Delivery.Channel.values),
    "currency": lambda: set(CURRENCIES),
    "endpoint": _endpoints,
    "kind": lambda: set(ALERTS),
    "mode": lambda: set(host.MODES),
    "model": _models,
    "outcome": lambda: {*OUTCOMES, "delivered", "failed"},
    "pace": lambda: {*figures.PACES, "minute", "hour"},
    "page": _pages,
    "part": lambda: {*PARTS, *PROBED},
    "queue": lambda: set(QUEUES),
    "reason": lambda: {*PROBLEMS, *_STATUSES},
    "schema": lambda: set(SCHEMAS),
    "state": lambda: {*host.STATES, *figures.TENANT_STATES, *map(str, figures.UNDER_WAY)},
    "status": lambda: {*_STATUSES, *Subscription.Status.values, *Invoice.Status.values},
    "store": lambda: {*stores.STORES, REPLICA},
    "window": lambda: set(map(str, WINDOWS)),
    "tier": lambda: {TEST, UNKNOWN, *(plan.name for plan in PLANS.values())},
}
#: Whose values are ours neither to name nor to bound by a table: how many there may be at once.
AT_MOST = {"tenant": figures.MOST_TENANTS}
