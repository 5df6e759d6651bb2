"""VAT numbers by their form: one row a country, as its tax office and VIES write them. Pure.

The form alone is looked at: whether a number was given out is known to the tax offices. Other countries' numbers are
taken as they are written. https://taxation-customs.ec.europa.eu (VIES: the structure of numbers), November 2026.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from apps.countries import COUNTRIES

#: What people write between the parts of a number.
_BETWEEN = re.compile(r"[\s./-]")


class Form(NamedTuple):
    """How a country's numbers are written: what they begin with, the rest, and one that looks like it."""

    prefix: str
    rest: str
    example: str


FORMS: Mapping[str, Form] = {
    "AT": Form("AT", r"U\d{8}", "ATU12345678"),
    "BE": Form("BE", r"[01]\d{9}", "BE0123456789"),
    "BG": Form("BG", r"\d{9,10}", "BG123456789"),
    "CH": Form("CHE", r"\d{9}(MWST|TVA|IVA)?", "CHE-123.456.789 MWST"),
    "CY": Form("CY", r"\d{8}[A-Z]", "CY12345678A"),
    "CZ": Form("CZ", r"\d{8,10}", "CZ12345678"),
    "DE": Form("DE", r"\d{9}", "DE123456789"),
    "DK": Form("DK", r"\d{8}", "DK12345678"),
    "EE": Form("EE", r"\d{9}", "EE123456789"),
    "ES": Form("ES", r"[A-Z0-9]\d{7}[A-Z0-9]", "ESB12345678"),
    "FI": Form("FI", r"\d{8}", "FI12345678"),
    "FR": Form("FR", r"[A-Z0-9]{2}\d{9}", "FR12345678901"),
    "GB": Form("GB", r"\d{9}|\d{12}|(GD|HA)\d{3}", "GB123456789"),
    "GR": Form("EL", r"\d{9}", "EL123456789"),
    "HR": Form("HR", r"\d{11}", "HR12345678901"),
    "HU": Form("HU", r"\d{8}", "HU12345678"),
    "IE": Form("IE", r"\d[A-Z0-9+*]\d{5}[A-Z]{1,2}", "IE1234567WA"),
    "IT": Form("IT", r"\d{11}", "IT12345678901"),
    "LT": Form("LT", r"\d{9}|\d{12}", "LT123456789"),
    "LU": Form("LU", r"\d{8}", "LU12345678"),
    "LV": Form("LV", r"\d{11}", "LV12345678901"),
    "MT": Form("MT", r"\d{8}", "MT12345678"),
    "NL": Form("NL", r"[A-Z0-9+*]{9}B\d{2}", "NL123456789B01"),
    "NO": Form("NO", r"\d{9}(MVA)?", "NO 123 456 789 MVA"),
    "PL": Form("PL", r"\d{10}", "PL1234567890"),
    "PT": Form("PT", r"\d{9}", "PT123456789"),
    "RO": Form("RO", r"\d{2,10}", "RO1234567890"),
    "SE": Form("SE", r"\d{12}", "SE123456789001"),
    "SI": Form("SI", r"\d{8}", "SI12345678"),
    "SK": Form("SK", r"\d{10}", "SK1234567890"),
}


def tidy(written: str, country: str) -> str:
    """A number as invoices show it, with its country's prefix and nothing between; "" when none was written.

    `country` is an ISO 3166 code. Raises `ValueError` in words for one that is not of its country's form.
    """
    said = " ".join(written.split())
    if not said:
        return ""
    if not country:
        raise ValueError("Choose the country first: it says how the number is written.")
    if country not in FORMS:
        return said
    form = FORMS[country]
    rest = _BETWEEN.sub("", said).upper().removeprefix(form.prefix)
    if not re.fullmatch(form.rest, rest, re.ASCII):
        raise ValueError(f"A VAT number of {COUNTRIES[country]} looks like {form.example}.")
    return form.prefix + rest
