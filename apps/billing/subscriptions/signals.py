"""What billing says when a tenant's limits may have changed. The composition root hands in who listens: billing knows
neither keys nor the gate. Listeners are called inside the transaction of the change."""

from collections.abc import Callable

Listener = Callable[[int], object]
_listeners: list[Listener] = []


def on_change(listener: Listener) -> None:
    """Call `listener(tenant_id)` at every change."""
    if listener not in _listeners:
        _listeners.append(listener)


def limits_changed(tenant_id: int) -> None:
    """A tenant's plan, status, cap or payment method changed."""
    for listener in _listeners:
        listener(tenant_id)
