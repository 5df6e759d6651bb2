"""Prints what the shipped models say of the stories: `python -m tests.plausibility [schema …] [--model M] [--all]`.

What does not hold is printed with the answer and why it is wrong.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from apps.scoring.engine.engine import ENSEMBLE, Engine
from apps.scoring.engine.models import load_active
from apps.scoring.engine.schemas import SCHEMAS
from tests.plausibility.play import Played, play_all

ARTIFACTS = Path(__file__).resolve().parents[2] / "ml_artifacts"


def main() -> int:
    """Plays the stories; 1 when something in an answer is not as it must be."""
    asked = _arguments()
    failed, tell = 0, _listed if asked.list else _told
    for schema in asked.schemas or SCHEMAS:
        engine = Engine({schema: load_active(asked.artifacts, schema)})
        for model in _models(engine, schema, asked.model):
            failed += tell(schema, model, play_all(engine, schema, model), asked.all)
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.plausibility", description=__doc__)
    parser.add_argument("schemas", nargs="*", help="payments, card_activity, paysim, ieee_cis; all when none is named")
    parser.add_argument("--model", default=None, help="a model's name, 'ensemble' or 'every'; the champion by default")
    parser.add_argument("--all", action="store_true", help="print what holds, too")
    parser.add_argument("--list", action="store_true", help="print the names of what does not hold, a line each")
    parser.add_argument("--artifacts", type=Path, default=ARTIFACTS, help="where the models stand")
    return parser.parse_args()


def _models(engine: Engine, schema: str, wanted: str | None) -> Sequence[str | None]:
    return (*engine.models[schema], ENSEMBLE) if wanted == "every" else (wanted,)


def _listed(schema: str, model: str | None, played: Sequence[Played], all_of_them: bool) -> int:
    failed = [one for one in played if one.problems]
    print("".join(f"{schema} {one.name}\n" for one in failed), end="")
    return 0


def _told(schema: str, model: str | None, played: Sequence[Played], all_of_them: bool) -> int:
    """The table of one model; how many answers are not as they must be."""
    failed = [one for one in played if one.problems]
    print(f"\n{schema}, {model or 'champion'}: {len(played) - len(failed)} of {len(played)} answers as they must be")
    for one in played if all_of_them else failed:
        print(_line(one))
    return len(failed)


def _line(one: Played) -> str:
    decision = one.decision
    reason = decision.reasons[0].text if decision.reasons else ""
    return (
        f"  {'x' if one.problems else '.'} {one.name:32.32} {one.step.band or '-':10} "
        f"p {decision.fraud_probability or 0:.4f} {decision.risk_level:8} {decision.recommended_action:9} "
        f"{decision.decisive.id:20.20} {'; '.join(one.problems) or reason}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
