"""The older, published interfaces: each a parse and a render over the one Decision, in a file of its own. Pure.

    commercial.py   ieee_cis        POST /predict by `transaction_data`, POST /predict/batch
    hybrid.py       paysim          POST /predict by `payload`
    enterprise.py   payments        POST /predict flat, POST /batch-predict
    gateway.py      paysim          POST /api/v1/score
    multimodel.py   card_activity   POST /detect, POST /detect/ensemble, GET /models

Their errors are {"detail": …}. What a decision means in any of them stands in verdict.py, what is asked in asked.py.
"""
