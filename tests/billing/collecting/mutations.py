"""Every event the inbox handles, and every way to spoil one: each member, at every depth, dropped or replaced."""

import copy
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from apps.accounts.models import Tenant
from apps.billing.collecting import payments
from apps.billing.collecting.stripe_gateway import StripeGateway
from apps.billing.models import Invoice
from tests import hostile
from tests.billing.collecting.conftest import ISSUED, bill, give_card
from tests.stripe_server import Stand

Json = dict[str, Any]
Path = tuple[str | int, ...]

DROPPED = ""


class Mutation(NamedTuple):
    """A body, the type of the event it was, and what was done to it."""

    kind: str
    what: str
    body: bytes


def every_kind(tenant: Tenant, gateway: StripeGateway, stand: Stand) -> list[Json]:
    """One event of each type, as Stripe sends them to a tenant that entered cards, paid, got money back, disputed."""
    ledger = stand.ledger
    card = give_card(tenant, gateway, stand)
    customer = ledger.get("payment_method", card)["customer"]
    gateway.card_page(
        customer=customer, currency="USD", success_url="https://a.example", cancel_url="https://a.example"
    )
    ledger.complete_checkout(ledger.all("checkout.session")[0]["id"], "pm_card_mastercard")
    chosen = {"invoice_settings": {"default_payment_method": card}}
    ledger.update_customer(customer, chosen)
    bill(tenant)
    ledger.declines_next(card)
    payments.collect(Invoice.objects.get(), gateway, ISSUED)
    payments.collect(Invoice.objects.get(), gateway, ISSUED)
    charge = next(one for one in ledger.all("charge") if one["paid"])
    ledger.refund({"charge": charge["id"], "amount": "900"})
    ledger.close_dispute(ledger.dispute(charge["id"])["id"], "lost")
    ledger.detach(ledger.all("payment_method")[-1]["id"], {})
    ledger.create_tax_id(customer, {"type": "eu_vat", "value": "DE136695976"})
    gone = ledger.create_customer({})
    by_kind = {event["type"]: event for event in ledger.events}
    for kind in ("charge.succeeded", "charge.failed", "charge.updated"):
        about = charge if kind != "charge.failed" else next(one for one in ledger.all("charge") if not one["paid"])
        by_kind[kind] = by_kind["charge.refunded"] | {"type": kind, "data": {"object": about}}
    by_kind["customer.deleted"] = by_kind["customer.updated"] | {"type": "customer.deleted", "data": {"object": gone}}
    return [copy.deepcopy(event) | {"id": f"evt_{kind}"} for kind, event in sorted(by_kind.items())]


def mutations(event: Json) -> Iterator[Mutation]:
    """Each member dropped, and replaced with each of `hostile.JSON`."""
    for path in paths(event):
        for value in (DROPPED, *hostile.JSON):
            what = f"{'.'.join(map(str, path))} = {value[:40] or 'dropped'}"
            yield Mutation(event["type"], what, spoiled(event, path, value))


def paths(said: Any, before: Path = ()) -> Iterator[Path]:
    """Where the members of an object are, at every depth."""
    members = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for name, inner in members:
        yield (*before, name)
        yield from paths(inner, (*before, name))


_MARK = "the place of what is replaced"
_count = iter(range(10**9))


def spoiled(event: Json, path: Path, value: str) -> bytes:
    """The event under an id of its own, with a member replaced by JSON as text, or dropped."""
    changed = copy.deepcopy(event) | {"id": f"{event['id']}_{next(_count)}"}
    *way, last = path
    holder: Any = changed
    for step in way:
        holder = holder[step]
    if value == DROPPED:
        del holder[last]
    else:
        holder[last] = _MARK
    return json.dumps(changed).replace(f'"{_MARK}"', value).encode()
