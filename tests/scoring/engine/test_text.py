"""Which texts are taken, and when two names are one party's: for every text of every schema."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps import text
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.history import Replay
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.transaction import InvalidTransaction
from tests.scoring.engine.conftest import EXAMPLES

TEXTS = [(name, field) for name, one in SCHEMAS.items() for field in one.fields if is_kind(str, one.types[field])]
TAKEN = {
    "an ideographic space": "山田\u3000太郎",
    "Sinhala with a joiner": "ශ්\u200dරී",
    "Persian with a non-joiner": "می\u200cخواهم",
    "a no-break space": "10\u00a0rue",
    "an emoji newer than the interpreter": "\U0001fae9",
    "a family of joined emoji": "👨\u200d👩\u200d👧",
    "marks of direction": "\u200fשלום\u200e",
    "an embedding of direction": "\u202bשלום\u202c",
    "private use": "\ue000",
    "not assigned": "\U0003fff0",
    "a line separator inside": "a\u2028b",
    "composed": "Émile",
    "decomposed": "E\u0301mile",
    "a space at the end": "Emile ",
    "a soft hyphen": "co\u00adop",
    "a byte order mark in front": "\ufeffa",
}  # fmt: skip
REFUSED = {
    "NUL": ("a\x00b", "U+0000"),
    "a line break": ("a\nb", "U+000A"),
    "a tabulator at the end": ("a\t", "U+0009"),
    "escape": ("\x1b[31m", "U+001B"),
    "delete": ("a\x7f", "U+007F"),
    "next line, of the C1 controls": ("a\u0085b", "U+0085"),
    "the last C1 control": ("\u009f", "U+009F"),
    "the first half of a pair": ("a\ud83d", "U+D83D"),
    "the second half of a pair": ("\ude00a", "U+DE00"),
    "a space": (" ", "blank"),
    "wide spaces": ("\u3000\u2003", "blank"),
    "no-break spaces": ("\u00a0\u202f", "blank"),
    "zero width": ("\u200b\u2060\ufeff", "blank"),
    "joiners alone": ("\u200d\u200c", "blank"),
    "marks of direction alone": ("\u200e\u2067", "blank"),
    "a filler": ("\u3164", "blank"),
    "a selector of variations": ("\ufe0f", "blank"),
    "a line separator": ("\u2028", "blank"),
}  # fmt: skip


def sent(schema: str, field: str, value: Any) -> Any:
    return SCHEMAS[schema].parse(EXAMPLES[schema] | {field: value})


@pytest.mark.parametrize(("schema", "field"), TEXTS)
def test_every_text_of_every_schema_takes_what_people_write_and_keeps_it(schema: str, field: str) -> None:
    for said in TAKEN.values():
        kept = sent(schema, field, said).facts[field]
        assert kept == said or (field == "merchant_category" and kept == "_".join(said.lower().split()))


@pytest.mark.parametrize(("schema", "field"), TEXTS)
def test_every_text_of_every_schema_refuses_controls_halves_and_blanks(schema: str, field: str) -> None:
    for name, (said, why) in REFUSED.items():
        with pytest.raises(InvalidTransaction) as refused:
            sent(schema, field, said)
        assert refused.value.param == field, name
        assert why in refused.value.detail, name


def test_of_all_characters_exactly_controls_and_halves_are_refused() -> None:
    refused = {chr(number) for number in range(0x110000) if text.refusal(f"a{chr(number)}b")}
    assert {unicodedata.category(one) for one in refused} == {"Cc", "Cs"}
    assert len(refused) == 65 + 2048


def test_what_nobody_sees_is_blank_and_nothing_that_anybody_sees_is() -> None:
    blank = {chr(number) for number in range(0xA0, 0x110000) if text.refusal(chr(number)) == "is blank"}
    assert {one for one in map(chr, range(0xA0, 0x110000)) if one.isspace()} <= blank | {"\x85"}
    formats = {one for one in map(chr, range(0xA0, 0x110000)) if unicodedata.category(one) == "Cf"}
    drawn = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
    assert formats - blank == drawn
    assert not {one for one in blank if unicodedata.category(one)[0] in "PN"}
    assert len(blank) < 4300


# --- one party, however it is written ---

ONE = {
    "spaces around": " Émile ", "decomposed": "E\u0301mile", "in capitals": "ÉMILE",
    "small and decomposed": "e\u0301mile",
    "a no-break space behind": "Émile\u00a0", "an ideographic space before": "\u3000émile",
    "zero width behind": "émile\u200b", "a byte order mark before": "\ufeffÉmile", "a mark of direction": "Émile\u200e",
}  # fmt: skip


@pytest.mark.parametrize("spelled", ONE.values(), ids=ONE)
@pytest.mark.parametrize(
    ("schema", "role", "other"),
    [("payments", "user_id", "merchant_id"), ("paysim", "nameOrig", "nameDest"), ("paysim", "nameDest", "nameOrig")],
)
def test_one_user_has_one_past_however_the_name_is_written(schema: str, role: str, other: str, spelled: str) -> None:
    replay = Replay(SCHEMAS[schema].roles)
    for number, name in enumerate(("Émile", spelled), start=1):
        parsed = SCHEMAS[schema].parse(EXAMPLES[schema] | {role: name, other: f"Ö{number}"})
        parties = SCHEMAS[schema].parties(parsed.transaction)
        seen = replay.observe(parties, parsed.at_ms, 1.0, number)
    assert seen[role].count_7d == 1.0


@pytest.mark.parametrize("spelled", ONE.values(), ids=ONE)
@pytest.mark.parametrize(
    ("schema", "role", "other"),
    [("payments", "user_id", "merchant_id"), ("paysim", "nameOrig", "nameDest"), ("paysim", "nameDest", "nameOrig")],
)
def test_one_counterparty_is_counted_once_however_it_is_written(
    schema: str, role: str, other: str, spelled: str
) -> None:
    replay = Replay(SCHEMAS[schema].roles)
    for number, name in enumerate(("Émile", spelled, "Émile"), start=1):
        parsed = SCHEMAS[schema].parse(EXAMPLES[schema] | {role: "U", other: name})
        seen = replay.observe(SCHEMAS[schema].parties(parsed.transaction), parsed.at_ms, 1.0, number)
    assert seen[role].distinct_7d == 1.0


@pytest.mark.parametrize("spelled", ONE.values(), ids=ONE)
def test_one_place_is_one_place_however_it_is_written(spelled: str) -> None:
    schema = SCHEMAS["card_activity"]
    replay = Replay(schema.roles)
    for number, name in enumerate(("Émile", spelled), start=1):
        parsed = schema.parse(EXAMPLES["card_activity"] | {"Transaction_Location": name})
        day = number * 86_400_000 * 2
        seen = replay.observe(schema.parties(parsed.transaction), parsed.at_ms + day, 1.0, number)
    assert seen["User_ID"].place_days == 1.0  # type: ignore[attr-defined]


def test_names_that_only_look_alike_are_two() -> None:
    names = ("Emile", "Émile", "Еmile", "Emi le", "Emi\u00a0le", "E-mile", "Emile1", "🏴", "🏴\U000e0067\U000e007f")
    assert len(set(map(text.recognised, names))) == len(names)


@given(
    st.text(st.characters(exclude_categories=["Cc", "Cs"])),
    st.sampled_from(["NFC", "NFD"]),
    st.sampled_from(["", " ", "\u3000", "\u200b\u00a0"]),
)
def test_a_name_is_recognised_in_every_form_and_of_itself(name: str, form: Any, around: str) -> None:
    one = text.recognised(name)
    assert text.recognised(around + unicodedata.normalize(form, name) + around) == one
    assert text.recognised(one) == one


#: A card's number, however its digits are set apart, and what is no card's.
CARDS = ("4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", " 4111\u00a01111\u20111111 1111 ",
         "\uff14\uff11\uff11\uff11 1111 1111 1111")  # fmt: skip
NO_CARDS = ("4111 1111 1111 1112", "4111 1111 1111 1111 4", "card 4111 1111 1111 1111", "0f41-1111", "12-345678",
            "411111******1111")  # fmt: skip


def test_a_card_number_is_one_name_and_nothing_else_becomes_one() -> None:
    assert {text.recognised(one) for one in CARDS} == {CARDS[0]}
    assert [text.recognised(one) for one in NO_CARDS] == list(NO_CARDS)


@given(st.lists(st.sampled_from((*CARDS, *NO_CARDS, *TAKEN.values(), "", "ANN")) | st.text(max_size=20), max_size=8))
def test_many_names_are_recognised_as_one_is(names: list[str]) -> None:
    assert text.all_recognised(names) == [text.recognised(one) for one in names]
