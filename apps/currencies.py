"""Currencies: how many decimals each has, how many Stripe's amounts have, and roughly what one is worth. Pure data.

Decimals are ISO 4217's. Stripe's differ from them where an API can't change: ISK and UGX lost their decimals and are
still told in hundredths that are always 00; MGA, in fifths by ISO, is told whole; HUF and TWD are whole in payouts
alone. https://docs.stripe.com/currencies, read in November 2026; a currency it doesn't name has two decimals there.

What a unit is worth in US dollars is of early 2026, by hand, right to about a fifth: an amount of 150,000 is a flat in
dollars and a lunch in soum, and that is all these rates are for. Nothing that is owed is ever converted.
"""

from collections.abc import Mapping
from typing import NamedTuple

#: Of currencies that the table doesn't have.
USUAL_DECIMALS = 2
#: No card is charged in finer steps, whatever the currency has: the third decimal of Stripe's amounts is always 0.
CHARGED_DECIMALS = 2


class Currency(NamedTuple):
    """One currency. `stripe_decimals`: those of Stripe's amounts."""

    decimals: int
    stripe_decimals: int
    dollars: float

    @property
    def step(self) -> int:
        """The least a card is charged, in Stripe's smallest unit: 100 of ISK, 10 of KWD, else 1."""
        return int(10 ** max(self.stripe_decimals - min(self.decimals, CHARGED_DECIMALS), 0))


