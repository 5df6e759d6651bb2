"""Card payments without the card, with the columns Vesta published for the IEEE-CIS competition.

What most columns mean was never published: C1–C14 count what is linked to the card, D1–D15 are spans of days, M1–M9
say whether names and addresses match, V1–V339 are Vesta's own counts, ranks and sums, id_01–id_38 describe the device
and the connection. Any part of them may be sent; only the amount is required. The model learned from those columns
that are features below; the rest is accepted, checked and kept.

Nothing here is remembered between transactions: the C and V columns are the sender's own history of the card. How
common a kind of card and a region are among the payments learned from stands in a table (`card_counts`). Ratios, cents
and combinations of ours won on the file's own last part and are left out: see docs/model-quality.md. Kinds of fraud are
not told apart, for lack of such labels. No rule is built in but for enormous amounts: in the published rows even the
eighth payment within an hour of one amount, with one kind of card in one region, is honest in three cases of four.
"""

import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from apps.scoring.engine.features import Feature
from apps.scoring.engine.known_values import KEPT_AS_SENT, KnownValues
from apps.scoring.engine.operations import Operations
from apps.scoring.engine.parties import Party
from apps.scoring.engine.rules import Typology
from apps.scoring.engine.schemas import built_in, card_counts
from apps.scoring.engine.schemas.card_counts import Counted
from apps.scoring.engine.transaction import TransactionSchema

MOST = 1e9  # of an amount, and of any number either side of zero
MOST_SECONDS = 10_000_000_000
LARGEST_ID = 2**53 - 1  # beyond, JSON readers take an integer for its neighbour
LONGEST = 256
FEW_KNOWN = 20  # of the fields the model knows: below, the sender is told


def _number(description: str, least: float = -MOST, most: float = MOST) -> Any:
    needs = f"a number from {least:,.0f} to {most:,.0f}"
    return Annotated[float, Meta(ge=least, le=most, description=description, extra={"needs": needs})] | None


def _whole(description: str, most: int) -> Any:
    needs = f"a whole number from 0 to {most:,}"
    return Annotated[int, Meta(ge=0, le=most, description=description, extra={"needs": needs})] | None


def _text(description: str) -> Any:
    needs = f"text of at most {LONGEST} printable characters"
    return Annotated[str, Meta(max_length=LONGEST, description=description, extra={"needs": needs})] | None


Amount = Annotated[
    float,
    Meta(
        gt=0,
        le=MOST,
        description="Amount of the payment, in US dollars.",
        extra={"needs": "a number above 0 and up to 1,000,000,000"},
    ),
]
# The other columns, in the documented order: name → type.
CARDS = {
    "card1": "Number Vesta gave the kind of card.",
    "card2": "Number Vesta gave a property of the card.",
    "card3": "Number Vesta gave a property of the card, like the country of issue.",
    "card4": "Network of the card.",
    "card5": "Number Vesta gave a property of the card, like its product.",
    "card6": "What the card draws on.",
}
TEXTS_OF_ID = (12, 15, 16, 23, 27, 28, 29, 30, 31, 33, 34, 35, 36, 37, 38)
COLUMNS: dict[str, Any] = {
    "transaction_id": _text("Your id of the transaction."),
    "TransactionID": _whole("Vesta's id of the transaction; yours when transaction_id is not sent.", LARGEST_ID),
    "TransactionDT": _number("Seconds from a moment at midnight of your choice, always the same.", 0, MOST_SECONDS),
    "ProductCD": _text("Code of what is paid for."),
    **{name: (_text if name in ("card4", "card6") else _number)(meaning) for name, meaning in CARDS.items()},
    "addr1": _number("Region of the billing address, as a number."),
    "addr2": _number("Country of the billing address, as a number."),
    "dist1": _number("A distance between addresses."),
    "dist2": _number("A distance between addresses."),
    "P_emaildomain": _text("Domain of the payer's e-mail address."),
    "R_emaildomain": _text("Domain of the recipient's e-mail address."),
    **{f"C{index}": _number("Count of what is linked to the card.") for index in range(1, 15)},
    **{f"D{index}": _number("Days since something earlier.") for index in range(1, 16)},
    **{f"M{index}": _text("Whether names and addresses match.") for index in range(1, 10)},
    **{f"V{index}": _number("Vesta's own count, rank or sum.") for index in range(1, 340)},
    **{
        f"id_{index:02d}": (_text if index in TEXTS_OF_ID else _number)("Device, connection or identity.")
        for index in range(1, 39)
    },
    "DeviceType": _text("Kind of device."),
    "DeviceInfo": _text("What the device says it is."),
}
IeeeCisTransaction = msgspec.defstruct(
    "IeeeCisTransaction",
    [("TransactionAmt", Amount), *((name, kind, None) for name, kind in COLUMNS.items())],
    module=__name__,
    frozen=True,
    namespace={"__doc__": "One payment in the columns of the IEEE-CIS competition; unknown ones are left out."},
)

