"""The families of models, by name. Each fits a block and hands back a `Fitted`; nothing else knows its library."""

from collections.abc import Mapping

from apps.training.families import boosted, logistic
from apps.training.families.fitted import Family

FAMILIES: Mapping[str, Family] = {
    "xgboost": boosted.fit_xgboost,
    "lightgbm": boosted.fit_lightgbm,
    "random_forest": boosted.fit_forest,
    "logistic_regression": logistic.fit_logistic,
}
