"""Small labelled data and small recipes, so that a whole training takes seconds."""

from dataclasses import replace

import numpy as np
import pandas as pd

from apps.training import simulate
from apps.training.families.fitted import Settings
from apps.training.recipe import Recipe
from apps.training.recipes import RECIPES

SMALL = {"xgboost": 20, "lightgbm": 20, "random_forest": 8, "logistic_regression": 200}


def paysim_log() -> pd.DataFrame:
    """Honest reconciling rows and drained accounts over 200 hours, one amount in ten cashed within its hour."""
    random = np.random.default_rng(3)
    frame = pd.concat(
        [simulate.reconciling(3000, random), simulate.thieves_who_leave_some(300, random)], ignore_index=True
    )
    frame["step"] = random.integers(0, 200, len(frame))
    frame["nameOrig"] = [f"C{index}" for index in range(len(frame))]
    frame["nameDest"] = random.choice([f"C{index}" for index in range(200)], len(frame))
    return frame.sort_values("step", ignore_index=True)


def small(schema: str, models: tuple[str, ...] = ()) -> Recipe:
    """The schema's own recipe with few trees."""
    recipe = RECIPES[schema]
    plans = {
        name: replace(plan, settings=_fewer(plan.settings, SMALL[plan.family]))
        for name, plan in recipe.plans.items()
        if not models or name in models
    }
    return replace(recipe, plans=plans)


def _fewer(settings: Settings, rounds: int) -> Settings:
    return replace(settings, rounds=rounds, patience=5)