# Texts as one number each: what is not listed has its own, what was not sent is unknown.
OTHER = -1.0
PRODUCTS = {"W": 0.0, "H": 1.0, "R": 2.0, "S": 3.0, "C": 4.0}  # roughly in the order of the risk they carry
FOUND = {"NotFound": 0.0, "Found": 1.0}
PROVIDERS = {
    name: float(rank)
    for rank, names in enumerate((
        ("gmail.com", "gmail"), ("hotmail.com", "hotmail.es", "hotmail.fr", "hotmail.de", "hotmail.co.uk"),
        ("outlook.com", "outlook.es"), ("live.com", "live.com.mx", "live.fr"), ("msn.com",),
        ("yahoo.com", "yahoo.com.mx", "yahoo.fr", "yahoo.de", "yahoo.es", "yahoo.co.uk", "yahoo.co.jp"),
        ("ymail.com", "rocketmail.com"), ("aol.com", "aim.com"), ("anonymous.com",),
        ("icloud.com", "me.com", "mac.com"),
        ("comcast.net",), ("att.net", "sbcglobal.net", "bellsouth.net"), ("verizon.net",), ("cox.net",),
        ("charter.net", "twc.com", "roadrunner.com"), ("earthlink.net",), ("mail.com",), ("protonmail.com",),
    ), 1)
    for name in names
}  # fmt: skip
# The country a domain ends in, where it says one.
COUNTRIES = dict.fromkeys(PROVIDERS, 0.0) | {
    name: float(rank)
    for rank, names in enumerate((
        ("hotmail.es", "outlook.es", "yahoo.es"), ("live.com.mx", "yahoo.com.mx", "prodigy.net.mx"),
        ("hotmail.fr", "live.fr", "yahoo.fr"), ("hotmail.de", "yahoo.de", "gmx.de", "web.de"),
        ("hotmail.co.uk", "yahoo.co.uk"), ("yahoo.co.jp",),
    ), 1)
    for name in names
}  # fmt: skip
# How the commonest devices name themselves; other names are Android phones for the most part.
FIREFOX = 5.0
DEVICES = {
    "Windows": 0.0, "iOS Device": 1.0, "MacOS": 2.0, "Trident/7.0": 3.0, "rv:11.0": 4.0, "SAMSUNG": 6.0,
    "hi6210sft Build/MRA58K": 7.0, "Linux": 8.0, **{f"rv:{version}.0": FIREFOX for version in range(20, 200)},
}  # fmt: skip

