"""One recipe a schema."""

from collections.abc import Mapping

from apps.scoring.training.recipe import Recipe
from apps.scoring.training.recipes.card_activity import CARD_ACTIVITY
from apps.scoring.training.recipes.ieee_cis import IEEE_CIS
from apps.scoring.training.recipes.payments import PAYMENTS
from apps.scoring.training.recipes.paysim import PAYSIM

RECIPES: Mapping[str, Recipe] = {
    "paysim": PAYSIM,
    "card_activity": CARD_ACTIVITY,
    "ieee_cis": IEEE_CIS,
    "payments": PAYMENTS,
}
