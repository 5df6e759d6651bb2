"""One recipe a schema."""

from collections.abc import Mapping

from apps.training.recipe import Recipe
from apps.training.recipes.card_activity import CARD_ACTIVITY
from apps.training.recipes.ieee_cis import IEEE_CIS
from apps.training.recipes.payments import PAYMENTS
from apps.training.recipes.paysim import PAYSIM

RECIPES: Mapping[str, Recipe] = {
    "paysim": PAYSIM,
    "card_activity": CARD_ACTIVITY,
    "ieee_cis": IEEE_CIS,
    "payments": PAYMENTS,
}