# Domains and devices are many: those the models know by name, and nothing is warned of. The rest as Vesta published it.
DEVICES_LISTED = ", ".join(name for name, kind in DEVICES.items() if kind != FIREFOX) + ", rv:20.0 to rv:199.0"
YES_OR_NO = ("T", "F")
KNOWN_VALUES = {
    "ProductCD": KnownValues(tuple(PRODUCTS)),
    "R_emaildomain": KnownValues(tuple(COUNTRIES), consequence=""),
    "DeviceInfo": KnownValues(tuple(DEVICES), listed_as=DEVICES_LISTED, consequence=""),
    "id_16": KnownValues(tuple(FOUND)),
    **{
        name: KnownValues(tuple(values), consequence=KEPT_AS_SENT)
        for name, values in {
            "card4": ("visa", "mastercard", "american express", "discover"),
            "card6": ("debit", "credit", "debit or credit", "charge card"),
            **{f"M{index}": YES_OR_NO for index in range(1, 10)},
            "M4": ("M0", "M1", "M2"),
            "id_12": FOUND, "id_15": ("New", "Found", "Unknown"), "id_27": FOUND, "id_28": ("New", "Found"),
            "id_23": ("IP_PROXY:TRANSPARENT", "IP_PROXY:ANONYMOUS", "IP_PROXY:HIDDEN"), "id_29": FOUND,
            "id_34": tuple(f"match_status:{status}" for status in (-1, 0, 1, 2)),
            **{f"id_{index}": YES_OR_NO for index in range(35, 39)},
            "DeviceType": ("desktop", "mobile"),
        }.items()
    },
}  # fmt: skip


def _ranked(names: Sequence[str]) -> dict[float, str]:
    return {float(rank): name for rank, name in enumerate(names)}


WORDS: dict[str, dict[float, str]] = {
    "product": {rank: name for name, rank in PRODUCTS.items()} | {OTHER: "another one"},
    "recipient_provider": {rank: name for name, rank in reversed(PROVIDERS.items())} | {OTHER: "another provider"},
    "recipient_country": _ranked(("no country", "Spain", "Mexico", "France", "Germany", "Britain", "Japan"))
    | {OTHER: "another domain"},
    "id_16": {rank: name for name, rank in FOUND.items()} | {OTHER: "something else"},
    "device": {rank: name for name, rank in reversed(DEVICES.items())} | {FIREFOX: "Firefox", OTHER: "another device"},
}  # fmt: skip

SECONDS_A_DAY, SECONDS_AN_HOUR = 86_400.0, 3_600.0
# Sums of money among the V columns, as far as their values show; the others are counts and ranks.
SUMS = frozenset((*range(126, 138), *range(160, 167), *range(202, 217), *range(263, 279), *range(306, 322),
                  *range(331, 340)))  # fmt: skip
# The fields the model takes as they are.
COUNTED = tuple(f"C{index}" for index in range(1, 15))
VESTA = tuple(f"V{index}" for index in (
    13, 15, 17, 18, 19, 32, 96, 97, 99, 102, 126, 127, 145, 153, 154, 158, 166, 235, 279, 280, 284, 285, 286, 287, 291,
    292, 293, 294, 295, 298, 300, 301, 302, 304, 306, 307, 308, 309, 310, 311, 312, 313, 316, 317, 318, 319, 320, 321,
    323, 324, 326, 332, 333, 335,
))  # fmt: skip
IDENTITY = ("id_08", "id_13", "id_17", "id_19", "id_20", "id_21")
PLAIN = ("TransactionAmt", "card1", "card2", "card3", "card5", "addr1", "addr2", *COUNTED, *VESTA, *IDENTITY)
# (feature, its field, the numbers its texts stand for)
TEXTS = (
    ("product", "ProductCD", PRODUCTS),
    ("recipient_provider", "R_emaildomain", PROVIDERS),
    ("recipient_country", "R_emaildomain", COUNTRIES),
    ("id_16", "id_16", FOUND),
    ("device", "DeviceInfo", DEVICES),
)


def _told(name: str, code: str, field: str, what: str, label: str, sent: str = "") -> Feature:
    """`sent`: the field, or those of which any may be missing, when it is not `field` alone."""
    unknown = f"{sent or field} was not sent."
    needs = tuple(part for part in re.split(r"\W+", sent or field) if part in COLUMNS)
    return Feature(name, code, field, f"{what}, which raises the risk.", f"{what}, which lowers the risk.",
                   label=label, unknown=unknown, needs=needs)  # fmt: skip


