"""The models that decide, as their cards describe them."""

from typing import Any

from apps.portal.kinds import KINDS
from apps.portal.page import Page
from apps.scoring.serving import model_cards
from apps.scoring.serving.card_words import MEANINGS, METRICS, counted, metric
from apps.scoring.serving.model_cards import ModelCard


class ModelsPage(Page):
    """Every kind's models, the champion first."""

    title, template = "Models", "portal/pages/models.html"

    def context(self, **kwargs: Any) -> dict[str, Any]:
        shown = [_shown(schema, cards) for schema, cards in model_cards.on_shelf() if cards]
        return {
            "kinds": shown,
            "labels": METRICS.values(),
            "meanings": [(METRICS[name], MEANINGS[name]) for name in METRICS],
        }


def _shown(schema: str, cards: list[ModelCard]) -> dict[str, Any]:
    """A kind's models: what they share once, and each with its metrics."""
    data, quality = cards[0].trained_on, cards[0].quality
    return {
        "schema": schema,
        "title": KINDS[schema],
        "data": data,
        "learnt": counted(schema, data) if data else "",
        "measured": counted(schema, quality) if quality else "",
        "cards": [(card, [metric(card, name) for name in METRICS]) for card in cards],
    }
