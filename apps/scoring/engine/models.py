"""A model on disk and in memory: loading with proof, scoring one row or a block."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from itertools import pairwise
from math import exp, isfinite
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime

from apps.scoring.engine.own_features import widened
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.shapley import TreeShap
from apps.scoring.engine.transaction import TransactionSchema

EXAMPLE_TOLERANCE = 1e-5  # margins of one model on different machines
STEEPEST = 700.0  # beyond this, exp overflows
Explainer = TreeShap
# What explains a model, by the file that holds its arrays.
EXPLAINERS: Mapping[str, Callable[[Mapping[str, np.ndarray]], Explainer]] = {
    "trees.npz": TreeShap,
}


class ModelRefused(Exception):
    """A model that must not be used; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ModelFailed(Exception):
    """A loaded model that could not score."""


def sigmoid(log_odds: float) -> float:
    if log_odds >= 0:
        return 1.0 / (1.0 + exp(-min(log_odds, STEEPEST)))
    odds = exp(max(log_odds, -STEEPEST))
    return odds / (1.0 + odds)


class Calibration(msgspec.Struct, frozen=True):
    """Platt's: probability = sigmoid(a * margin + b), a > 0, and what the rows it was found on can vouch for at most.

    `floor` and `ceiling` are the chance of a fraud among honest-looking rows, and of an honest one among fraudulent
    ones, by Laplace's rule of succession: nobody who saw n rows can say less than 1 in n + 2.
    """

    a: float
    b: float
    floor: float = 0.0
    ceiling: float = 1.0

    def probability(self, log_odds: float) -> float:
        return min(max(sigmoid(log_odds), self.floor), self.ceiling)


class Worth(msgspec.Struct, frozen=True):
    """Fields that are sent or left out together: average precision on later rows with them, and without."""

    group: str
    fields: tuple[str, ...]
    whole: float = msgspec.field(name="with")
    without: float


class OwnCard(msgspec.Struct, frozen=True):
    """Of a tenant's own model: the base rate its shares of known frauds are smoothed by, and the risk score between
    each two of its reference margins, by which the score keeps its meaning when this model takes over: a reference of n
    has n + 1 of them, rising."""

    base_rate: float
    risk_scores: tuple[int, ...]


class Card(msgspec.Struct, frozen=True):
    """What the engine needs of `card.json`; the rest of the card is for people."""

    schema: str
    name: str
    version: str
    features: tuple[str, ...]
    threshold: float
    base_margin: float
    calibration: Calibration
    reference: tuple[float, ...]  # rising margins, the quantiles of the reference population
    files: dict[str, str]  # name → SHA-256
    reference_population: str = ""  # who these are, in words
    worth: tuple[Worth, ...] = ()
    own: OwnCard | None = None  # a tenant's own

    @property
    def base_log_odds(self) -> float:
        """Calibrated log-odds of the baseline, the schema's typical honest transaction."""
        return self.log_odds(self.base_margin)

    def log_odds(self, margin: float) -> float:
        return self.calibration.a * margin + self.calibration.b


class LoadedModel:
    """A model that proved itself. Safe to share between threads."""

    def __init__(self, card: Card, session: Any, explainer: Explainer, example: "Example") -> None:
        self.card = card
        self.name, self.version, self.threshold = card.name, card.version, card.threshold
        self.example = example
        self._session, self._explainer = session, explainer
        self._groups = tuple((one, attrgetter(*one.fields), len(one.fields)) for one in card.worth)

    def not_sent(self, transaction: Any) -> tuple[str, ...]:
        """A warning for each group of fields of which none was sent: what the group is worth."""
        return tuple(
            [
                f"Not sent: {group.group}. On later rows the model's average precision was {group.whole:.2f} with them "
                f"and {group.without:.2f} without."
                for group, fields, count in self._groups
                if _all_unknown(fields(transaction), count)
            ]
        )

    def score(self, features: np.ndarray) -> float:
        """float32[1, F] → the margin. Raises `ModelFailed`."""
        return self.margins(features)[0]

    def score_block(self, features: np.ndarray) -> np.ndarray:
        """float32[n, F] → float32[n] margins (log-odds before calibration). Raises `ModelFailed`."""
        return np.array(self.margins(features), dtype=np.float32)

    def margins(self, features: np.ndarray) -> list[float]:
        """float32[n, F] → n margins as Python floats. Raises `ModelFailed`, also when one is not a number."""
        try:
            margins: list[float] = self._session.run(None, {"features": features})[0].ravel().tolist()
        except Exception as failure:  # onnxruntime's own errors share no narrower base
            raise ModelFailed(f"{self.name}: {type(failure).__name__}") from failure
        if not isfinite(sum(margins)):
            raise ModelFailed(f"{self.name}: a margin is not finite")
        return margins

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """float32[n, F] → float32[n, F]: what each feature adds to the calibrated log-odds of the baseline."""
        return (self._explainer.contributions(features)[:, :-1] * self.card.calibration.a).astype("<f4")

    def margins_of(self, several: Sequence[np.ndarray]) -> list[list[float]]:
        """`margins` of several callers' rows, by one call."""
        return _by_one_call(self.margins, several)

    def contributions_of(self, several: Sequence[np.ndarray]) -> list[np.ndarray]:
        """`contributions` of several callers' rows, by one call."""
        return _by_one_call(self.contributions, several)

    def probability(self, margin: float) -> float:
        return self.card.calibration.probability(self.card.log_odds(margin))

    def risk_score(self, margin: float) -> int:
        """0-1000: 900 is riskier than 90 % of the reference population."""
        reference, own = self.card.reference, self.card.own
        if own is not None:
            return own.risk_scores[bisect_left(reference, margin)]
        return round(1000 * bisect_left(reference, margin) / len(reference))


