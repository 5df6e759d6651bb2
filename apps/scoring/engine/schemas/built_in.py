"""The rules every tenant has, as data: what the models alone should not be trusted with.

One table a schema, the same ids for the same things. A tenant switches and tunes each by its policy (`Tuning`). Limits
come from the `SOURCES`; where no published figure fits, from what honest payments of the training rows do not reach.
Conditions on logarithms (`against_usual`, `log_amount`) are written as what they were taken of. Texts name limits by
places, `[field]`: a tenant that tunes one reads its own (`limits.py`).
"""

from math import log, log1p

from apps.scoring.engine.rules import BuiltIn, Condition, block, challenge, note, review

SOURCES = {
    "flight": "Airliners cruise at some 900 km/h (Boeing 787: Mach 0.85); sign-in services call anything faster than "
    "an aeroplane impossible travel (Microsoft Entra ID Protection).",
    "testing": "Card testers try many cards or shops with small amounts in minutes (Visa, Anti-Enumeration and Account "
    "Testing Best Practices, 2021; Stripe's guide to card testing).",
    "devices": "A household shares a device; ten people within a day do not. A limit of our own.",
    "addresses": "An office, a hotel or a telephone company shows one address for many; twenty who pay at one tenant "
    "within an hour are looked at. A limit of our own.",
    "usual": "Limits of our own, beyond what known users of the training rows pay honestly but for a few in ten "
    "thousand.",
    "card_transdata": "In the public card_transdata set (CC0) frauds are ordered online, without a PIN, far from home "
    "or for more than four times the median.",
    "takeover": "An account taken over is emptied at once, from a device it never used (UK Finance, Annual Fraud "
    "Report 2024, remote banking fraud; Europol, IOCTA 2023).",
    "refusals": "Guessing a PIN or a code takes several tries; cards allow three wrong PINs (EMV).",
    "ledger": "Frauds empty an account by TRANSFER and take it out by CASH_OUT (Lopez-Rojas, EMSS 2016).",
    "population": "Beyond the largest honest payments of the training rows.",
}
PLANE_KMH = 1_000.0  # faster nobody travels
FAR_KM = 200.0  # nearer, clocks and places are too coarse
TESTING_DOLLARS = 5.0
SHOPS_TESTED, MANY_SHOPS = 4.0, 9.0  # in the hour before this payment
KNOWN = 5.0  # payments of a user, from which on a usual can be told
A_FEW_USERS, MANY_USERS = 5.0, 10.0  # of a device, within a day
USERS_OF_AN_ADDRESS = 20.0  # within an hour
REFUSALS = 3.0


def _journey(distance: str) -> BuiltIn:
    return challenge(
        "impossible_journey",
        "From one payment of the last 24 hours to the next faster than [speed_kmh] km/h, over "
        f"[{distance}] km or more.",
        Condition("speed_kmh", "gt", PLANE_KMH), Condition(distance, "ge", FAR_KM),
        says="From one payment of the last 24 hours to the next it was {speed_kmh|whole} km/h, "
        "faster than the limit of [speed_kmh].",
        fraud_type="cloned_card", source="flight",
    )  # fmt: skip


def _device_users() -> tuple[BuiltIn, ...]:
    says = "The device was used by {device_users_24h|whole} users in the last 24 hours."
    return (
        review("many_users_a_device", "A device used by [device_users_24h] users or more within a day.",
               Condition("device_users_24h", "ge", A_FEW_USERS), says=says, fraud_type="device_farm", source="devices"),
        challenge("device_farm", "A device used by [device_users_24h] users or more within a day.",
                  Condition("device_users_24h", "ge", MANY_USERS), says=says, fraud_type="device_farm",
                  source="devices"),
    )  # fmt: skip


def _email_users() -> tuple[BuiltIn, ...]:
    says = "The e-mail address was used by {email_users_24h|whole} users in the last 24 hours."
    return (
        review("many_users_an_email", "An e-mail address used by [email_users_24h] users or more within a day.",
               Condition("email_users_24h", "ge", A_FEW_USERS), says=says, fraud_type="device_farm", source="devices"),
        challenge("email_farm", "An e-mail address used by [email_users_24h] users or more within a day.",
                  Condition("email_users_24h", "ge", MANY_USERS), says=says, fraud_type="device_farm",
                  source="devices"),
    )  # fmt: skip


def _limit_on(amount: str) -> str:
    """The place of an amount's limit, which is in dollars or the logarithm of them."""
    return f"[{amount}|money]" if amount.startswith("log_") else f"[{amount}]"


def _usual(amount: str, unit: str, dollars: float, more_dollars: float) -> tuple[BuiltIn, ...]:
    """`amount` is the feature an amount is held by: `dollars` and `more_dollars` are in its terms."""
    described = (
        f"More than [against_usual|times] times what the user pays as a rule, and more than {_limit_on(amount)} "
        f"{unit}, of a user with [known_events] known payments or more."
    )
    says = "The amount is {against_usual|times} times what the user pays as a rule."
    return (
        review("far_above_usual", described,
               Condition("against_usual", "gt", log(20.0)), Condition(amount, "gt", dollars),
               Condition("known_events", "ge", KNOWN), says=says, source="usual"),
        challenge("vastly_above_usual", described,
                  Condition("against_usual", "gt", log(50.0)), Condition(amount, "gt", more_dollars),
                  Condition("known_events", "ge", KNOWN), says=says, source="usual"),
    )  # fmt: skip


