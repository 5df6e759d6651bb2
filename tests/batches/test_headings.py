"""Columns matched to fields: shown as data before anything is scored, and changed by who knows better."""

import pytest

from apps.batches.bytes_in import UnreadableFile
from apps.batches.headings import SYNONYMS, Heading, match, plain
from apps.scoring.engine.schemas import SCHEMAS
from tests.batches.files import NAMES

PAYSIM = SCHEMAS["paysim"]


def test_names_are_found_however_they_are_written():
    names = ["Step", "TYPE", "Amt", "name_orig", "Old Balance (Org)", "newbalance-orig", "old balance destination", "x"]
    found = match(PAYSIM, names)
    assert [(one.field, one.how) for one in found.columns] == [
        ("step", "spelling"), ("type", "spelling"), ("amount", "synonym"), ("nameOrig", "spelling"),
        ("oldbalanceOrg", "spelling"), ("newbalanceOrig", "spelling"), ("oldbalanceDest", "synonym"), ("", "none"),
    ]  # fmt: skip
    assert found.missing == ("newbalanceDest",)
    with pytest.raises(UnreadableFile, match="No column is read as 'newbalanceDest': is it the right schema"):
        found.require_all()


def test_the_surest_name_wins_wherever_it_stands():
    found = match(PAYSIM, ["amt", "Amount", "amount"])
    assert [(one.field, one.how) for one in found.columns] == [("", "none"), ("", "none"), ("amount", "name")]


def test_a_choice_wins_and_frees_the_column_it_takes_the_field_from():
    found = match(PAYSIM, [*NAMES, "in euros"], {"in euros": "amount", "nameDest": ""})
    told = {one.column: one for one in found.columns}
    assert told["in euros"] == Heading("in euros", "amount", "chosen")
    assert told["amount"] == Heading("amount", "", "none")
    assert told["nameDest"] == Heading("nameDest", "", "none")
    assert not found.missing


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"gone": "amount"}, "The file has no column 'gone'."),
        ({"step": "gone"}, "The schema 'paysim' has no field 'gone'."),
        ({"step": "amount", "type": "amount"}, "Two columns are chosen for 'amount': choose one."),
    ],
)
def test_a_choice_that_can_not_be_is_refused(chosen, sentence):
    with pytest.raises(UnreadableFile, match=sentence):
        match(PAYSIM, NAMES, chosen)


@pytest.mark.parametrize("name", SCHEMAS)
def test_synonyms_are_of_fields_there_are_and_of_one_each(name):
    schema, synonyms = SCHEMAS[name], SYNONYMS[name]
    assert set(synonyms) <= set(schema.fields)
    words = [plain(word) for others in synonyms.values() for word in others]
    assert len(words) == len(set(words))
    assert not {plain(field) for field in schema.fields} & set(words)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_found_under_its_own_name(name):
    found = match(SCHEMAS[name], SCHEMAS[name].fields)
    assert [one.field for one in found.columns] == list(SCHEMAS[name].fields)
