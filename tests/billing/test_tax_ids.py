"""Tax numbers by their form and check digits: a valid one is taken however it is written, what is wrong is told."""

import pytest

from apps.billing.tax_ids import FORMS, ProviderTaxId, for_provider, tidy
from apps.countries import COUNTRIES

#: Countries whose numbers have no check digit of a published rule that this number's last digits fall under.
UNCHECKED = {"JP", "NZ", "US"}
#: How the provider wants what is not of the European Union: its documentation's forms.
TOLD = {
    "AU": ("au_abn", "83914571673"),
    "BR": ("br_cnpj", "16.727.230/0001-97"),
    "CH": ("ch_vat", "CHE-100.155.212 MWST"),
    "GB": ("gb_vat", "GB980780684"),
    "IN": ("in_gst", "27AAPFU0939F1ZV"),
    "JP": ("jp_trn", "T5835678256246"),
    "NO": ("no_vat", "988077917MVA"),
    "NZ": ("nz_gst", "49098576"),
    "SG": ("sg_uen", "00192200M"),
    "US": ("us_ein", "91-1144442"),
}


@pytest.mark.parametrize("country", FORMS)
def test_a_countrys_number_is_taken_with_and_without_its_prefix_and_spaces(country: str) -> None:
    form = FORMS[country]
    assert country in COUNTRIES
    plain = tidy(form.example, country)
    assert plain.startswith(form.prefix) and plain.isalnum()
    for written in (plain.removeprefix(form.prefix), f" {plain.lower()} ", f"{plain[:4]} {plain[4:]}"):
        assert tidy(written, country) == plain


@pytest.mark.parametrize("country", FORMS)
def test_what_is_not_of_the_countrys_form_is_told_with_an_example(country: str) -> None:
    for wrong in (f"{FORMS[country].example}9999", "x", "XX123", "١٢٣٤٥٦٧٨٩"):
        with pytest.raises(ValueError, match=f"of {COUNTRIES[country]} looks like"):
            tidy(wrong, country)


@pytest.mark.parametrize("country", sorted(FORMS.keys() - UNCHECKED))
def test_a_digit_that_was_mistyped_is_found(country: str) -> None:
    plain = tidy(FORMS[country].example, country)
    place = [at for at, letter in enumerate(plain) if letter.isdigit()][4]
    mistyped = plain[:place] + str((int(plain[place]) + 1) % 10) + plain[place + 1 :]
    with pytest.raises(ValueError, match="check digits"):
        tidy(mistyped, country)


@pytest.mark.parametrize("country", FORMS)
def test_the_provider_is_told_a_number_in_its_own_form(country: str) -> None:
    plain = tidy(FORMS[country].example, country)
    assert for_provider(plain, country) == TOLD.get(country, ("eu_vat", plain))


def test_other_countries_numbers_are_taken_as_written_and_none_is_none() -> None:
    assert tidy(" 12-3456789 ", "AQ") == "12-3456789"
    assert tidy("  ", "DE") == tidy("", "") == ""
    assert for_provider("12-3456789", "AQ") is for_provider("", "DE") is None
    assert for_provider("CHE100155212TVA", "CH") == ProviderTaxId("ch_vat", "CHE-100.155.212 TVA")
    with pytest.raises(ValueError, match="Choose the country first"):
        tidy("DE136695976", "")
