"""Bank transfer: no provider is asked, and an operator marks an invoice as paid when the money came."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.billing.collecting.gateway import NotCollecting, Order
from apps.billing.collecting.payment_state import Card, PaymentState
from apps.billing.tax_ids import ProviderTaxId


class TransferGateway:
    """Refuses every call with `NotCollecting`."""

    name = "transfer"
    collects = False

    def create_customer(self, *, name: str, email: str, reference: str) -> str:
        raise NotCollecting

    def delete_customer(self, *, customer: str) -> None:
        raise NotCollecting

    def set_tax_id(self, *, customer: str, tax_id: ProviderTaxId | None) -> str:
        raise NotCollecting

    def card_page(self, *, customer: str, currency: str, success_url: str, cancel_url: str) -> str:
        raise NotCollecting

    def portal_page(self, *, customer: str, return_url: str) -> str:
        raise NotCollecting

    def use_card(self, *, customer: str, card: str) -> Card:
        raise NotCollecting

    def card_of_setup(self, setup: str) -> tuple[str, str]:
        raise NotCollecting

    def pay(self, order: Order) -> PaymentState:
        raise NotCollecting

    def find(self, order: Order) -> PaymentState | None:
        raise NotCollecting

    def look(self, payment: str) -> PaymentState:
        raise NotCollecting

    def withdraw(self, payment: str) -> PaymentState:
        raise NotCollecting

    def refund(self, *, payment: str, amount: Decimal, currency: str, reference: str) -> str:
        raise NotCollecting

    def refunds_of(self, payment: str) -> Mapping[str, str]:
        raise NotCollecting

    def happened(self, since: datetime) -> Iterator[dict[str, Any]]:
        raise NotCollecting

    def payments(self, since: datetime) -> Iterator[tuple[str, PaymentState]]:
        raise NotCollecting

    def verify(self, body: bytes, signature: str) -> None:
        raise NotCollecting
