"""VAT numbers by their form: a country's example is taken however it is written, what is not of its form is told."""

import pytest

from apps.billing.tax_ids import FORMS, tidy
from apps.countries import COUNTRIES


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


def test_other_countries_numbers_are_taken_as_written_and_none_is_none() -> None:
    assert tidy(" 12-3456789 ", "US") == "12-3456789"
    assert tidy("  ", "DE") == tidy("", "") == ""
    with pytest.raises(ValueError, match="Choose the country first"):
        tidy("DE123456789", "")
