"""What leaves were made of while rows were copied as CSV is made again to the byte."""

from datetime import UTC, datetime

from apps.batches.receipted import lines_of
from apps.scoring.models import Decision

BOTH = {
    "created_at": datetime(2026, 12, 1, 9, 30, 0, 125000, UTC), "livemode": True, "body_hash": "ab" * 16,
    "idempotency_hash": "", "fingerprint": "btc_1", "status": "new", "risk_level": "low",
    "recommended_action": "approve", "decisive": "model:xgboost", "features": b"\x00\x80?", "contributions": b"",
    "made_on": b"\x01\xff",
}  # fmt: skip
ROWS = [
    Decision(
        id="dec_1", schema="paysim", transaction_id='T"1,\n2', fraud_probability=4.8e-05, risk_score=490, row=3,
        model_name="xgboost", model_version="1", hidden=None, policy_version=None, answer='{"rules":[]}',
        facts={"step": 1, "type": "DEBIT", "amount": 2655.04, "nameOrig": "C1", "nameDest": "C2é",
               "oldbalanceOrg": 21214, "newbalanceOrig": 18558.96},
        amount=2655.04, parties=["c1", 'c"2\\'], rules_hit=[], **BOTH,
    ),
    Decision(
        id="dec_2", schema="payments", transaction_id="txn_2", fraud_probability=None, risk_score=None, row=0,
        model_name="", model_version="", hidden={"transaction": "ff", "merchant_id": "aa"}, policy_version=7,
        answer='{"id":"dec_2"}',
        facts={"amount": 12, "merchant_id": "411111******1111", "timestamp": "2026-12-01T09:00:00Z"},
        amount=12.0, parties=["m1"], rules_hit=["r1", "r2"], **BOTH,
    ),
    Decision(id="dec_3", schema="paysim", fingerprint="not of a batch", facts={}),
]  # fmt: skip
LINES = {
    "dec_1": (
        '"dec_1","2026-12-01T09:30:00.125000+00:00",true,"paysim","T""1,\n2","abababababababababababababababab","",'
        '"btc_1","new",0.000048,490,"low","approve","model:xgboost","xgboost","1","{""amount"":2655.04,'
        '""oldbalanceOrg"":21214,""newbalanceOrig"":18558.96,""step"":1,""type"":""DEBIT"",""nameOrig"":""C1"",'
        '""nameDest"":""C2é""}","{""rules"":[]}","\\x00803f","",,3,,"\\x01ff",2655.04,"{""c1"",""c\\""2\\\\""}","{}"'
    ),
    "dec_2": (
        '"dec_2","2026-12-01T09:30:00.125000+00:00",true,"payments","txn_2","abababababababababababababababab","",'
        '"btc_1","new",,,"low","approve","model:xgboost","","","{""amount"":12.0,""merchant_id"":""411111******1111"",'
        '""timestamp"":""2026-12-01T09:00:00Z""}","{""id"":""dec_2""}","\\x00803f","","{""merchant_id"":""aa""}",0,7,'
        '"\\x01ff",12,"{""m1""}","{""r1"",""r2""}"'
    ),
}


def test_lines_are_what_they_were() -> None:
    assert {name: line.decode() for name, line in lines_of(ROWS).items()} == LINES
