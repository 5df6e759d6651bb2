"""What the card says about quality: the last part of the time, with intervals."""

from collections.abc import Callable, Container
from typing import Any

import numpy as np

from apps.scoring.engine.models import Calibration
from apps.training import metrics
from apps.training.calibrate import probabilities
from apps.training.families.fitted import Fitted
from apps.training.recipe import Prepared
from apps.training.replay import told_sparsely, with_fresh_parties, without_history
from apps.training.split import weights

THRESHOLD = 0.5
SEEN_AS_NEW, TOLD_SPARSELY = 0.1, 0.1  # of the reference population, beside its rows as they are
QUANTILES = 1000  # of the reference population


class Measured:
    """A model that saw nothing of the last part, on that part."""

    def __init__(self, prepared: Prepared, model: Fitted, calibration: Calibration) -> None:
        weight = weights(prepared.rows, prepared.split.last)
        self._kept = np.flatnonzero(prepared.split.last)[weight > 0]
        self._weight = weight[weight > 0]
        self._label = prepared.rows.label[self._kept]
        self._source = _sources(prepared)[self._kept]
        self._prepared, self._model, self._calibration = prepared, model, calibration
        self._margins = model.margins(prepared.material.measured[self._kept])

    def figures(self) -> dict[str, float | None]:
        """The metrics alone."""
        return self._metrics(probabilities(self._calibration, self._margins), self._headline())

    def report(self) -> dict[str, Any]:
        """Metrics with bootstrap intervals, and the metrics when nothing is known of any past."""
        moment, (first, last) = self._prepared.recipe.moment, self._prepared.split.bounds["last"]
        probability = probabilities(self._calibration, self._margins)
        unknown = without_history(self._prepared.schema, self._prepared.rows.where(self._kept))
        away = probabilities(self._calibration, self._model.margins(unknown))
        headline = self._headline()
        label, weight = self._label[headline], self._weight[headline]
        return {
            "period": [moment(first), moment(last)],
            "rows": len(label),
            "frauds": int(label.sum()),
            "metrics": self._metrics(probability, headline),
            "intervals_95": metrics.intervals(label, probability[headline], weight, THRESHOLD),
            "metrics_without_history": self._metrics(away, headline),
            **self._by_source(probability),
        }

    def sparse(self) -> list[dict[str, Any]]:
        """The metrics of requests that send a few fields only, the past unknown."""
        return [
            {"request": name, "fields": list(kept), "metrics": self._metrics(self._masked(kept), self._headline())}
            for name, kept in self._prepared.recipe.sparse.items()
        ]

    def worth(self) -> list[dict[str, Any]]:
        """What each group of fields adds to the average precision of requests that send everything else."""
        fields_of = self._prepared.schema.fields
        whole = self._average_precision(self._masked(fields_of))
        return [
            {
                "group": name,
                "fields": list(fields),
                "with": round(whole, 4),
                "without": round(self._average_precision(self._masked(set(fields_of) - set(fields))), 4),
            }
            for name, fields in self._prepared.recipe.groups.items()
        ]

    def _masked(self, kept: Container[str]) -> np.ndarray:
        """Probabilities when every optional field that is not kept was left out, float64[n]."""
        schema, rows = self._prepared.schema, self._prepared.rows.where(self._kept)
        there = [name for name in rows.frame if name in schema.required or name in kept]
        masked = rows._replace(frame=rows.frame[there])
        return probabilities(self._calibration, self._model.margins(without_history(schema, masked)))

    def _average_precision(self, probability: np.ndarray) -> float:
        chosen = self._headline()
        ranking = metrics.Ranking(self._label[chosen], probability[chosen])
        return ranking.metrics(self._weight[chosen])["average_precision"]

    def _by_source(self, probability: np.ndarray) -> dict[str, Any]:
        """The same of each source alone, and of all together as they are weighed."""
        sources = self._prepared.recipe.sources
        if not sources:
            return {}
        names = [source.name for source in sources if self._of(source.name).any()]
        everything = np.ones(len(self._label), dtype=bool)
        return {
            "by_source": {name: self._metrics(probability, self._of(name)) for name in names}
            | {"together": self._metrics(probability, everything)}
        }

    def _headline(self) -> np.ndarray:
        """The rows the metrics are about: those of the first source."""
        return self._of(self._prepared.recipe.sources[0].name if self._prepared.recipe.sources else "")

    def _of(self, source: str) -> np.ndarray:
        return self._source == source

    def reference(self, serving: Callable[[np.ndarray], np.ndarray]) -> list[float]:
        """Rising margins: the quantiles of what the model as it is served says of this population, weighted.

        New users and sparse requests are among them as they come: shares of the same rows, seen so.
        """
        schema, rows = self._prepared.schema, self._prepared.rows.where(self._kept)
        views = [(self._prepared.material.measured[self._kept], 1.0)]
        if schema.roles:
            views.append((with_fresh_parties(schema, rows), SEEN_AS_NEW))
        views.append((with_fresh_parties(schema, told_sparsely(schema, rows)), TOLD_SPARSELY))
        margins = np.concatenate([serving(features) for features, _ in views])
        weight = np.concatenate([self._weight * share for _, share in views])
        order = np.argsort(margins)
        cumulated = np.cumsum(weight[order]) / weight.sum()
        at = np.searchsorted(cumulated, (np.arange(QUANTILES) + 0.5) / QUANTILES)
        return margins[order][np.minimum(at, len(order) - 1)].tolist()

    def population(self) -> str:
        """Who these are, in words."""
        period = " to ".join(str(self._prepared.recipe.moment(at)) for at in self._prepared.split.bounds["last"])
        new = f", and a share of {SEEN_AS_NEW:g} of them as new users" if self._prepared.schema.roles else ""
        return (
            f"{len(self._kept):,} later transactions ({period}), weighted to their true rates{new}, "
            f"and {TOLD_SPARSELY:g} with the required fields alone"
        )

    def _metrics(self, probability: np.ndarray, chosen: np.ndarray) -> dict[str, float | None]:
        label, weight = self._label[chosen], self._weight[chosen]
        return metrics.rounded(metrics.measure(label, probability[chosen], weight, THRESHOLD))


def _sources(prepared: Prepared) -> np.ndarray:
    """Which source each row is of; one where there is but one."""
    rows = prepared.rows
    if "source" not in rows.frame:
        return np.full(len(rows.label), "", dtype=object)
    return rows.frame["source"].to_numpy(object)