def _by_one_call(ask: Callable[[np.ndarray], Any], several: Sequence[np.ndarray]) -> list[Any]:
    """What is said of each one's rows; most of a call for one row is the call."""
    if len(several) == 1:
        return [ask(several[0])]
    said, ends = ask(np.concatenate(several)), np.cumsum([0, *map(len, several)]).tolist()
    return [said[begin:end] for begin, end in pairwise(ends)]


def _all_unknown(values: Any, count: int) -> bool:
    """Of what an attrgetter of `count` names found; of one name it is the value itself."""
    return values is None if count == 1 else values.count(None) == count


class Example(msgspec.Struct, frozen=True):
    """A feature row (None is unknown) and what the model must say about it."""

    features: tuple[float | None, ...]
    margin: float
    fraud_probability: float


def load_model(directory: Path) -> LoadedModel:
    """The model in `directory`. Raises `ModelRefused` when a file is missing or not the one its card vouches for."""
    card = read_card(directory)
    try:
        return _loaded(card, {name: (directory / name).read_bytes() for name in card.files})
    except FileNotFoundError as missing:
        raise ModelRefused(f"{Path(missing.filename).name} is missing") from missing


def load_files(files: Mapping[str, bytes]) -> LoadedModel:
    """The model these files are, its example checked. Raises `ModelRefused` as `load_model` does."""
    try:
        card = _card_of(files["card.json"])
        model = _loaded(card, {name: files[name] for name in card.files})
    except KeyError as missing:
        raise ModelRefused(f"{missing.args[0]} is missing") from missing
    verify_example(model)
    return model


def _loaded(card: Card, contents: Mapping[str, bytes]) -> LoadedModel:
    for name, digest in card.files.items():
        if sha256(contents[name]).hexdigest() != digest:
            raise ModelRefused(f"{name} is not the file the card vouches for")
    try:
        return LoadedModel(card, session(contents["model.onnx"]), _explainer(contents), _example(contents))
    except (msgspec.DecodeError, KeyError, ValueError, ImportError) as problem:
        raise ModelRefused(f"the model can't be read: {problem}") from problem


def read_card(directory: Path) -> Card:
    """The card of the model in `directory`, of its schema's features. Raises `ModelRefused`."""
    try:
        return _card_of((directory / "card.json").read_bytes())
    except FileNotFoundError as missing:
        raise ModelRefused("card.json is missing") from missing


def _card_of(content: bytes) -> Card:
    try:
        card = msgspec.json.decode(content, type=Card)
    except msgspec.DecodeError as problem:
        raise ModelRefused(f"the model can't be read: {problem}") from problem
    _check_features(card)
    return card


def _check_features(card: Card) -> None:
    schema = SCHEMAS.get(card.schema)
    if schema is None:
        raise ModelRefused(f"the schema '{card.schema}' is unknown")
    if card.features != schema_of(card).feature_names:
        raise ModelRefused("the model's features are not the schema's, in its order: train it again")
    if not card.calibration.a > 0:
        raise ModelRefused("the calibration would turn the ranking round")


def schema_of(card: Card) -> TransactionSchema:
    """The schema a model's rows are of: of a tenant's own model the widened one."""
    return SCHEMAS[card.schema] if card.own is None else widened(card.schema)


def session(content: bytes) -> onnxruntime.InferenceSession:
    """One thread a session: the processes are the parallelism."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _explainer(contents: Mapping[str, bytes]) -> Explainer:
    name = next((name for name in EXPLAINERS if name in contents), None)
    if name is None:
        raise ModelRefused(f"nothing explains it: one of {', '.join(EXPLAINERS)} is wanted")
    with np.load(BytesIO(contents[name]), allow_pickle=False) as stored:
        return EXPLAINERS[name]({array: stored[array] for array in stored.files})


def _example(contents: Mapping[str, bytes]) -> "Example":
    return msgspec.json.decode(contents["example.json"], type=Example)


def verify_example(model: LoadedModel) -> None:
    """Raises `ModelRefused` unless the model says of its own example what it said when it was made."""
    row = [np.nan if value is None else value for value in model.example.features]
    margin = model.score(np.array([row], dtype=np.float32))
    if abs(margin - model.example.margin) > EXAMPLE_TOLERANCE:
        raise ModelRefused(f"the example scores {margin:.6f} instead of {model.example.margin:.6f}")


def active(root: Path, schema: str) -> Sequence[str]:
    """What `ACTIVE` names, a "<model>/<version>" a line, the champion first; empty when there is no such file."""
    path = root / schema / "ACTIVE"
    return path.read_text().split() if path.exists() else []


def load_active(root: Path, schema: str) -> dict[str, LoadedModel | ModelRefused]:
    """The active models of a schema by name, the champion first; a refused one is there as its refusal."""
    return {entry.partition("/")[0]: _try(root / schema / entry) for entry in active(root, schema)}


def _try(directory: Path) -> LoadedModel | ModelRefused:
    try:
        model = load_model(directory)
        verify_example(model)
    except ModelRefused as refused:
        return refused
    return model


Models = Mapping[str, Mapping[str, LoadedModel | ModelRefused]]
