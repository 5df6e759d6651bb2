"""The process's one `Scoring`: stores and engine put together, once, before the first request."""

import gc
import logging
import time
from functools import cache
from threading import Thread

from django.conf import settings

from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import Models, active, load_active
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.policies import Policies
from apps.scoring.service import Scoring
from apps.usage.admission import this_admissions
from apps.usage.journal import Journal
from apps.valkey import server

log = logging.getLogger(__name__)

#: Seconds between two looks at which models are active: a promotion holds within these and the loading.
LOOK_EVERY = 1.0


@cache
def this_scoring() -> Scoring:
    """The process's scoring."""
    valkey = server(settings.REDIS_URL, settings.REDIS_TIMEOUT)
    return Scoring(
        engine=Engine(models()),
        admissions=this_admissions(),
        journal=Journal(valkey),
        policies=Policies(),
    )


@cache
def models() -> Models:
    """Every schema's active models when the process began."""
    return load_models()


def load_models() -> Models:
    """Every schema's active models; a refused one is kept as its refusal."""
    return {schema: load_active(settings.ARTIFACTS_DIR, schema) for schema in SCHEMAS}


def named() -> dict[str, tuple[str, ...]]:
    """Which models are named active, by schema."""
    return {schema: tuple(active(settings.ARTIFACTS_DIR, schema)) for schema in SCHEMAS}


def follow_promotions(scoring: Scoring) -> None:
    """Load what is newly named active and let it decide from then on; what decides meanwhile goes on. Never returns."""
    known = named()
    while True:
        time.sleep(LOOK_EVERY)
        try:
            now = named()
            if now == known:
                continue
            scoring.engine, known = Engine(load_models()), now
        except OSError:
            log.exception("the active models could not be read; those loaded go on")
        else:
            log.warning(
                "active models: %s", "; ".join(f"{schema}: {', '.join(names)}" for schema, names in now.items())
            )


def warm_up() -> None:
    """Load everything a request needs, so that the first one is as fast as the next.

    What is loaded stays: the garbage collector need not look at it again (a full collection took 30 ms of a request).
    """
    scoring = this_scoring()
    scoring.journal.valkey.answers()
    Thread(target=follow_promotions, args=(scoring,), name="promotions", daemon=True).start()
    gc.collect()
    gc.freeze()
