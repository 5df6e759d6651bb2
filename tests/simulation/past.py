"""A tenant's past: decisions of every kind, one by one and many at once, under policies and models that changed."""

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from apps.api_keys.services import get_gate
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.rules import Condition, Rule, Tuning
from apps.scoring.policies import publish
from apps.scoring.serving.runtime import get_scoring, load_models
from bench.transactions import MAKERS
from tests.cast import Api

#: Five policies that differ in everything there is.
POLICIES = (
    Policy(),
    Policy(medium=0.2, review_at=0.1, block_at=0.4),
    Policy(rules=(Rule("large", "review", (Condition("amount", "gt", 400.0),), "A large one."),), review_at=0.25),
    Policy(
        rules=(
            Rule("trusted", "allow", (Condition("merchant_id", "in", tuple(f"M{n}" for n in range(1, 200))),)),
            Rule("abroad", "block", (Condition("country", "ne", other="home_country"),)),
            Rule("spending", "challenge", (Condition("log_amount", "gt", 5.8),), schema="payments"),
        ),
        home_country="USA",
    ),
    Policy(built_in=(Tuning("drained_account", "paysim", "note"),), default_action="block", critical=0.8),
)


def publish_to(api: Api, policy: Policy) -> int:
    return publish(tenant=api.tenant, policy=policy, gate=get_gate(), now=timezone.now())


def decide_on(api: Api, chance: random.Random, count: int, schemas: Sequence[str] = tuple(MAKERS), **more: Any) -> None:
    """So many decisions of each kind in one request, and one of each by itself."""
    for schema in schemas:
        made = MAKERS[schema]
        rows = [made(chance) for _ in range(count)]
        answer = api.post("/v1/decisions/batch", {"schema": schema, "transactions": rows, **more})
        assert answer.status_code == 200, answer.content
        assert api.post("/v1/decisions", {"schema": schema, "transaction": made(chance), **more}).status_code == 200


@contextmanager
def models_of_our_own(folder: Path, schemas: Sequence[str] = ("paysim", "payments")) -> Iterator[Path]:
    """Let this process decide by models of a folder where they may be changed; those shipped afterwards."""
    for schema in schemas or MAKERS:
        shutil.copytree(settings.ARTIFACTS_DIR / schema, folder / schema)
    scoring = get_scoring()  # with the models that are shipped: a process reads them once
    with override_settings(ARTIFACTS_DIR=folder):
        scoring.engine = Engine(load_models())
        try:
            yield folder
        finally:
            get_scoring.cache_clear()


def new_version(folder: Path, schema: str, version: str, steeper: float) -> None:
    """Make the champion's next version, calibrated otherwise, and let it decide."""
    active = (folder / schema / "ACTIVE").read_text().split()
    name = active[0].partition("/")[0]
    shutil.copytree(folder / schema / active[0], folder / schema / name / version)
    path = folder / schema / name / version / "card.json"
    card = json.loads(path.read_text())
    card["version"], card["calibration"]["a"] = version, card["calibration"]["a"] * steeper
    path.write_text(json.dumps(card))
    (folder / schema / "ACTIVE").write_text("\n".join([f"{name}/{version}", *active[1:]]) + "\n")
    get_scoring().engine = Engine(load_models())


def as_json(policy: Policy) -> dict[str, Any]:
    """A policy as the API takes it."""
    told = msgspec.to_builtins(policy)
    return {name: value for name, value in told.items() if name != "version"}
