"""How the portal calls the kinds of transactions: the words for what the API calls a schema. Pure."""

from collections.abc import Mapping

KINDS: Mapping[str, str] = {
    "payments": "Card payment",
    "paysim": "Transfer",
    "card_activity": "Card activity",
    "ieee_cis": "Online card payment",
}
#: All of them to choose from.
CHOICES = tuple(KINDS.items())
