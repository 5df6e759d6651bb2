"""The process's one `Scoring`: stores and engine put together, once, before the first request."""

import gc
from functools import cache

from django.conf import settings

from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import LoadedModel, ModelRefused, load_active
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.policies import Policies
from apps.scoring.service import Scoring
from apps.usage.admission import this_admissions
from apps.usage.journal import Journal
from apps.valkey import server


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
def models() -> dict[str, dict[str, LoadedModel | ModelRefused]]:
    """Every schema's active models, loaded once a process; a refused one is kept as its refusal."""
    return {schema: load_active(settings.ARTIFACTS_DIR, schema) for schema in SCHEMAS}


def warm_up() -> None:
    """Load everything a request needs, so that the first one is as fast as the next.

    What is loaded stays: the garbage collector need not look at it again (a full collection took 30 ms of a request).
    """
    this_scoring().journal.valkey.answers()
    gc.collect()
    gc.freeze()
