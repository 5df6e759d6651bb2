"""The standing cast of the engine's tests: the committed model, the engine around it, the documented transactions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.scoring.engine.decide import Policy
from apps.scoring.engine.engine import Engine
from apps.scoring.engine.models import LoadedModel, ModelRefused, load_active
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import Parsed, TransactionSchema

ARTIFACTS = Path(__file__).resolve().parents[3] / "ml_artifacts"


@pytest.fixture(scope="session")
def schema() -> TransactionSchema:
    return SCHEMAS["paysim"]


@pytest.fixture(scope="session")
def models() -> dict[str, LoadedModel | ModelRefused]:
    """PaySim's active models, the champion first."""
    return load_active(ARTIFACTS, "paysim")


@pytest.fixture(scope="session")
def model(models: dict[str, LoadedModel | ModelRefused]) -> LoadedModel:
    champion = models["xgboost"]
    assert isinstance(champion, LoadedModel)
    return champion


@pytest.fixture(scope="session")
def engine(model: LoadedModel) -> Engine:
    return Engine({"paysim": {"xgboost": model}})


@pytest.fixture
def policy() -> Policy:
    return Policy()


@pytest.fixture(scope="session")
def paysim(schema: TransactionSchema) -> Callable[..., Parsed]:
    """An honest, reconciling transfer with any field changed."""

    def make(**changed: Any) -> Parsed:
        return schema.parse({**HONEST, **changed})

    return make


HONEST: dict[str, Any] = {
    "type": "TRANSFER",
    "amount": 5000.0,
    "oldbalanceOrg": 10000.0,
    "newbalanceOrig": 5000.0,
    "oldbalanceDest": 1000.0,
    "newbalanceDest": 6000.0,
    "step": 15,
}
DRAINED: dict[str, Any] = {
    "type": "TRANSFER",
    "amount": 180000.0,
    "oldbalanceOrg": 180000.0,
    "newbalanceOrig": 0.0,
    "oldbalanceDest": 50000.0,
    "newbalanceDest": 230000.0,
    "step": 372,
}
BLACK_HOLE: dict[str, Any] = {
    "type": "CASH_OUT",
    "amount": 10000.0,
    "oldbalanceOrg": 10000.0,
    "newbalanceOrig": 0.0,
    "oldbalanceDest": 0.0,
    "newbalanceDest": 0.0,
    "step": 1,
}


#: One plain transaction a schema, with whatever must be sent.
EXAMPLES: dict[str, dict[str, Any]] = {
    "paysim": HONEST,
    "payments": {"amount": 150.0, "user_id": "USER_001", "merchant_id": "MERCH_001"},
    "ieee_cis": {"TransactionAmt": 150.0},
    "card_activity": {
        "User_ID": 12345, "Transaction_Amount": 60000.0, "Transaction_Location": "Uzbekistan", "Merchant_ID": 987,
        "Device_ID": 555, "Card_Type": "UzCard", "Transaction_Currency": "UZS", "Transaction_Status": "Completed",
        "Previous_Transaction_Count": 25, "Distance_Between_Transactions_km": 4.0,
        "Time_Since_Last_Transaction_min": 300.0, "Authentication_Method": "OTP", "Transaction_Velocity": 3.0,
        "Transaction_Category": "Restaurants", "Transaction_Hour": 13, "Transaction_Day": 15, "Transaction_Month": 1,
        "Transaction_Weekday": 3,
    },
}  # fmt: skip
