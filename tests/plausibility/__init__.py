"""What an analyst would say: transactions and stories with the answer they must get.

`stories.py` reads them, `senders.py` fills in what a sender would send, `play.py` plays them through the engine with
its history. `python -m tests.plausibility` prints what holds and what does not.
"""
