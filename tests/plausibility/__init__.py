"""What an analyst would say: transactions and stories with the answer they must get, and laws no pair may break.

`stories.py` reads the stories, `senders.py` fills in what a sender would send, `play.py` plays them through the engine
with its history. `laws.py` states the laws, `drafts.py` draws payments and pasts, `court.py` tries pairs that differ in
one law's field. `python -m tests.plausibility` prints what does not hold.
"""
