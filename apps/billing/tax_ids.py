"""Tax numbers (VAT, GST, ABN, EIN …) by their form and check digits: one row a country. Pure.

The form is that of the country's tax office and of VIES, the check digits are python-stdnum's
(https://arthurdejong.org/python-stdnum/), the names the payment provider's (https://docs.stripe.com/billing/customer/tax-ids),
November 2026. Whether a number was given out is known to the tax offices: the provider asks some of them. Other
countries' numbers are taken as they are written, and the provider is not told of them.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import stdnum.at.uid
import stdnum.au.abn
import stdnum.be.vat
import stdnum.bg.vat
import stdnum.ch.uid
import stdnum.cy.vat
import stdnum.cz.dic
import stdnum.de.vat
import stdnum.dk.cvr
import stdnum.ee.kmkr
import stdnum.es.nif
import stdnum.fi.alv
import stdnum.fr.tva
import stdnum.gb.vat
import stdnum.gr.vat
import stdnum.hr.oib
import stdnum.hu.anum
import stdnum.ie.vat
import stdnum.in_.gstin
import stdnum.it.iva
import stdnum.lt.pvm
import stdnum.lu.tva
import stdnum.lv.pvn
import stdnum.mt.vat
import stdnum.nl.btw
import stdnum.no.orgnr
import stdnum.nz.ird
import stdnum.pl.nip
import stdnum.pt.nif
import stdnum.ro.cf
import stdnum.se.vat
import stdnum.sg.uen
import stdnum.si.ddv
import stdnum.sk.dph
import stdnum.us.ein
from stdnum.br import cnpj
from stdnum.exceptions import ValidationError

from apps.countries import COUNTRIES

#: What people write between the parts of a number.
_BETWEEN = re.compile(r"[\s./-]")
#: Swiss and Norwegian numbers may end with what says that they are of the value-added tax.
_SUFFIX = re.compile("(MWST|TVA|IVA|MVA)$")

Check = Callable[[str], object]


class ProviderTaxId(NamedTuple):
    """A number as the payment provider takes it: its kind there, and how it is written."""

    kind: str
    value: str


class Form(NamedTuple):
    """How a country's numbers are written: what they begin with, the rest, and a valid one.

    `check` raises stdnum's `ValidationError` for the rest of a number with wrong check digits; None where no rule is
    published. `kind` is the provider's name of such numbers, `written` how it wants them written.
    """

    prefix: str
    rest: str
    example: str
    check: Check | None
    kind: str = "eu_vat"
    written: Callable[[str], str] = str


def _check_swiss(rest: str) -> None:
    stdnum.ch.uid.validate(f"CHE{_SUFFIX.sub('', rest)}")


def _check_norwegian(rest: str) -> None:
    stdnum.no.orgnr.validate(_SUFFIX.sub("", rest))


def _swiss(number: str) -> str:
    """CHE-123.456.789 MWST."""
    suffix = _SUFFIX.search(number)
    return stdnum.ch.uid.format(_SUFFIX.sub("", number)) + (f" {suffix[1]}" if suffix else " MWST")


def _norwegian(number: str) -> str:
    """123456789MVA."""
    return f"{_SUFFIX.sub('', number).removeprefix('NO')}MVA"


FORMS: Mapping[str, Form] = {
    "AT": Form("AT", r"U\d{8}", "ATU13585627", stdnum.at.uid.validate),
    "AU": Form("", r"\d{11}", "83 914 571 673", stdnum.au.abn.validate, "au_abn"),
    "BE": Form("BE", r"[01]\d{9}", "BE0403019261", stdnum.be.vat.validate),
    "BG": Form("BG", r"\d{9,10}", "BG175074752", stdnum.bg.vat.validate),
    "BR": Form("", r"[A-Z0-9]{12}\d{2}", "16.727.230/0001-97", cnpj.validate, "br_cnpj", cnpj.format),
    "CH": Form("CHE", r"\d{9}(MWST|TVA|IVA)?", "CHE-100.155.212 MWST", _check_swiss, "ch_vat", _swiss),
    "CY": Form("CY", r"\d{8}[A-Z]", "CY10259033P", stdnum.cy.vat.validate),
    "CZ": Form("CZ", r"\d{8,10}", "CZ25123891", stdnum.cz.dic.validate),
    "DE": Form("DE", r"\d{9}", "DE136695976", stdnum.de.vat.validate),
    "DK": Form("DK", r"\d{8}", "DK13585628", stdnum.dk.cvr.validate),
    "EE": Form("EE", r"\d{9}", "EE100931558", stdnum.ee.kmkr.validate),
    "ES": Form("ES", r"[A-Z0-9]\d{7}[A-Z0-9]", "ESB58378431", stdnum.es.nif.validate),
    "FI": Form("FI", r"\d{8}", "FI20774740", stdnum.fi.alv.validate),
    "FR": Form("FR", r"[A-Z0-9]{2}\d{9}", "FR40303265045", stdnum.fr.tva.validate),
    "GB": Form("GB", r"\d{9}|\d{12}|(GD|HA)\d{3}", "GB980780684", stdnum.gb.vat.validate, "gb_vat"),
    "GR": Form("EL", r"\d{9}", "EL094259216", stdnum.gr.vat.validate),
    "HR": Form("HR", r"\d{11}", "HR33392005961", stdnum.hr.oib.validate),
    "HU": Form("HU", r"\d{8}", "HU12892312", stdnum.hu.anum.validate),
    "IE": Form("IE", r"\d[A-Z0-9+*]\d{5}[A-Z]{1,2}", "IE6433435F", stdnum.ie.vat.validate),
    "IN": Form("", r"[A-Z0-9]{15}", "27AAPFU0939F1ZV", stdnum.in_.gstin.validate, "in_gst"),
    "IT": Form("IT", r"\d{11}", "IT00743110157", stdnum.it.iva.validate),
    # The number of a company is checked by its first digit; that of a person has no published rule.
    "JP": Form("T", r"\d{13}", "T5835678256246", None, "jp_trn"),
    "LT": Form("LT", r"\d{9}|\d{12}", "LT119511515", stdnum.lt.pvm.validate),
    "LU": Form("LU", r"\d{8}", "LU15027442", stdnum.lu.tva.validate),
    "LV": Form("LV", r"\d{11}", "LV40003521600", stdnum.lv.pvn.validate),
    "MT": Form("MT", r"\d{8}", "MT11679112", stdnum.mt.vat.validate),
    "NL": Form("NL", r"[A-Z0-9+*]{9}B\d{2}", "NL004495445B01", stdnum.nl.btw.validate),
    "NO": Form("NO", r"\d{9}(MVA)?", "NO 988 077 917 MVA", _check_norwegian, "no_vat", _norwegian),
    "NZ": Form("", r"\d{8,9}", "49-098-576", stdnum.nz.ird.validate, "nz_gst"),
    "PL": Form("PL", r"\d{10}", "PL8567346215", stdnum.pl.nip.validate),
    "PT": Form("PT", r"\d{9}", "PT501964843", stdnum.pt.nif.validate),
    "RO": Form("RO", r"\d{2,10}", "RO18547290", stdnum.ro.cf.validate),
    "SE": Form("SE", r"\d{12}", "SE123456789701", stdnum.se.vat.validate),
    "SG": Form("", r"[A-Z0-9]{9,10}", "00192200M", stdnum.sg.uen.validate, "sg_uen"),
    "SI": Form("SI", r"\d{8}", "SI50223054", stdnum.si.ddv.validate),
    "SK": Form("SK", r"\d{10}", "SK2022749619", stdnum.sk.dph.validate),
    # What is checked of an American number is the office that gave it out.
    "US": Form("", r"\d{9}", "91-1144442", stdnum.us.ein.validate, "us_ein", stdnum.us.ein.format),
}


def tidy(written: str, country: str) -> str:
    """A number as invoices show it, with its country's prefix and nothing between; "" when none was written.

    `country` is an ISO 3166 code. Raises `ValueError` in words for one that is not of its country's form, or whose
    check digits are wrong.
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
        raise ValueError(f"A tax number of {COUNTRIES[country]} looks like {form.example}.")
    if not _is_checked(form, rest):
        raise ValueError("The check digits do not agree with the rest of the number: look for a typing mistake.")
    return form.prefix + rest


def _is_checked(form: Form, rest: str) -> bool:
    """Whether a number of the right form has the right check digits."""
    if form.check is None:
        return True
    try:
        form.check(rest)
    except ValidationError:
        return False
    return True


def for_provider(tax_id: str, country: str) -> ProviderTaxId | None:
    """A tidy number as the payment provider takes it; None for none, and for a country it has no kind for."""
    if not tax_id or country not in FORMS:
        return None
    form = FORMS[country]
    return ProviderTaxId(form.kind, form.written(tax_id))
