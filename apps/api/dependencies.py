"""What scoring depends on, and how it is: asked for operators' `/ready` and for customers' `/services/status`."""

from collections.abc import Mapping

from django.db import connection

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.scoring.engine.models import LoadedModel
from apps.scoring.serving.service import Scoring
from apps.usage.metering.journal import Journal
from apps.valkey import Away


def stores(scoring: Scoring) -> Mapping[str, bool]:
    """Whether each store answers."""
    return {"postgres": postgres_answers(), "valkey": scoring.journal.valkey.answers()}


def models(scoring: Scoring) -> Mapping[str, str]:
    """Each model: ok, or why it was refused."""
    return {
        f"{schema}/{name}": "ok" if isinstance(model, LoadedModel) else f"refused: {model}"
        for schema, known in scoring.engine.models.items()
        for name, model in known.items()
    }


def waiting(journal: Journal) -> int | None:
    """Decisions acknowledged and not yet recorded; None while Valkey is away."""
    try:
        return sum(journal.lengths())
    except Away:
        return None


def postgres_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except POSTGRES_AWAY:
        return False
    return True