CURRENCIES: Mapping[str, Currency] = {
    "AED": Currency(2, 2, 0.272), "AFN": Currency(2, 2, 0.015), "ALL": Currency(2, 2, 0.012),
    "AMD": Currency(2, 2, 0.0026), "ANG": Currency(2, 2, 0.56), "AOA": Currency(2, 2, 0.0011),
    "ARS": Currency(2, 2, 0.0007), "AUD": Currency(2, 2, 0.65), "AWG": Currency(2, 2, 0.56),
    "AZN": Currency(2, 2, 0.59), "BAM": Currency(2, 2, 0.58), "BBD": Currency(2, 2, 0.5),
    "BDT": Currency(2, 2, 0.0082), "BGN": Currency(2, 2, 0.58), "BHD": Currency(3, 3, 2.65),
    "BIF": Currency(0, 0, 0.00034), "BMD": Currency(2, 2, 1.0), "BND": Currency(2, 2, 0.77),
    "BOB": Currency(2, 2, 0.14), "BRL": Currency(2, 2, 0.18), "BSD": Currency(2, 2, 1.0),
    "BWP": Currency(2, 2, 0.074), "BYN": Currency(2, 2, 0.33), "BZD": Currency(2, 2, 0.5),
    "CAD": Currency(2, 2, 0.72), "CDF": Currency(2, 2, 0.00045), "CHF": Currency(2, 2, 1.2),
    "CLP": Currency(0, 0, 0.0011), "CNY": Currency(2, 2, 0.14), "COP": Currency(2, 2, 0.00026),
    "CRC": Currency(2, 2, 0.002), "CVE": Currency(2, 2, 0.0104), "CZK": Currency(2, 2, 0.047),
    "DJF": Currency(0, 0, 0.0056), "DKK": Currency(2, 2, 0.155), "DOP": Currency(2, 2, 0.016),
    "DZD": Currency(2, 2, 0.0077), "EGP": Currency(2, 2, 0.021), "ETB": Currency(2, 2, 0.0065),
    "EUR": Currency(2, 2, 1.1), "FJD": Currency(2, 2, 0.44), "FKP": Currency(2, 2, 1.3), "GBP": Currency(2, 2, 1.3),
    "GEL": Currency(2, 2, 0.37), "GHS": Currency(2, 2, 0.09), "GIP": Currency(2, 2, 1.3),
    "GMD": Currency(2, 2, 0.014), "GNF": Currency(0, 0, 0.000115), "GTQ": Currency(2, 2, 0.13),
    "GYD": Currency(2, 2, 0.0048), "HKD": Currency(2, 2, 0.128), "HNL": Currency(2, 2, 0.038),
    "HTG": Currency(2, 2, 0.0076), "HUF": Currency(2, 2, 0.003), "IDR": Currency(2, 2, 0.00006),
    "ILS": Currency(2, 2, 0.3), "INR": Currency(2, 2, 0.0116), "ISK": Currency(0, 2, 0.008),
    "JMD": Currency(2, 2, 0.0062), "JOD": Currency(3, 3, 1.41), "JPY": Currency(0, 0, 0.0066),
    "KES": Currency(2, 2, 0.0077), "KGS": Currency(2, 2, 0.0114), "KHR": Currency(2, 2, 0.00025),
    "KMF": Currency(0, 0, 0.0023), "KRW": Currency(0, 0, 0.0007), "KWD": Currency(3, 3, 3.25),
    "KYD": Currency(2, 2, 1.2), "KZT": Currency(2, 2, 0.0019), "LAK": Currency(2, 2, 0.000046),
    "LBP": Currency(2, 2, 0.000011), "LKR": Currency(2, 2, 0.0033), "LRD": Currency(2, 2, 0.0055),
    "LSL": Currency(2, 2, 0.057), "MAD": Currency(2, 2, 0.108), "MDL": Currency(2, 2, 0.059),
    "MGA": Currency(2, 0, 0.00022), "MKD": Currency(2, 2, 0.019), "MMK": Currency(2, 2, 0.00048),
    "MNT": Currency(2, 2, 0.00028), "MOP": Currency(2, 2, 0.124), "MUR": Currency(2, 2, 0.022),
    "MVR": Currency(2, 2, 0.065), "MWK": Currency(2, 2, 0.00058), "MXN": Currency(2, 2, 0.055),
    "MYR": Currency(2, 2, 0.24), "MZN": Currency(2, 2, 0.0157), "NAD": Currency(2, 2, 0.057),
    "NGN": Currency(2, 2, 0.00067), "NIO": Currency(2, 2, 0.027), "NOK": Currency(2, 2, 0.098),
    "NPR": Currency(2, 2, 0.0072), "NZD": Currency(2, 2, 0.58), "OMR": Currency(3, 3, 2.6),
    "PAB": Currency(2, 2, 1.0), "PEN": Currency(2, 2, 0.29), "PGK": Currency(2, 2, 0.24),
    "PHP": Currency(2, 2, 0.0172), "PKR": Currency(2, 2, 0.0036), "PLN": Currency(2, 2, 0.27),
    "PYG": Currency(0, 0, 0.00014), "QAR": Currency(2, 2, 0.275), "RON": Currency(2, 2, 0.22),
    "RSD": Currency(2, 2, 0.0098), "RUB": Currency(2, 2, 0.0125), "RWF": Currency(0, 0, 0.00069),
    "SAR": Currency(2, 2, 0.267), "SBD": Currency(2, 2, 0.12), "SCR": Currency(2, 2, 0.07),
    "SEK": Currency(2, 2, 0.105), "SGD": Currency(2, 2, 0.77), "SHP": Currency(2, 2, 1.3),
    "SLE": Currency(2, 2, 0.043), "SOS": Currency(2, 2, 0.00175), "SRD": Currency(2, 2, 0.026),
    "STD": Currency(2, 2, 0.000047), "SZL": Currency(2, 2, 0.057), "THB": Currency(2, 2, 0.03),
    "TJS": Currency(2, 2, 0.1), "TMT": Currency(2, 2, 0.285), "TND": Currency(3, 3, 0.34),
    "TOP": Currency(2, 2, 0.42), "TRY": Currency(2, 2, 0.024), "TTD": Currency(2, 2, 0.147),
    "TWD": Currency(2, 2, 0.032), "TZS": Currency(2, 2, 0.0004), "UAH": Currency(2, 2, 0.024),
    "UGX": Currency(0, 2, 0.00028), "USD": Currency(2, 2, 1.0), "UYU": Currency(2, 2, 0.025),
    "UZS": Currency(2, 2, 0.00008), "VND": Currency(0, 0, 0.00004), "VUV": Currency(0, 0, 0.0083),
    "WST": Currency(2, 2, 0.36), "XAF": Currency(0, 0, 0.0017), "XCD": Currency(2, 2, 0.37),
    "XOF": Currency(0, 0, 0.0017), "XPF": Currency(0, 0, 0.0096), "YER": Currency(2, 2, 0.0042),
    "ZAR": Currency(2, 2, 0.057), "ZMW": Currency(2, 2, 0.044),
}  # fmt: skip


def stripe_decimals(currency: str) -> int:
    """Count the decimals of Stripe's amounts in a currency, written in whatever case."""
    known = CURRENCIES.get(currency.upper())
    return known.stripe_decimals if known else USUAL_DECIMALS