def _takeover(amount: str, dollars: float) -> tuple[BuiltIn, ...]:
    return (
        challenge("new_device_and_large",
                  f"More than [against_usual|times] times what the user pays as a rule, and more than "
                  f"{_limit_on(amount)} dollars, on a device seen for less than [device_days|days], of a user with "
                  "[known_events] known payments or more.",
                  Condition("device_days", "lt", 1.0), Condition("against_usual", "gt", log(5.0)),
                  Condition(amount, "gt", dollars), Condition("known_events", "ge", KNOWN),
                  says="{against_usual|times} times what the user pays as a rule, on a device seen for less than "
                  "[device_days|days].",
                  fraud_type="account_takeover", source="takeover"),
        challenge("sudden_country",
                  f"More than {_limit_on(amount)} dollars away from home, on a device seen for less than "
                  "[device_days|days], of a user with [known_events] known payments or more.",
                  Condition("abroad", "eq", 1.0), Condition("device_days", "lt", 1.0), Condition(amount, "gt", dollars),
                  Condition("known_events", "ge", KNOWN),
                  says="The user is away from home, on a device seen for less than [device_days|days].",
                  fraud_type="account_takeover", source="takeover"),
    )  # fmt: skip


def _shops(amount: str, dollars: float) -> tuple[BuiltIn, ...]:
    return (
        challenge("card_testing",
                  f"{_limit_on(amount)} dollars at most, after payments at [merchants_1h] shops or more in the hour "
                  "before.",
                  Condition("merchants_1h", "ge", SHOPS_TESTED), Condition(amount, "le", dollars),
                  says=f"At most {_limit_on(amount)} dollars, after payments at {{merchants_1h|whole}} shops in the "
                  "hour before.",
                  fraud_type="card_testing", source="testing"),
        challenge("many_shops", "After payments at [merchants_1h] shops or more in the hour before.",
                  Condition("merchants_1h", "ge", MANY_SHOPS),
                  says="The user paid at {merchants_1h|whole} shops in the hour before.",
                  fraud_type="high_velocity", source="testing"),
    )  # fmt: skip


PAYMENTS = (
    _journey("distance_from_last_transaction"),
    *_shops("log_amount", log1p(TESTING_DOLLARS)),
    *_takeover("log_amount", log1p(300.0)),
    *_device_users(),
    *_email_users(),
    review("many_users_an_address", "[ip_users_1h] users or more paying from one IP address within an hour.",
           Condition("ip_users_1h", "ge", USERS_OF_AN_ADDRESS),
           says="{ip_users_1h|whole} users paid from this IP address in the last hour.", fraud_type="device_farm",
           source="addresses"),
    *_usual("log_amount", "US dollars", log1p(500.0), log1p(1_000.0)),
    review("remote_far_above_median",
           "More than [log_amount|money] US dollars, and more than [ratio_to_median_purchase_price] times the user's "
           "median, ordered online without a PIN.",
           Condition("ratio_to_median_purchase_price", "gt", 4.0), Condition("online_order", "eq", True),
           Condition("used_pin_number", "eq", False), Condition("log_amount", "gt", log1p(100.0)),
           says="Ordered online without a PIN for {ratio_to_median_purchase_price} times the user's median.",
           fraud_type="stolen_card", source="card_transdata"),
    review("remote_far_from_home",
           "More than [log_amount|money] US dollars online without chip or PIN, more than [distance_from_home_km] km "
           "from home.",
           Condition("distance_from_home_km", "gt", 500.0), Condition("online_order", "eq", True),
           Condition("used_pin_number", "eq", False), Condition("used_chip", "eq", False),
           Condition("log_amount", "gt", log1p(100.0)),
           says="Ordered online without chip or PIN, {distance_from_home_km|whole} km from home.",
           fraud_type="unusual_location", source="card_transdata"),
    review("large_and_abroad", "More than [log_amount|money] US dollars across a border.",
           Condition("log_amount", "gt", log1p(2_000.0)), Condition("foreign_transaction", "eq", True),
           says="About {log_amount|money} US dollars across a border, more than [log_amount|money].",
           fraud_type="unusual_location", source="population"),
    review("enormous_amount", "More than [log_amount|money] US dollars.",
           Condition("log_amount", "gt", log1p(50_000.0)),
           says="About {log_amount|money} US dollars at once, more than [log_amount|money].", source="population"),
)  # fmt: skip

