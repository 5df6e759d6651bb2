"""review: what became of transactions. Owns labels (fraud or legitimate, as was learned later) and their history.

Hands on: `labels` (add, read), `label_csv` (pure). Never: changes a decision, or lets a feature of the past see what
was learned after it.
"""
