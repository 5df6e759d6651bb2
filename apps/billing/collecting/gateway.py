"""The payment gateway's interface: what payments ask of the provider, its orders and its errors.

    Gateway          what payments ask of it; `providers.get_gateway()` is this installation's
    ├── Stripe       stripe_gateway.py, the real library; chosen by STRIPE_API_KEY
    └── Transfer     transfer_gateway.py: invoices are paid by bank transfer; nothing leaves the house

Answers are `PaymentState` (payment_state.py), never the provider's own objects. What can go wrong, and what it means:

    GatewayError
    ├── Declined     the bank said no: this try is over
    ├── Refused      the request is wrong, or our key is: this try is over, and somebody must look
    └── Unanswered   nobody knows what happened: ask again, under the same idempotency key
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from apps.billing.collecting.payment_state import Card, PaymentState
from apps.billing.tax_ids import ProviderTaxId


class GatewayError(Exception):
    """`code` says which, in the provider's words; the text never holds a secret."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(f"{code}: {text}" if text else code)
        self.code = code


class Declined(GatewayError):
    """The bank declined. `known` is the payment's state at the provider now."""

    def __init__(self, code: str, text: str, known: PaymentState) -> None:
        super().__init__(code, text)
        self.known = known


class Refused(GatewayError):
    """The provider won't do this, however often it is asked."""


class Unanswered(GatewayError):
    """It may have happened or not."""


class NotCollecting(GatewayError):
    """There is nobody to ask: invoices are paid by bank transfer."""

    def __init__(self) -> None:
        super().__init__("paid_by_transfer", "Invoices are paid by bank transfer.")


@dataclass(frozen=True)
class Order:
    """A payment to be made. `reference` is its idempotency key and stands in the provider's books too."""

    reference: str
    customer: str
    card: str
    amount: Decimal
    currency: str
    description: str
    invoice: str


class Gateway(Protocol):
    """What payments ask. Every method may raise `GatewayError`; what writes takes a key, or looks first."""

    name: str
    collects: bool

    def create_customer(self, *, name: str, email: str, reference: str) -> str:
        """A customer's id at the provider."""

    def delete_customer(self, *, customer: str) -> None:
        """Forget a customer and its cards, for good. Harmless when repeated."""

    def set_tax_id(self, *, customer: str, tax_id: ProviderTaxId | None) -> str:
        """Make a number the customer's only tax id, None for none; the state of its check ("" for none).

        It looks before it writes, so it is harmless when repeated. Raises `Refused` for what is no number.
        """

    def card_page(self, *, customer: str, currency: str, success_url: str, cancel_url: str) -> str:
        """The address where a person enters a card."""

    def portal_page(self, *, customer: str, return_url: str) -> str:
        """The address where a person sees and changes their cards."""

    def use_card(self, *, customer: str, card: str) -> Card:
        """Makes a saved card the customer's default."""

    def card_of_setup(self, setup: str) -> tuple[str, str]:
        """The customer and the card of a finished setup, "" for what it has not."""

    def pay(self, order: Order) -> PaymentState:
        """Take the money. Raises `Declined`; asked again with the same order it does nothing new for a day."""

    def find(self, order: Order) -> PaymentState | None:
        """The payment made for an order, looked for in the provider's list; None: it never arrived."""

    def look(self, payment: str) -> PaymentState:
        """What the provider says of a payment."""

    def withdraw(self, payment: str) -> PaymentState:
        """Make sure that a payment can't succeed any more; what it came to (it may have succeeded)."""

    def refund(self, *, payment: str, amount: Decimal, currency: str, reference: str) -> str:
        """Give money back; the refund's id."""

    def refunds_of(self, payment: str) -> Mapping[str, str]:
        """The refunds of a payment: our reference → the refund's id."""

    def happened(self, since: datetime) -> Iterator[dict[str, Any]]:
        """Every event since, as webhooks bring them, oldest first."""

    def payments(self, since: datetime) -> Iterator[tuple[str, PaymentState]]:
        """(reference, what is known) of every payment begun since."""

    def verify(self, body: bytes, signature: str) -> None:
        """Raises `Refused` when a webhook's body was not signed by the provider within the last 300 s."""
