"""What thieves do, as data: how often, how fast, for how much, where, and how they prove to be somebody else.

How often is rounded from published figures, which count money, cases or reports and not rows; where they don't say how
a fraud looks to a screening, it is our own guess, and `source` says so.
"""

from typing import NamedTuple


class Typology(NamedTuple):
    """How one kind of fraud works. Pairs are the ends of ranges, drawn evenly over the orders of magnitude.

    `share` of the episodes; `amount` against the user's usual one, or in dollars where not `relative`; `remote`: share
    of the episodes without the card at hand; `abroad`: in another country than the victim's; `own_device` and
    `at_night`: shares; `own_proof`: the victim themselves prove who pays; `newcomers`: on accounts opened for it.
    """

    name: str
    share: float
    rows: tuple[int, int]
    gap_minutes: tuple[float, float]
    amount: tuple[float, float]
    relative: bool
    remote: float
    abroad: float
    own_device: float
    failed: float
    at_night: float
    categories: tuple[str, ...]
    methods: tuple[str, ...]
    source: str
    own_proof: bool = False
    newcomers: bool = False


GOODS = ("Electronics", "Electronics", "Jewelry", "Shopping", "Gaming", "Travel", "Groceries")
RESOLD = ("Electronics", "Jewelry", "Shopping")
OUT = ("Transfer", "Transfer", "Crypto", "Electronics", "Gaming", "Cash Out")
TYPOLOGIES = (
    Typology(
        "remote_purchase", 0.30, (1, 9), (1.5, 240), (1.2, 60), True, 1.0, 0.4, 0.03, 0.15, 0.45, GOODS,
        ("CVV", "CVV", "CVV", "Password", "None", "OTP"),
        "ECB, Report on card fraud in 2020 and 2021 (2023): about 84 % of the value of card fraud was card-not-present "
        "and well over half crossed a border; UK Finance, Annual Fraud Report 2024: remote purchase is the largest "
        "part of card fraud",
    ),
    Typology(
        "card_testing", 0.11, (6, 24), (0.2, 6), (0.3, 4), False, 1.0, 0.5, 0.02, 0.45, 0.35,
        ("Gaming", "Entertainment", "Shopping", "Shopping", "Transport"), ("CVV", "CVV", "Password", "None"),
        "described by card networks as bursts of small authorisations, many of them refused; share our own guess",
    ),
    Typology(
        "stolen_card", 0.14, (2, 9), (4, 60), (1.5, 60), True, 0.0, 0.08, 0.4, 0.15, 0.40, GOODS,
        ("Signature", "PIN", "PIN", "None", "PIN"),
        "UK Finance, Annual Fraud Report 2024: lost and stolen cards are the second part of card fraud",
    ),
    Typology(
        "counterfeit", 0.14, (1, 6), (4, 90), (0.6, 50), True, 0.0, 0.75, 0.4, 0.15, 0.40, GOODS,
        ("Magstripe", "Magstripe", "Signature", "PIN"),
        "ECB (2023) and Nilson Report: counterfeits are used where the chip is not asked for, mostly far away",
    ),
    Typology(
        "account_takeover", 0.13, (1, 10), (1, 60), (1.5, 60), True, 1.0, 0.3, 0.03, 0.12, 0.45, OUT,
        ("Password", "Password", "OTP", "CVV", "None"),
        "FTC, Consumer Sentinel Data Book 2023: identity theft with cards and accounts; share our own guess",
    ),
    Typology(
        "scam_push_payment", 0.06, (1, 3), (15, 600), (6, 120), True, 1.0, 0.1, 0.97, 0.02, 0.08,
        ("Transfer", "Transfer", "Crypto", "Jewelry"), ("OTP", "Biometric", "2FA"),
        "UK Finance, Annual Fraud Report 2024: authorised push payment fraud took about 460 of 1,170 million pounds of "
        "2023; EBA and ECB, Report on payment fraud (2024): the payer is manipulated and passes strong authentication",
        own_proof=True,
    ),
    Typology(
        "bust_out", 0.05, (4, 12), (20, 500), (15, 250), True, 0.7, 0.05, 0.96, 0.08, 0.12,
        ("Electronics", "Jewelry", "Travel", "Crypto", "Transfer"), ("OTP", "3DS", "Biometric"),
        "a first-party fraud of accounts opened for it; share our own guess", own_proof=True, newcomers=True,
    ),
    Typology(
        "mule", 0.04, (3, 12), (3, 120), (4, 80), True, 1.0, 0.1, 0.6, 0.05, 0.15,
        ("Transfer", "Transfer", "Cash Out", "Crypto"), ("OTP", "Biometric", "Password"),
        "Europol's money mule actions describe accounts that pass on what they get within hours; share our own guess",
        own_proof=True, newcomers=True,
    ),
    Typology(
        "friendly_fraud", 0.03, (1, 1), (1, 2), (0.8, 8), True, 1.0, 0.05, 1.0, 0.0, 0.05,
        ("Shopping", "Electronics", "Gaming", "Travel", "Entertainment"), ("3DS", "OTP", "Biometric", "CVV"),
        "a cardholder disputes what they bought; nothing in the payment tells it, which is what it teaches: share our "
        "own guess", own_proof=True,
    ),
)  # fmt: skip

#: An honest payment once more, soon after, with one thing beyond all that honest people do: one alarm is enough. Not a
#: kind of fraud with a rate; what no row shows must not be taken for safe. Name → how often, of honest payments.
IMPOSSIBLE = {
    "beyond_measure": 0.006, "impossible_journey": 0.004, "automated": 0.0006, "device_farm": 0.006,
    "beyond_usual": 0.004,
}  # fmt: skip
IMPOSSIBLE_TIMES = (25.0, 400.0)  # of what the user pays as a rule, ordered online, for goods that are easily resold
IMPOSSIBLE_USD = (1e5, 3e7)  # honest people end at 60,000
IMPOSSIBLE_RUN = (15, 60)  # payments, minutes or less apart
EPISODES_A_DAY = 0.008  # a user: some 4 % of rows, so that few people teach much; published rates are far lower
EXTREME = 0.12  # share of the relative episodes in which amounts know no measure
AFTER_TESTING = 0.5  # of tested cards, used for a large purchase at once
SAME_FARM = 0.3  # of remote thieves, who use one device for several victims within days
SOON_AFTER = 0.5  # of robberies, begun while the victim is out paying, too
SOON_MINUTES = (2, 60)
FARMED = (8, 25)  # people for whom one device pays within an hour
PATIENT = 0.25  # of thieves, who come back on the next days
