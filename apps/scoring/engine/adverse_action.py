"""Adverse-action notices: a decision's reasons in the customer's words. Pure.

Whoever is refused may ask why, and in many places has a right to it (in the United States the principal reasons: 12 CFR
1002.9, at most four of them: comment 9(b)(2)-1). The sentences are one table: a code, and what the customer is told.
They speak to the customer, name no field and no feature, and are true whatever the value was. A test holds that every
reason of every schema has one.
"""

from collections.abc import Iterable, Iterator, Mapping

from apps.scoring.engine.explain import Reason

#: More than four tell a customer nothing (comment 9(b)(2)-1 to 12 CFR 1002.9).
MOST_SENTENCES = 4
#: Of a rule of the tenant's own, whose words are not for customers.
OWN_RULE = "Your payment met a rule that we apply to payments of this kind."
#: Where no reason was told: nothing in particular speaks against it.
IN_ALL = "Taken together, the details of your payment were too unlike those we can accept without a check."

SENTENCES: Mapping[str, str] = {
    # --- the amount ---
    "AMOUNT": "The amount of your payment is one at which payments of this kind are often misused.",
    "AMOUNT_AGAINST_USUAL": "The amount is well above what you usually pay.",
    "AMOUNT_AGAINST_CATEGORY": "The amount is well above what you usually pay for such things.",
    "RATIO_TO_MEDIAN": "The amount is well above what you usually pay.",
    "SPENT_IN_A_DAY": "Together with your other payments of the last 24 hours the sum is unusual.",
    "SPREE": "Your payments of the last 24 hours go well beyond what you usually pay.",
    "AMOUNT_REPEATED": "Other payments of exactly the same amount were made at about the same time.",
    "AMOUNT_LAST_SEEN": "Another payment of exactly the same amount was made recently.",
    "SHARE_OF_BALANCE": "The amount is unusual for what was in your account.",
    "ENORMOUS_AMOUNT": "The amount is so large that we check every such payment.",
    "HIGH_AMOUNT": "The amount is large.",
    "AMOUNT_ABOVE_USUAL": "The amount is well above what you usually pay.",
    "FAR_ABOVE_USUAL": "The amount is far above what you usually pay.",
    "VASTLY_ABOVE_USUAL": "The amount is very far above what you usually pay.",
    "REMOTE_FAR_ABOVE_MEDIAN": "The amount is well above what you usually pay, and no PIN was entered.",
    # --- how it was paid ---
    "CARD_PRESENT": "How your card was used in this payment made it harder for us to know that it was you.",
    "ONLINE": "How you ordered is a way in which cards are often misused.",
    "CHIP": "How your card was read made it harder for us to know that it was you.",
    "PIN": "How the payment was confirmed made it harder for us to know that it was you.",
    "AUTHENTICATION": "The payment was confirmed in a way that made it harder for us to know that it was you.",
    "WEAK_AUTHENTICATION": "The payment was confirmed in a way that made it harder for us to know that it was you.",
    "REFUSED_AUTHENTICATIONS": "Several of your payments failed shortly before this one.",
    "STATUS": "The payment did not go through in the ordinary way.",
    "FAILED_STATUS": "The payment did not go through in the ordinary way.",
    "FAILED_BEFORE": "Other payments of yours failed shortly before this one.",
    "CARD_TYPE": "The kind of card you used is one that is often misused in such payments.",
    "CARD_KIND_SEEN": "Cards like yours are rarely used for such payments.",
    "CARD_KIND": "The kind of card you used is one that is often misused in such payments.",
    "CARD_COUNTRY": "Where your card was issued did not fit the rest of the payment.",
    "CARD_PRODUCT": "The kind of card you used is one that is often misused in such payments.",
    "CARD_SEEN_HERE": "Cards like yours are rarely used from where you are.",
    "CARD_TESTING": "Very small payments at several shops within an hour looked as if a card was being tried out.",
    # --- what was bought, and where ---
    "MERCHANT_CATEGORY": "What was bought is often bought with stolen cards.",
    "PRODUCT": "What was bought is often bought with stolen cards.",
    "TRANSACTION_TYPE": "Money is often stolen by transfers of this kind.",
    "KNOWN_MERCHANT": "You had not bought from this seller before, or not often.",
    "MANY_MERCHANTS": "Several sellers were paid from your account within an hour.",
    "MANY_SHOPS": "Many shops were paid from your account within an hour.",
    "BILLING_REGION": "The billing address is in a region from which such payments are often misused.",
    "BILLING_COUNTRY": "The country of the billing address did not fit the rest of the payment.",
    "REGION_SEEN": "The billing address is in a region from which such payments are rare.",
    "RECIPIENT_EMAIL_COUNTRY": "The recipient's e-mail address is of a kind that is often misused.",
    "RECIPIENT_EMAIL": "The recipient's e-mail address is of a kind that is often misused.",
    # --- where you were ---
    "DISTANCE": "The payment was made far from your payment before it.",
    "DISTANCE_FROM_HOME": "The payment was made far from your home.",
    "UNUSUAL_DISTANCE": "The payment was made far from your payment before it.",
    "REMOTE_FAR_FROM_HOME": "The payment was made far from your home, without the card's chip or PIN.",
    "IMPLIED_SPEED": "Your last payments were made at places too far apart for the time between them.",
    "IMPOSSIBLE_JOURNEY": "Your last payments were made at places too far apart for the time between them.",
    "ABROAD": "The payment was made away from the country you usually pay in.",
    "FOREIGN": "The payment was made away from the country you usually pay in.",
    "UNKNOWN_PLACE": "The payment was made in a place you had not paid from before.",
    "KNOWN_PLACE": "You had not paid from this place before, or not often.",
    "USER_PLACES": "Payments were made from several places within 24 hours.",
    "SUDDEN_COUNTRY": "A large payment was made from a new device, away from the country you usually pay in.",
    "LARGE_AND_ABROAD": "A large payment was made across a border.",
    # --- when ---
    "NIGHT_TIME": "The payment was made at night.",
    "HOUR_OF_DAY": "The payment was made at an unusual hour.",
    # --- the device, the address ---
    "NEW_DEVICE": "The payment was made from a device that we had not seen you use, or not for long.",
    "NEW_DEVICE_AND_LARGE": "A payment well above what you usually pay was made from a device that is new to us.",
    "MANY_DEVICES": "Several devices were used for your payments within 24 hours.",
    "DEVICE": "The device is of a kind that is often misused in such payments.",
    "DEVICE_USERS": "Several people paid from the same device.",
    "DEVICE_COUNT_HOUR": "Several payments were made from the same device within an hour.",
    "DEVICE_FARM": "Many people paid from the same device.",
    "MANY_USERS_A_DEVICE": "Several people paid from the same device.",
    "EMAIL_USERS": "The same e-mail address was used by several people.",
    "MANY_USERS_AN_EMAIL": "The same e-mail address was used by several people.",
    "EMAIL_FARM": "The same e-mail address was used by many people.",
    "IP_USERS": "Many people paid over the same internet connection.",
    "MANY_USERS_AN_ADDRESS": "Many people paid over the same internet connection.",
    # --- what was done before ---
    "HIGH_VELOCITY": "There were many payments from your account within a short time.",
    "VERY_HIGH_VELOCITY": "There were very many payments from your account within a short time.",
    "MANY_TRANSACTIONS": "There were very many payments from your account within an hour.",
    "SENT_VELOCITY": "There were many payments from your account within a short time.",
    "PACE": "You paid more often than you usually do.",
    "PREVIOUS_COUNT": "You have made few payments with us so far.",
    "KNOWN_USER": "You have made few payments with us so far.",
    "NO_HISTORY": "You have made few payments with us so far.",
    "HIGH_OUTFLOW": "Much money left your account within 24 hours.",
    "MANY_COUNTERPARTIES": "Your account paid many others within 24 hours.",
    "ORIGIN_LAST_SEEN": "The time since your account was last used is unusual.",
    # --- the accounts ---
    "ACCOUNT_EMPTIED": "The payment would have left little or nothing in your account.",
    "DRAINED_ACCOUNT": "The payment would have left little or nothing in your account.",
    "LEDGER_GAP": "The balances of your account did not agree with the payment.",
    "ORIGIN_LOST_MORE": "More left your account than was to be paid.",
    "MONEY_LOST": "More left your account than was to be paid.",
    "DESTINATION_GAP": "The balances of the account it was sent to did not agree with the payment.",
    "DESTINATION_UNMOVED": "The money did not arrive in the account it was sent to.",
    "BLACK_HOLE": "The money did not arrive in the account it was sent to.",
    "DESTINATION_VELOCITY": "The account it was sent to is used unusually often.",
    "DESTINATION_INFLOW": "The account it was sent to received unusually much within 24 hours.",
    "DESTINATION_COUNTERPARTIES": "The account it was sent to receives money from many others.",
    "DESTINATION_LAST_SEEN": "The time since the account it was sent to was last used is unusual.",
    "COLLECTING_ACCOUNT": "The account it was sent to collects money from many others.",
    # --- what is not known ---
    "NOT_SENT": "We were told too little about your payment to be sure that it was you.",
}
#: Codes that begin alike: numbered ones, and the same over several windows.
FAMILIES: Mapping[str, str] = {
    "HIGH_VELOCITY_": "There were many payments from your account within a short time.",
    "DESTINATION_VELOCITY_": "The account it was sent to is used unusually often.",
    "CARD_PROPERTY_": "The kind of card you used is one that is often misused in such payments.",
    "ORIGIN_BALANCE_": "The payment was unusual for what was in your account.",
    "DESTINATION_BALANCE_": "The payment was unusual for the account it was sent to.",
    "COUNT_C": "What your card, address or device was used for lately is unusual.",
    "VESTA_V": "What your card, address or device was used for lately is unusual.",
    "ID_": "The device or connection you paid from is unusual.",
}


def sentence(code: str) -> str | None:
    """What the customer is told for a code of ours: its own sentence, else its family's; None of an unknown one."""
    family = next((said for begins, said in FAMILIES.items() if code.startswith(begins)), None)
    return SENTENCES.get(code, family)


def notice(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """The principal reasons in the customer's words, the weightiest first, each once."""
    told = dict.fromkeys(_told(reasons))
    return tuple(told)[:MOST_SENTENCES] or (IN_ALL,)


def _told(reasons: Iterable[Reason]) -> Iterator[str]:
    """Those that raised the risk. A rule of a tenant's own has words for whoever wrote it, not for customers."""
    for reason in reasons:
        if reason.contribution is None:
            yield SENTENCES.get(reason.code, OWN_RULE)
        elif reason.direction == "up" and (said := sentence(reason.code)):
            yield said
