"""A tenant's lists: cards, users, devices, addresses … that its rules ask for as `email in lists.trusted`.

Postgres owns them, with the history of each item (ValueList, ListItem); Valkey has a hash a list of what is in force,
which is asked in the gate's own call (`membership.py`) and told of every change once that is committed
(`publishing.py`). What can't be asked is unknown, never "not in". Items are kept by keyed hashes (`tokens.py`), those
that name a person or a card by nothing else. Handed on: the answers (`KnownLists`) to the engine, and to whoever looks
back `members_at`. Never done here: deciding.
"""
