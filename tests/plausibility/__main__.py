"""Prints which stories the shipped models answer wrongly, or which laws they break, each with an example.

python -m tests.plausibility [schema …] [--model every] [--all]
python -m tests.plausibility [schema …] --laws 100000
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from apps.scoring.engine.engine import ENSEMBLE, Engine
from apps.scoring.engine.models import LoadedModel, load_active
from apps.scoring.engine.schemas import SCHEMAS
from tests.plausibility.court import Breach, Verdict, try_laws
from tests.plausibility.play import Played, play_all

ARTIFACTS = Path(__file__).resolve().parents[2] / "ml_artifacts"
MOST_TOLD = 400  # characters of a pair


def main() -> int:
    """Plays the stories, or tries the laws; 1 when something is not as it must be."""
    asked = _arguments()
    failed = 0
    for schema in asked.schemas or SCHEMAS:
        engine = Engine({schema: load_active(asked.artifacts, schema)})
        failed += _laws_told(engine, schema, asked) if asked.laws else _stories_told(engine, schema, asked)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.plausibility", description=__doc__)
    parser.add_argument("schemas", nargs="*", help="payments, card_activity, paysim, ieee_cis; all when none is named")
    parser.add_argument("--model", default=None, help="a model's name, 'ensemble' or 'every'; the champion by default")
    parser.add_argument("--all", action="store_true", help="print what holds, too")
    parser.add_argument("--list", action="store_true", help="print the names of what does not hold, a line each")
    parser.add_argument("--laws", type=int, metavar="PAIRS", help="try the laws on so many pairs a model, instead")
    parser.add_argument("--seed", type=int, default=0, help="of the pairs")
    parser.add_argument("--artifacts", type=Path, default=ARTIFACTS, help="where the models stand")
    return parser.parse_args()


# --- stories ----------------------------------------------------------------------------------------------------------


def _stories_told(engine: Engine, schema: str, asked: argparse.Namespace) -> int:
    """How many answers are not as they must be, told of every model that was asked for."""
    failed = 0
    for model in _models(engine, schema, asked.model):
        played = play_all(engine, schema, model)
        wrong = [one for one in played if one.problems]
        failed += len(wrong)
        if asked.list:
            print("".join(f"{schema} {one.name}\n" for one in wrong), end="")
            continue
        right = len(played) - len(wrong)
        print(f"\n{schema}, {model or 'champion'}: {right} of {len(played)} answers as they must be")
        print("".join(_line(one) for one in (played if asked.all else wrong)), end="")
    return failed


def _models(engine: Engine, schema: str, wanted: str | None) -> Sequence[str | None]:
    return (*engine.models[schema], ENSEMBLE) if wanted == "every" else (wanted,)


def _line(one: Played) -> str:
    decision = one.decision
    reason = decision.reasons[0].text if decision.reasons else ""
    return (
        f"  {'x' if one.problems else '.'} {one.name:32.32} {one.step.band or '-':10} "
        f"p {decision.fraud_probability or 0:.4f} {decision.risk_level:8} {decision.recommended_action:9} "
        f"{decision.decisive.id:20.20} {'; '.join(one.problems) or reason}\n"
    )


# --- laws -------------------------------------------------------------------------------------------------------------


def _laws_told(engine: Engine, schema: str, asked: argparse.Namespace) -> int:
    """How often a law was broken, told of every family and the ensemble."""
    loaded = {name: model for name, model in engine.models[schema].items() if isinstance(model, LoadedModel)}
    failed = 0
    for model, verdict in try_laws(schema, loaded, asked.laws, asked.seed).items():
        broken = Counter(breach.law for breach in verdict.breaches)
        failed += len(verdict.breaches)
        print(f"\n{schema}, {model}: {len(verdict.breaches)} breaches in {sum(verdict.pairs.values()):,} pairs")
        print("".join(_law_line(law, verdict, broken) for law in verdict.pairs if broken[law] or asked.all), end="")
    return failed


def _law_line(law: str, verdict: Verdict, broken: Counter[str]) -> str:
    line = f"  {'x' if broken[law] else '.'} {law:50.50} {broken[law]:6} of {verdict.pairs[law]:,}\n"
    breach = next((one for one in verdict.breaches if one.law == law), None)
    return line if breach is None else f"{line}      {_told(breach)}\n"


def _told(breach: Breach) -> str:
    """One pair, by what differs."""
    fields, other = breach.draft.fields, breach.against[0]
    changed = {
        name: (other.fields.get(name), value) for name, value in fields.items() if other.fields.get(name) != value
    }
    rest = {name: value for name, value in fields.items() if name not in changed}
    return (
        f"{breach.probability:.6f} against {breach.bound:.6f}: {changed or breach.draft.variant} beside "
        f"{str(rest)[:MOST_TOLD]}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
