"""422: every wrong field is told at once, at every door, for every schema, and in the rows of a batch."""

from typing import Any

import pytest

from apps.errors import MOST_TOLD
from apps.scoring.engine.schemas import SCHEMAS
from tests.api.bodies import TRANSFER
from tests.cast import Api

Schema = pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))
WRONG = {"type": "TRANSFER", "amount": -5, "oldbalanceOrg": "10", "nameOrig": "\u0000"}
#: The wrong fields of `WRONG`, in the order of the documentation.
PARAMS = ["amount", "oldbalanceOrg", "newbalanceOrig", "oldbalanceDest", "newbalanceDest", "step", "nameOrig"]


def params(told: Any) -> list[str]:
    return [error["param"] for error in told["errors"]]


def within(place: str, *names: str) -> list[str]:
    return [f"{place}.{name}" for name in names]


@Schema
def test_a_transaction_of_every_schema(alice: Api, schema: Any) -> None:
    told = alice.post("/v1/decisions", {"schema": schema.name, "transaction": {}}).json()
    assert params(told) == [f"transaction.{name}" for name in schema.fields if name in schema.required][:MOST_TOLD]
    assert told["errors"][0] == {"param": told["param"], "detail": told["errors"][0]["detail"]}
    assert told["detail"].startswith(told["errors"][0]["detail"])


@Schema
def test_no_more_than_a_reader_reads(alice: Api, schema: Any) -> None:
    wrong = {name: [] for name in schema.fields}
    told = alice.post("/v1/decisions", {"schema": schema.name, "transaction": wrong}).json()
    assert len(told["errors"]) == min(len(schema.fields), MOST_TOLD)


def test_the_request_and_its_transaction(alice: Api) -> None:
    body = {"schema": "paysim", "transaction": WRONG, "dry_run": "yes", "model": 7}
    assert params(alice.post("/v1/decisions", body).json()) == [
        "dry_run",
        "model",
        *within("transaction", *PARAMS),
    ]


def test_rows_of_a_batch(alice: Api) -> None:
    body = {"schema": "paysim", "transactions": [TRANSFER, WRONG]}
    row = alice.post("/v1/decisions/batch", body).json()["data"][1]
    assert params(row["error"]) == within("transactions[1]", *PARAMS)


@pytest.mark.parametrize(
    ("path", "body", "wanted"),
    [
        ("/predict", {"payload": WRONG}, within("payload", *PARAMS)),
        (
            "/predict",
            {"transaction_data": {"TransactionAmt": -1, "card1": "x"}},
            within("transaction_data", "TransactionAmt", "card1"),
        ),
        ("/predict", {"user_id": "u", "amount": "1"}, ["amount", "merchant_id"]),
        (
            "/api/v1/score",
            {"transactions": [WRONG, TRANSFER | {"step": -1}]},
            [*within("transactions[0]", *PARAMS), "transactions[1].step"],
        ),
        ("/batch-predict", {"transactions": [{"amount": 1.0}]}, within("transactions[0]", "user_id", "merchant_id")),
    ],
)
def test_the_older_interfaces(alice: Api, path: str, body: Any, wanted: list[str]) -> None:
    answer = alice.post(path, body)
    assert answer.status_code in (400, 422)
    assert sorted(params(answer.json())) == sorted(wanted)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v1/decisions?limit=abc&schema=x&created_after=y&no=1", ["no", "limit", "schema", "created_after"]),
        ("/v1/usage/daily?start=x&end=y", ["end", "start"]),
        ("/v1/webhooks/whe_1/deliveries?limit=0&state=x", ["state", "limit"]),
    ],
)
def test_parameters_of_a_query(alice: Api, path: str, wanted: list[str]) -> None:
    told = alice.get(path).json()
    assert params(told) == wanted
    assert all(f"'{error['param']}'" in error["detail"] for error in told["errors"])


def test_a_parameter_says_its_name_and_what_was_sent(alice: Api) -> None:
    told = alice.get("/v1/invoices?limit=abc").json()
    assert told["detail"].startswith("'limit' takes a whole number from 1 to 100, not 'abc'.")


@pytest.mark.parametrize(("amount", "quotes"), [(-5, False), ("5000", True), (None, False), (True, False)])
def test_quotes_are_spoken_of_where_there_were_quotes(alice: Api, amount: Any, quotes: bool) -> None:
    body = {"schema": "paysim", "transaction": TRANSFER | {"amount": amount}}
    told = alice.post("/v1/decisions", body).json()
    assert ("without quotes" in told["detail"]) is quotes
    assert told["detail"].startswith("'amount' must be a number from 0 to 1,000,000,000,000")
