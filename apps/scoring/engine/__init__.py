"""The engine: a transaction, its history and a policy in; a decision with its reasons out.

Pure: no Django, no stores, no clock. It owns what a transaction is, the features, rules, models, explanations and the
precedence of causes; it hands on a `Decision`; it never reads or writes anything but a model's files when told to.
"""
