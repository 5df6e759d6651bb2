"""A stand-in for Stripe: a real HTTP server with the calls Palisade makes, strict where a mistake would cost money.

    ledger.py      what Stripe remembers and does: customers, cards, intents, charges that are really counted, events
    cards.py       Stripe's documented test payment methods and how they are declined
    parameters.py  every call's parameters, off the wire, against the types of Stripe's own library
    server.py      HTTP, idempotency keys as Stripe keeps them, and the faults one may ask for
    webhooks.py    signed events, sent in any order, any number of times

In a test: `with Stand() as stand: … stand.url`. On its own: `python -m tests.stripe_server --port 12111`; then the
addresses under `/_control/` play the person at the browser, the issuer and the weather (see docs/stripe.md).
"""

from tests.stripe_server.ledger import Ledger
from tests.stripe_server.server import Fault, Stand

__all__ = ["Fault", "Ledger", "Stand"]
