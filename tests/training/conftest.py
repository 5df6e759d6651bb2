"""The engine's cast, and models trained on small logs."""

from pathlib import Path
from typing import Any

import pytest

from apps.scoring.engine.transaction import TransactionSchema
from apps.training.train import train
from tests.scoring.engine.conftest import engine, model, models, paysim, policy, schema
from tests.training.training_data import paysim_log, small

__all__ = ["engine", "model", "models", "paysim", "policy", "schema"]  # fixtures, which pytest finds here


@pytest.fixture(scope="session")
def log() -> Any:
    """A small labelled log of PaySim's."""
    return paysim_log()


@pytest.fixture(scope="session")
def trained(log: Any, schema: TransactionSchema, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shelf with every model of PaySim, small, and the log it was trained on. Never written to: copy it."""
    folder = tmp_path_factory.mktemp("artifacts")
    log.to_csv(folder / "log.csv", index=False)
    train(schema, [folder / "log.csv"], folder, say=lambda line: None, version="2026.1.1", recipe=small("paysim"))
    return folder
