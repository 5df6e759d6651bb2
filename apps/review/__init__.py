"""review: what became of transactions. Owns labels (fraud or legitimate, as was learned later), their history, and the
cases of decisions that ask for a person.

Hands on: `labels` (add, read), `label_csv` (pure), `cases` (queues, work, evidence, graph). Never: changes a
decision, or lets a feature of the past see what was learned after it.
"""
