"""What a tenant's aggregates came to when a transaction was decided, by the names rules ask for.

The engine reads no store. Whoever decides asks for the aggregates of the policy (`serving/aggregate_pasts.py`) and
hands on what they came to; one that is not told is unknown, as what was not sent is: a condition on it does not hold.
"""

from collections.abc import Mapping

PREFIX = "aggregates."
#: For one transaction; nan: unknown.
KnownAggregates = Mapping[str, float]
