"""The laws, as data: all else equal, of two payments the one with more of this is never the safer one.

A law names a field and says which of two values is the riskier one. `Grows`: the larger, from `least` on. `Ranked`: the
later one of a list. `Busier` and `Sooner` are about the past: more payments in the last hour or day, the same distance
in less time. `LeftOut`: a field that is left out is never safer than its safest value, nor riskier than its riskiest.
`when` says where a law holds: for most, everywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.plausibility.drafts import Draft

Where = Callable[[Draft], bool]


def anywhere(draft: Draft) -> bool:
    return True


class Grows(NamedTuple):
    """More of a number, beyond `least` and beyond what is usual for the person, where that is told (`usual`)."""

    field: str
    least: float
    most: float
    when: Where = anywhere
    usual: bool = False


class Ranked(NamedTuple):
    """A later one of these values."""

    field: str
    values: Sequence[Any]
    when: Where = anywhere


class Busier(NamedTuple):
    """More payments of the person within so many seconds before, at other merchants, like those they make."""

    variant: str
    when: Where = anywhere


class Ledger(NamedTuple):
    """More of what a ledger shows: "share" of the balance, "excess" beyond the amount, "scale" of all of it."""

    what: str
    when: Where = anywhere


class LeftOut(NamedTuple):
    """A field, and values it may have: as many as it takes to meet its safest and its riskiest."""

    field: str
    values: Sequence[Any]
    when: Where = anywhere


Law = Grows | Ranked | Busier | Ledger | LeftOut


def name_of(law: Law) -> str:
    return f"{type(law).__name__.lower()} {law[0]}"


YES_NO = (True, False)
SPREAD = (0, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 1_000_000)
NEVER_SEEN = "never-seen-before"


def has_journey(draft: Draft) -> bool:
    return bool(draft.fields.get("distance_from_last_transaction", 0) >= 50)


def travelled(draft: Draft) -> bool:
    return bool(draft.fields["Distance_Between_Transactions_km"] >= 50)


def could_pay(draft: Draft) -> bool:
    """Whether money leaves an account that has it."""
    fields = draft.fields
    return fields["type"] in ("TRANSFER", "CASH_OUT") and 0 < fields["amount"] <= fields["oldbalanceOrg"]


COUNTS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100, 200, 500, 1_000, 3_000, 10_000)
CARD_NUMBERS = tuple(range(1_000, 18_500, 350))
LAWS: Mapping[str, tuple[Law, ...]] = {
    "payments": (
        Grows("amount", 50.0, 1e9, usual=True),
        Grows("ratio_to_median_purchase_price", 1.0, 1e6),
        Grows("distance_from_home_km", 0.0, 1e6),
        Grows("distance_from_last_transaction", 0.0, 1e6),
        Ranked("foreign_transaction", (False, True)),
        Ranked("used_pin_number", (True, False)),
        Ranked("used_chip", (True, False)),
        Ranked("device_id", ("known", NEVER_SEEN)),
        Ranked("country", ("home", "KP")),
        Busier("in an hour"),
        Busier("in a day"),
        Busier("sooner", when=has_journey),
        LeftOut("card_present", YES_NO),
        LeftOut("used_chip", YES_NO),
        LeftOut("used_pin_number", YES_NO),
        LeftOut("online_order", YES_NO),
        LeftOut("repeat_retailer", YES_NO),
        LeftOut("foreign_transaction", YES_NO),
        LeftOut("distance_from_home_km", SPREAD),
        LeftOut("distance_from_last_transaction", SPREAD),
        LeftOut("ratio_to_median_purchase_price", (0.0, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0, 1e6)),
        LeftOut("device_id", ("known", NEVER_SEEN)),
        LeftOut("country", ("home", "KP", "DE")),
        LeftOut("merchant_category", (
            "home", "health_fitness", "food_dining", "kids_pets", "entertainment", "personal_care", "travel",
            "gas_transport", "misc", "grocery", "shopping", "something else",
        )),
    ),
    "card_activity": (
        Grows("Transaction_Amount", 20.0, 1e9, usual=True),
        Grows("Distance_Between_Transactions_km", 0.0, 1e6),
        Grows("Transaction_Velocity", 1.0, 1e6),
        Ranked("Time_Since_Last_Transaction_min", (1e6, 3e4, 3e3, 1e3, 300.0, 60.0, 20.0, 5.0, 1.0, 0.0), travelled),
        Ranked("Transaction_Status", ("Completed", "Failed")),
        Ranked("Authentication_Method", ("Biometric", "OTP", "PIN", "Password", "None")),
        Ranked("Device_ID", ("known", 999_999)),
        Ranked("Transaction_Location", ("home", "Nowhere")),
        Busier("in an hour"),
        Busier("in a day"),
    ),
    "paysim": (
        Ledger("share", when=could_pay),
        Ledger("excess", when=could_pay),
        Ledger("scale", when=could_pay),
        Busier("in an hour"),
        Busier("in a day"),
    ),
    "ieee_cis": (
        Grows("TransactionAmt", 0.01, 1e9),
        LeftOut("ProductCD", ("W", "H", "R", "S", "C", "X")),
        LeftOut("R_emaildomain", ("gmail.com", "hotmail.com", "yahoo.com", "anonymous.com", "comcast.net", "icloud.com",
                                  "protonmail.com", "mail.com", "outlook.com", "live.com.mx", "x.example")),
        LeftOut("card1", CARD_NUMBERS),
        LeftOut("card2", tuple(range(100, 601, 10))),
        LeftOut("card3", tuple(range(100, 232, 3))),
        LeftOut("card5", tuple(range(100, 238, 3))),
        LeftOut("addr1", tuple(range(100, 541, 8))),
        LeftOut("addr2", tuple(range(10, 103, 3))),
        *(LeftOut(f"C{number}", COUNTS) for number in range(1, 15)),
        *(LeftOut(f"V{number}", COUNTS) for number in (45, 126, 258, 280, 294, 307, 317)),
        LeftOut("DeviceInfo", ("Windows", "iOS Device", "MacOS", "Trident/7.0", "rv:11.0", "rv:57.0", "SAMSUNG",
                               "hi6210sft Build/MRA58K", "Linux", "SM-J700M")),
        LeftOut("id_16", ("Found", "NotFound")),
    ),
}  # fmt: skip