def _vesta(name: str) -> Feature:
    kind = "sum" if int(name[1:]) in SUMS else "count"
    return _told(name, f"VESTA_{name}", name, f"Vesta's {kind} {name} is {{value}}", f"Vesta's {kind} {name}")


# What is said of a field; the other ones are named.
SAID = {
    "TransactionAmt": ("AMOUNT", "The amount is {value}"),
    "card1": ("CARD_KIND", "The card's kind (card1) is {value}"),
    "card2": ("CARD_PROPERTY_2", "The card's second property (card2) is {value}"),
    "card3": ("CARD_COUNTRY", "The card's third property (card3) is {value}"),
    "card5": ("CARD_PRODUCT", "The card's fifth property (card5) is {value}"),
    "addr1": ("BILLING_REGION", "The billing region is {value}"),
    "addr2": ("BILLING_COUNTRY", "The billing country is {value}"),
    "product": ("PRODUCT", "The product is {value}"),
    "recipient_provider": ("RECIPIENT_EMAIL", "The recipient's e-mail is with {value}"),
    "recipient_country": ("RECIPIENT_EMAIL_COUNTRY", "The recipient's e-mail ends in {value}"),
    "device": ("DEVICE", "The device is {value}"),
}
# What a picture calls those whose name is not the sender's own.
LABELS = {
    "TransactionAmt": "amount",
    "product": "product",
    "recipient_provider": "recipient's e-mail",
    "recipient_country": "recipient's e-mail ends in",
    "device": "device",
    "card1": "kind of card (card1)",
    "card2": "card's property (card2)",
    "card3": "card's property (card3)",
    "card5": "card's property (card5)",
    "addr1": "billing region (addr1)",
    "addr2": "billing country (addr2)",
}


def _field(name: str, field: str) -> Feature:
    if name in VESTA:
        return _vesta(name)
    if name in COUNTED:
        return _told(name, f"COUNT_{name}", field, f"The count {name} of what is linked to the card is {{value}}",
                     f"linked to the card ({name})")  # fmt: skip
    code, what = SAID.get(name, (name.upper(), f"The identity field {name} is {{value}}"))
    return _told(name, code, field, what, LABELS.get(name) or f"identity field {name.removeprefix('id_')}")


FEATURES = (
    *(_field(name, name) for name in PLAIN),
    *(_field(name, field) for name, field, _ in TEXTS),
    _told("hour_of_day", "HOUR_OF_DAY", "TransactionDT", "The hour of the day is {value}", "hour of the day"),
    _told("card_kind_seen", "CARD_KIND_SEEN", "card1",
          "Of the payments the models know, {value} were by this kind of card", "times this card was seen"),
    _told("card_seen_here", "CARD_SEEN_HERE", "card1",
          "Of the payments the models know, {value} were by this kind of card from this region",
          "times it was seen there", sent="card1 or addr1"),
    _told("region_seen", "REGION_SEEN", "addr1",
          "Of the payments the models know, {value} came from this billing region", "times the region was seen"),
)  # fmt: skip


# What every model takes a field for that was not sent, so that to leave one out is never better than to tell it: a
# value that the field may have and next to no payment has. What is unknown is then not mistaken for what is usual, and
# the models learn what it is worth that nothing is known. Fields that are 0 as a rule are taken for 0.
NOT_ZERO = {
    "card1": 1000.0, "card2": 100.0, "card3": 100.0, "card5": 100.0, "addr1": 101.0, "addr2": 10.0,
    **dict.fromkeys(("V13", "V19", "V153", "V154", "V158"), 1.0),
    "id_13": 10.0, "id_17": 100.0, "id_19": 100.0, "id_20": 100.0, "id_21": 100.0, "id_16": FOUND["Found"],
    "product": OTHER, "recipient_provider": OTHER, "recipient_country": OTHER, "device": DEVICES["Linux"],
}  # fmt: skip
UNKNOWN_AS = {feature.name: NOT_ZERO.get(feature.name, 0.0) for feature in FEATURES if feature.name != "TransactionAmt"}
COUNTS = Counted(card_counts.read(), UNKNOWN_AS)


