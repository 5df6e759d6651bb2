"""docs/model-quality.md, written from the models' cards: the tables are theirs, the words the template's."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any

from apps.scoring.engine import shelf
from apps.scoring.engine.models import active
from apps.scoring.engine.schemas import SCHEMAS
from apps.training.data import UnusableData
from apps.training.recipes import RECIPES
from apps.training.train import train

TEMPLATE = Path(__file__).with_name("model-quality.template.md")
INTERVALS_OF = ("auc_roc", "average_precision", "recall_at_1pct_fpr")
MODELS_HEAD = (
    "| model | trees | ROC AUC | average precision | recall at 1 % FPR | calibration error | AP, history away | MB |"
)
BASELINES_HEAD = "| stands beside | ROC AUC | average precision | recall at 1 % FPR |"
ROLLING_HEAD = "| model | fitted until | measured on | ROC AUC | average precision | recall at 1 % FPR |"
SPARSE_HEAD = "| all that is sent | ROC AUC | average precision | recall at 1 % FPR | calibration error |"
WORTH_HEAD = "| group of fields | average precision with it | without it |"

Say = Callable[[str], None]
Card = dict[str, Any]


def measured(folder: Path, say: Say, shelf_at: Path | None = None, among: Sequence[str] = tuple(RECIPES)) -> str:
    """Train every schema from scratch on the files of a folder: the page. The models stay at `shelf_at` when it is
    given. Raises `UnusableData` when none of the files is there.
    """
    with TemporaryDirectory() as elsewhere:
        root = shelf_at or Path(elsewhere)
        for name in among:
            recipe = RECIPES[name]
            paths = [folder / file for file in recipe.files]
            if all(path.exists() for path in paths):
                say(f"--- {name}")
                _train_apart(name, paths, root)
            else:
                say(f"--- {name}: left out, {', '.join(recipe.files)} is not in {folder}")
        if not any(RECIPES[name].files for name in RECIPES if active(root, name)):
            raise UnusableData(f"No training file was found in {folder}.")
        return page(root)


def _train_apart(name: str, paths: Sequence[Path], root: Path) -> None:
    """In a process of its own, whose memory is given back with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        apart.submit(_train, name, paths, root).result()


def _train(name: str, paths: Sequence[Path], root: Path) -> None:
    train(SCHEMAS[name], paths, root, say=partial(print, flush=True))


def page(root: Path) -> str:
    """The page of the models under `root`."""
    return Template(TEMPLATE.read_text()).substitute({name: section(root, name) for name in RECIPES})


def section(root: Path, schema: str) -> str:
    """A schema's tables: where the data come from, the models, what stands beside."""
    cards = [shelf.card(root, schema, entry) for entry in _entries(root, schema)]
    if not cards:
        return "Not measured: its file was not there.\n"
    sizes = [shelf.size(root, schema, entry) for entry in _entries(root, schema)]
    champion = cards[0]
    return "\n".join(
        [
            _origin(champion),
            "",
            MODELS_HEAD,
            _rule(MODELS_HEAD),
            *[_model(card, size, first=card is champion) for card, size in zip(cards, sizes, strict=True)],
            "",
            BASELINES_HEAD,
            _rule(BASELINES_HEAD),
            *[_baseline(name, metrics) for name, metrics in champion["quality"]["baselines"].items()],
            "",
            _threshold(champion),
            "",
            *_rolling(cards),
            *_sparse(champion),
        ]
    )


def _rolling(cards: Sequence[Card]) -> list[str]:
    """The figures at several origins of the models they were measured of."""
    measured = [card["quality"]["rolling_origins"] for card in cards if "rolling_origins" in card["quality"]]
    if not measured:
        return []
    rows = [
        _row(
            [
                f"`{one['model']}`",
                str(origin["fitted_until"]),
                _span(origin["measured"]),
                *map(_of(origin), INTERVALS_OF),
            ]
        )
        for one in measured
        for origin in one["origins"]
    ]
    means = [
        _row([f"`{one['model']}`", "", "mean, least to most", *[_spread(one["spread"][name]) for name in INTERVALS_OF]])
        for one in measured
    ]
    return [ROLLING_HEAD, _rule(ROLLING_HEAD), *rows, *means, ""]


def _of(origin: Mapping[str, float]) -> Callable[[str], str]:
    return lambda name: _number(origin[name])


def _spread(spread: Mapping[str, float]) -> str:
    return f"{_number(spread['mean'])}, {_number(spread['least'])} to {_number(spread['most'])}"


def _sparse(card: Card) -> list[str]:
    """Requests of few fields, and what each group of fields is worth."""
    requests = [
        _row([one["request"], *[_number(one["metrics"][name]) for name in (*INTERVALS_OF, "calibration_error")]])
        for one in card["quality"].get("sparse", ())
    ]
    groups = [_row([one["group"], f"{one['with']:.3f}", f"{one['without']:.3f}"]) for one in card.get("worth", ())]
    found = [SPARSE_HEAD, _rule(SPARSE_HEAD), *requests, ""] if requests else []
    return found + ([WORTH_HEAD, _rule(WORTH_HEAD), *groups, ""] if groups else [])


def _entries(root: Path, schema: str) -> Sequence[str]:
    """The active ones, champion first, then the others."""
    named = list(active(root, schema))
    return [*named, *(entry for entry in shelf.versions(root, schema) if entry not in named)]


def _origin(card: Card) -> str:
    data, split, last = card["data"], card["split"], card["quality"]["out_of_time"]
    return (
        f"Data: {data['title']}; {data['rows']:,} rows, {data['frauds']:,} frauds, {_span(data['period'])}. "
        f"Licence: {data['licence']}. Version {card['version']}. The trees saw {_span(split['fit'])}, stopping and "
        f"calibration {_span(split['held_out'])}; {_span(split['last'])} ({last['rows']:,} rows, {last['frauds']:,} "
        "frauds) were kept for these tables. In brackets: 95 % bootstrap intervals."
    )


def _span(period: Sequence[Any]) -> str:
    return f"{period[0]} to {period[1]}"


def _model(card: Card, size: int, *, first: bool) -> str:
    last = card["quality"]["out_of_time"]
    found = [f"{_number(last['metrics'][name])}{_interval(last['intervals_95'][name])}" for name in INTERVALS_OF]
    name = f"**`{card['name']}`**" if first else f"`{card['name']}`"
    away = _number(last["metrics_without_history"]["average_precision"])
    trees = " + ".join(map(str, card["trees"])) or "–"
    calibration = f"{last['metrics']['calibration_error']:.5f}"
    return _row([name, trees, *found, calibration, away, f"{size / 1e6:.2f}"])


def _baseline(name: str, metrics: dict[str, float | None]) -> str:
    return _row([name, *[_number(metrics[metric]) for metric in INTERVALS_OF]])


def _threshold(card: Card) -> str:
    metrics = card["quality"]["out_of_time"]["metrics"]
    return (
        f"The champion at the threshold {card['threshold']}: precision {_number(metrics['precision'])}, recall "
        f"{_number(metrics['recall'])}; Brier score {metrics['brier']:.6f}."
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _interval(edges: Sequence[float] | None) -> str:
    return f" ({_number(edges[0])}–{_number(edges[1])})" if edges else ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(head: str) -> str:
    return "|" + "---|" * (head.count("|") - 1)