CARD_ACTIVITY = (
    _journey("Distance_Between_Transactions_km"),
    challenge("refused_authentications", "[failed_1h] payments or more that failed within the hour before.",
              Condition("failed_1h", "ge", REFUSALS),
              says="{failed_1h|whole} payments of the user failed in the last hour.",
              fraud_type="account_takeover", source="refusals"),
    *_shops("amount_usd", TESTING_DOLLARS),
    *_takeover("amount_usd", 300.0),
    *_device_users(),
    *_usual("amount_usd", "dollars", 500.0, 1_000.0),
    review("very_high_velocity", "[Transaction_Velocity] payments or more in the sender's short window.",
           Condition("Transaction_Velocity", "ge", 20.0), says="{Transaction_Velocity|whole} payments in a short time.",
           fraud_type="high_velocity", source="testing"),
    review("enormous_amount", "More than [amount_usd] dollars.", Condition("amount_usd", "gt", 50_000.0),
           says="About {amount_usd} dollars at once, more than [amount_usd].", source="population"),
    # Signals: what the published interface tells, deciding nothing.
    note("foreign", "Neither the tenant's home country nor the user's home.",
         Condition("Transaction_Location", "ne", other="home_country"), Condition("abroad", "eq", 1.0)),
    note("unknown_place",
         "Not the home country, if one is told, of a user the sender knows, with known payments below "
         "[known_events].",
         Condition("Transaction_Location", "ne", other="home_country"), Condition("known_events", "lt", 1.0),
         Condition("Previous_Transaction_Count", "ge", 1)),
    note("new_device", "On a device seen with the user for less than [device_days|days].",
         Condition("device_days", "lt", 1.0)),
    note("high_amount", "More than [amount_usd] dollars.", Condition("amount_usd", "gt", 3_000.0)),
    note("amount_above_usual",
         "More than [against_usual|times] times what the user pays as a rule, and more than [amount_usd] dollars.",
         Condition("against_usual", "gt", log(20.0)), Condition("amount_usd", "gt", 100.0)),
    note("high_velocity", "[Transaction_Velocity] payments or more in the sender's short window.",
         Condition("Transaction_Velocity", "ge", 10.0)),
    note("high_velocity_hour", "After [user_count_1h] payments or more in the hour before.",
         Condition("user_count_1h", "ge", 9.0)),
    note("unusual_distance", "[Distance_Between_Transactions_km] km or more from the payment before.",
         Condition("Distance_Between_Transactions_km", "ge", 1_000.0)),
    note("night_time", "Between midnight and [Transaction_Hour] o'clock.", Condition("Transaction_Hour", "lt", 6.0)),
    note("weak_authentication",
         "A proof by the payer of a strength below [authentication_strength]: 0 is none, 1 a password, 2 a PIN, 3 a "
         "code, 4 two.",
         Condition("authentication_strength", "lt", 2.0)),
    note("failed_status", "The payment failed.", Condition("status", "eq", 1.0)),
)  # fmt: skip

OUTGOING = ("TRANSFER", "CASH_OUT")  # types in which both sides' balances are kept
PAYSIM = (
    # Only TRANSFER and CASH_OUT: a merchant's balance is always 0/0, so PAYMENT would be flagged wholesale.
    block("black_hole", "More than [amount] leave the origin, and the destination's balance does not move.",
          Condition("type", "in", OUTGOING), Condition("amount", "gt", 0.0),
          Condition("oldbalanceOrg", "gt", other="newbalanceOrig"),
          Condition("oldbalanceDest", "eq", other="newbalanceDest"),
          fraud_type="black_hole_transfer", source="ledger"),
    challenge("drained_account", "[amount] or more that leave less than [share_left|percent] of the balance.",
              Condition("share_left", "lt", 0.05), Condition("type", "in", OUTGOING),
              Condition("amount", "ge", 20_000.0),
              says="{amount} of {oldbalanceOrg} are taken: {share_left|percent} are left.",
              fraud_type="account_takeover", source="ledger"),
    challenge("money_lost",
              "The origin loses more than was sent: by [excess_loss|percent] of it and by [origin_gap] or more.",
              Condition("excess_loss", "gt", 0.2), Condition("origin_gap", "ge", 1_000.0),
              says="The origin loses {origin_gap} more than was sent.", fraud_type="ledger_tampering", source="ledger"),
    challenge("collecting_account",
              "The destination dealt with [dest_distinct_24h] others or more within a day, and [amount] or more leave "
              "less than [share_left|percent] of this origin's balance.",
              Condition("dest_distinct_24h", "ge", 10.0), Condition("share_left", "lt", 0.05),
              Condition("type", "in", OUTGOING), Condition("amount", "ge", 1_000.0),
              says="{share_left|percent} of the balance are left, and the destination dealt with "
              "{dest_distinct_24h|whole} others in 24 hours.",
              fraud_type="mule_account", source="ledger"),
    review("many_transactions", "[orig_count_1h] transactions or more of the origin within an hour.",
           Condition("orig_count_1h", "ge", 15.0), Condition("type", "in", OUTGOING),
           says="The origin made {orig_count_1h|whole} transactions in the last hour.", fraud_type="high_velocity",
           source="population"),
)  # fmt: skip

IEEE_CIS = (
    review("enormous_amount", "More than [TransactionAmt] US dollars.", Condition("TransactionAmt", "gt", 10_000.0),
           says="{TransactionAmt} dollars, more than [TransactionAmt].", source="population"),
)  # fmt: skip
