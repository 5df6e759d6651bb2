"""The peer: a fraud model behind HTTP as such services are usually written. FastAPI, pydantic, pandas, predict_proba.

It runs the very model Palisade ships. It has no keys, limits, history or reasons, and stores nothing. Its features come
from Palisade's own row builder, which is kinder to it than pandas expressions would be. The endpoint is a plain `def`,
as FastAPI's documentation tells for code that blocks; `/predict_async` is the same as `async def`.
"""

from pathlib import Path

import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel, Field
from xgboost import XGBClassifier

from apps.scoring.engine.schemas.paysim import PAYSIM
from apps.scoring.engine.windows import UNKNOWN

ARTIFACTS = Path(__file__).resolve().parent.parent / "ml_artifacts" / "paysim"


class Transaction(BaseModel):
    step: int = Field(ge=0)
    type: str
    amount: float = Field(ge=0)
    nameOrig: str | None = None
    oldbalanceOrg: float
    newbalanceOrig: float
    nameDest: str | None = None
    oldbalanceDest: float
    newbalanceDest: float


class Item(BaseModel):
    schema_: str = Field(alias="schema")
    transaction: Transaction


class Answer(BaseModel):
    fraud_probability: float
    is_fraud: bool


def _load() -> XGBClassifier:
    directory = ARTIFACTS / Path((ARTIFACTS / "ACTIVE").read_text().split()[0])
    model = XGBClassifier(n_jobs=1)
    model.load_model(directory / "model.ubj")
    return model


app = FastAPI()
model = _load()


@app.post("/predict")
def predict(question: Item) -> Answer:
    return _predict(question)


@app.post("/predict_async")
async def predict_async(question: Item) -> Answer:
    return _predict(question)


def _predict(question: Item) -> Answer:
    said = question.transaction.model_dump()
    parsed = PAYSIM.parse(said)
    row = PAYSIM.row(parsed.transaction, parsed.at_ms, [UNKNOWN] * len(PAYSIM.roles))
    frame = pd.DataFrame([dict(zip(PAYSIM.feature_names, row, strict=True))])
    probability = float(model.predict_proba(frame)[0, 1])
    return Answer(fraud_probability=probability, is_fraud=probability >= 0.5)