def build(t: Any, at_ms: Any, pasts: Sequence[Any], ops: Operations, counts: Counted = COUNTS) -> tuple[Any, ...]:
    """The one definition of the features, in the order of `FEATURES`, for a row or for columns."""
    number = ops.number
    return (
        *(number(getattr(t, name)) for name in PLAIN),
        *(ops.lookup(table, getattr(t, field), OTHER) for _, field, table in TEXTS),
        number(t.TransactionDT) % SECONDS_A_DAY / SECONDS_AN_HOUR,
        *counts.features(t, ops),
    )


def parties(t: Any) -> tuple[Party, ...]:
    return ()


def event_time_ms(t: Any, received_ms: Any, ops: Operations) -> Any:
    """Milliseconds since the sender's midnight, or when the request came."""
    told = ops.number(t.TransactionDT)
    return ops.where(told == told, told * 1000.0, received_ms)


def amount(t: Any) -> Any:
    return t.TransactionAmt


def transaction_id(t: Any) -> str | None:
    """The sender's name, else Vesta's number: in columns a float, nan where it was not sent; a text where it is masked,
    since it may be a card's."""
    number = t.TransactionID
    if t.transaction_id or number is None or number != number:
        return t.transaction_id or None
    return number if isinstance(number, str) else str(int(number))


SPELLED = (("ProductCD", PRODUCTS, str.upper), ("R_emaildomain", PROVIDERS, str.lower))


def tidy(t: Any) -> Any:
    """A known product or domain in another case is that one."""
    known = {}
    for field, table, spell in SPELLED:
        said = getattr(t, field)
        if said and said not in table and (spelled := spell(said.strip())) in table:
            known[field] = spelled
    return msgspec.structs.replace(t, **known) if known else t


def untouched(t: Any) -> np.ndarray:
    """The rows of columns, bool[n], that are tidy: of known products and domains as they are spelled."""
    known = [(getattr(t, field).tolist(), table) for field, table, _ in SPELLED]
    fits = [[one is None or one in table for one in told] for told, table in known]
    return np.logical_and.reduce(np.array(fits, dtype=bool))


READ = tuple(dict.fromkeys((*PLAIN, *(field for _, field, _ in TEXTS), "TransactionDT")))  # the fields the model knows
_read = attrgetter(*READ)


def remarks(t: Any) -> tuple[str, ...]:
    said = []
    known = len(READ) - _read(t).count(None)
    if known < FEW_KNOWN:
        said.append(
            f"Only {known} of the {len(READ)} fields the model knows were given: accuracy may be lower. "
            "C1 to C14, the V columns and R_emaildomain tell most."
        )
    return tuple(said)


IEEE_CIS = TransactionSchema(
    name="ieee_cis",
    struct=IeeeCisTransaction,
    roles=(),
    features=FEATURES,
    build=build,
    parties=parties,
    event_time_ms=event_time_ms,
    amount=amount,
    transaction_id=transaction_id,
    rules=built_in.IEEE_CIS,
    typologies=(Typology("card_not_present"),),
    words=WORDS,
    known_values=KNOWN_VALUES,
    reach={"hour_of_day": (0.0, 24.0)},
    directions={"TransactionAmt": 1},
    unknown_as=UNKNOWN_AS,
    tidy=tidy,
    untouched=untouched,
    remarks=remarks,
    searched=("card1", "P_emaildomain"),
    amount_field="TransactionAmt",
    ids=frozenset(["transaction_id"]),
)
