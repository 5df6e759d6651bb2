"""System checks beyond Django's own, most of them for `manage.py check --deploy`."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import Error, Warning


def demo_mode_is_off(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Demo mode answers without a key."""
    if not settings.DEMO_MODE:
        return []
    return [Error("Demo mode is on.", hint="Unset PALISADE_DEMO.", id="palisade.E001")]


def sealing_keys_are_long_enough(app_configs: Any, **kwargs: Any) -> list[Error]:
    """A key is hashed, not stretched: it must be random and long by itself."""
    if settings.SEALING_KEYS and all(len(key.encode()) >= 32 for key in settings.SEALING_KEYS):
        return []
    return [
        Error("PALISADE_SEALING_KEYS has a key of less than 32 bytes.", hint="Use random ones.", id="palisade.E003")
    ]


def token_secret_is_long_enough(app_configs: Any, **kwargs: Any) -> list[Error]:
    """HS256 wants a secret of at least 256 bits (RFC 7518, 3.2)."""
    if len(settings.TOKEN_SECRET.encode()) >= 32:
        return []
    return [Error("PALISADE_TOKEN_SECRET has less than 32 bytes.", hint="Use a random one.", id="palisade.E002")]


def seller_is_set(app_configs: Any, **kwargs: Any) -> list[Warning]:
    """An invoice from an example can't be paid."""
    return [
        Warning(f"Invoices show an example for {name}.", hint="Set it: docs/settings.md.", id="palisade.W002")
        for name in settings.SELLER_UNSET
    ]


def active_models_may_be_used(app_configs: Any, **kwargs: Any) -> list[Warning]:
    """A model whose data may only be used for research says so in its card; an operator who may use it says so, too."""
    from apps.scoring.engine import shelf  # numpy and ONNX Runtime: not for every process that registers its checks

    root = settings.ARTIFACTS_DIR
    cards = [(schema, entry, shelf.card(root, schema, entry)) for schema, entry in _active(root)]
    return [
        Warning(
            f"The active model {schema}/{entry} was trained on data for research only: {card['data']['licence']}",
            hint="Train one on data of your own (manage.py train_model), or, when you may use it, name the schema in"
            " PALISADE_RESEARCH_LICENSED: docs/settings.md.",
            id="palisade.W001",
        )
        for schema, entry, card in cards
        if card.get("research_only") and schema not in settings.RESEARCH_LICENSED
    ]


def _active(root: Path) -> list[tuple[str, str]]:
    from apps.scoring.engine import shelf
    from apps.scoring.engine.models import active
    from apps.scoring.engine.schemas import SCHEMAS

    kept = {schema: set(shelf.versions(root, schema)) for schema in SCHEMAS}
    return [(schema, entry) for schema in SCHEMAS for entry in active(root, schema) if entry in kept[schema]]
