"""Signals of billing; it knows neither keys nor the gate, who listens does."""

from apps.listeners import Listeners

#: A tenant's plan, status, cap or payment method changed; its id, inside the transaction of the change.
limits_changed = Listeners[int]()
