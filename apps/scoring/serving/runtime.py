"""The process's one `Scoring`: stores and engine put together, once, before the first request."""

import logging
import time
from collections.abc import Mapping
from functools import cache
from threading import Thread

from django.conf import settings

from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import Models, active, load_active
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.policies import get_policies
from apps.scoring.serving import rehearsal
from apps.scoring.serving.service import Scoring
from apps.usage.admission.admission import get_admissions
from apps.usage.metering.journal import Journal
from apps.valkey import server

log = logging.getLogger(__name__)

#: Seconds between two looks at which models are active: a promotion holds within these and the loading.
LOOK_EVERY = 1.0

#: Which models are named active, by schema.
Named = Mapping[str, tuple[str, ...]]


@cache
def get_scoring() -> Scoring:
    """The process's scoring."""
    valkey = server(settings.REDIS_URL, settings.REDIS_TIMEOUT)
    return Scoring(
        engine=Engine(models()),
        admissions=get_admissions(),
        journal=Journal(valkey),
        policies=get_policies(),
    )


@cache
def models() -> Models:
    """Every schema's active models when the process began."""
    return load_models()


def load_models() -> Models:
    """Every schema's active models; a refused one is kept as its refusal."""
    return {schema: load_active(settings.ARTIFACTS_DIR, schema) for schema in SCHEMAS}


def named() -> Named:
    """Which models are named active, by schema."""
    return {schema: tuple(active(settings.ARTIFACTS_DIR, schema)) for schema in SCHEMAS}


def follow_promotions(scoring: Scoring, known: Named) -> None:
    """Load what is newly named active, and let it decide from then on. Never returns."""
    while True:
        time.sleep(LOOK_EVERY)
        known = catch_up(scoring, known)


def catch_up(scoring: Scoring, known: Named) -> Named:
    """Load what is named active if that is not `known`; what decides meanwhile goes on. Returns what is loaded now."""
    try:
        now = named()
        if now == known:
            return known
        scoring.engine = Engine(load_models())
    except OSError:
        log.exception("the active models could not be read; those loaded go on")
        return known
    log.warning("active models: %s", "; ".join(f"{schema}: {', '.join(names)}" for schema, names in now.items()))
    return now


def load() -> Named:
    """Load everything a request needs, before the workers are forked and without a connection to either store.

    The workers share its memory. Returns which models these are.
    """
    known = named()
    rehearsal.decide_on_examples(get_scoring().engine)
    return known


def begin(known: Named) -> None:
    """Make a new worker ready: the models that were promoted since `load`, a rehearsal, and an eye on promotions."""
    scoring = get_scoring()
    known = catch_up(scoring, known)
    rehearse()
    Thread(target=follow_promotions, args=(scoring, known), name="promotions", daemon=True).start()


def rehearse() -> None:
    """Go a request's whole way once in this process: connect to both stores, bring the scripts, decide, encode.

    A worker that took a request before took over a second for its first ones. A store that is away is none here: the
    first request will find that out as any other does.
    """
    rehearsal.go_the_whole_way(get_scoring())
