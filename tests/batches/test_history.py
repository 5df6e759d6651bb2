"""A file's history, counted at once: what `Replay` says of the file in order of event time, to the bits."""

from collections import defaultdict
from functools import partial
from random import Random
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from apps.batches.history import FileHistory, Naming, packed, settle, unpacked
from apps.scoring.engine.block import block_of
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.history import Replay, unknown
from apps.scoring.engine.past_events import HOUR_MS, event_of, placed, transaction_hash
from apps.scoring.engine.provenance import fields_of_pasts
from apps.scoring.engine.rule_fields import counted_of
from apps.scoring.engine.schemas import SCHEMAS
from tests.scoring.engine import generated

WITH_PASTS = [name for name, schema in SCHEMAS.items() if schema.roles]
ROWS, CHUNK = 400, 150


def hide(name):
    """As the live store does, of whose events nobody may read a name."""
    return f"hidden {name}"


def named(schema, role, number):
    """A name in a role: few of them, as its field takes them."""
    if role == "ip_address":
        return f"8.8.8.{number}"
    return number if is_kind(int, schema.types[role]) else f"N{number}"


def file_of(schema, random, repeated):
    """Rows of few parties in any order of time, some of one moment; with `repeated`, some under one transaction id."""
    rows = []
    for number, one in enumerate(generated.parsed(schema, ROWS, random)):
        names = {role.name: named(schema, role.name, random.randrange(6)) for role in schema.roles}
        names.pop("amount", None)  # of PaySim: the amount itself is a party
        sent = {**msgspec.to_builtins(one.sent), **names, "transaction_id": f"t{number}"}
        sent = {name: value for name, value in sent.items() if name in schema.required or random.random() < 0.9}
        if repeated and random.random() < 0.1:
            sent["transaction_id"] = f"t{random.randrange(20)}"
        if "step" in schema.types:
            sent["step"] = random.randrange(300)
        rows.append(schema.parse(sent, generated.RECEIVED_MS))
    return rows


def seeds_of(schema, random, rows):
    """What the live store knows of some of the parties: events of others, and some of the file's own."""
    found = defaultdict(dict)
    for one in rows:
        for party in schema.parties(one.transaction):
            if party.name in found[party.role] or random.random() < 0.5:
                continue
            past = b""
            for number in range(random.randrange(12)):
                at_ms = one.at_ms + random.randrange(-200, 50) * HOUR_MS // 2
                amount, name = float(random.randrange(500)), f"{party.name} {number}"
                event = event_of(party.renamed(hide), at_ms, amount, transaction_hash(name))
                past = placed(past, event)
            if own := schema.transaction_id(one.transaction):
                past = placed(past, event_of(party.renamed(hide), one.at_ms, 1.0, transaction_hash(own)))
            found[party.role][party.name] = past
    return found


def seeds_among(seeds, role, names):
    return {name: seeds[role][name] for name in names if name in seeds.get(role, {})}


def replayed(schema, rows, seeds, is_blocked=lambda one, pasts: False):
    """Each row's pasts by `Replay`, over the rows in order of event time; what is blocked is refused at once."""
    replay = Replay(schema.roles)
    own = {(party.role, party.name, schema.transaction_id(one.transaction))
           for one in rows for party in schema.parties(one.transaction)}  # fmt: skip
    ours = defaultdict(set)
    for role, name, given in own:
        if given:
            ours[role, name].add(transaction_hash(given).to_bytes(8, "little"))
    for role, pasts in seeds.items():
        for name, past in pasts.items():
            events = [past[at : at + 48] for at in range(0, len(past), 48)]
            kept = [event for event in events if event[16:24] not in ours[role, name]]
            replay._past[role, hide(name), False] = b"".join(kept)
    found = {}
    for place in sorted(range(len(rows)), key=lambda place: (rows[place].at_ms, place)):
        one = rows[place]
        given = schema.transaction_id(one.transaction) or f"row {place}"
        parties, amount = schema.parties(one.transaction), schema.amount(one.transaction)
        hidden = [party.renamed(hide) for party in parties]
        known_by = transaction_hash(given)
        found[place] = replay.observe(hidden, one.at_ms, amount, known_by)
        if is_blocked(one, found[place]):
            replay.refuse(hidden, one.at_ms, amount, known_by)
    return [found[place] for place in range(len(rows))]


@pytest.mark.parametrize("seeded", [False, True], ids=["the file alone", "with seeds"])
@pytest.mark.parametrize("repeated", [False, True], ids=["each once", "repeated ids"])
@pytest.mark.parametrize("name", WITH_PASTS)
def test_a_files_history_is_its_replay_in_order_of_event_time(tmp_path, name, repeated, seeded):
    schema, random = SCHEMAS[name], Random(f"{name} {repeated} {seeded}")
    rows = file_of(schema, random, repeated)
    seeds = seeds_of(schema, random, rows) if seeded else {}
    known = (
        (lambda role, names: {one: seeds[role][one] for one in names if one in seeds.get(role, {})}) if seeded else None
    )
    history = FileHistory(schema, tmp_path, known, Naming(hide=hide), counted_of(schema))
    chunks = [rows[at : at + CHUNK] for at in range(0, ROWS, CHUNK)]
    for number, chunk in enumerate(chunks):
        history.add(number, block_of(schema, chunk))
    history.count()
    expected = replayed(schema, rows, seeds)
    for number, chunk in enumerate(chunks):
        pasts = unpacked(schema, packed(history.pasts(number, len(chunk))))
        for role, fields, past in zip(schema.roles, fields_of_pasts(schema, counted_of(schema)), pasts, strict=True):
            told = [expected[number * CHUNK + row].get(role.name, unknown(role)) for row in range(len(chunk))]
            for field in fields:
                wanted = np.array([getattr(one, field) for one in told])
                np.testing.assert_array_equal(getattr(past, field), wanted, err_msg=f"{role.name}.{field}")


@pytest.mark.parametrize("repeated", [False, True], ids=["each once", "repeated ids"])
@pytest.mark.parametrize("name", [name for name in WITH_PASTS if any(role.habits for role in SCHEMAS[name].roles)])
def test_what_is_blocked_makes_no_habit_as_in_a_replay(tmp_path, name, repeated):
    """Whether a row is blocked follows from its habits: of a party that is known enough every other amount is."""
    schema, random = SCHEMAS[name], Random(f"blocked {name} {repeated}")
    rows = file_of(schema, random, repeated)
    role = next(role for role in schema.roles if role.habits)

    def is_blocked(one, pasts):
        known = pasts[role.name].known if role.name in pasts else 0.0
        return int(schema.amount(one.transaction)) % 2 == 0 and known % 3 < 2

    seeds = seeds_of(schema, random, rows)
    history = FileHistory(schema, tmp_path, partial(seeds_among, seeds), Naming(hide=hide))
    chunks = [rows[at : at + CHUNK] for at in range(0, ROWS, CHUNK)]
    for number, chunk in enumerate(chunks):
        history.add(number, block_of(schema, chunk))
    history.count()

    def blocked_in(number):
        chunk = chunks[number]
        past = history.pasts(number, len(chunk))[schema.roles.index(role)].known
        known = [{} if count != count else {role.name: SimpleNamespace(known=count)} for count in past]
        return np.array([is_blocked(*pair) for pair in zip(chunk, known, strict=True)])

    assert settle(history, len(chunks), blocked_in) > 1
    expected = replayed(schema, rows, seeds, is_blocked)
    for number, chunk in enumerate(chunks):
        for place, past in enumerate(history.pasts(number, len(chunk))):
            told = [expected[number * CHUNK + row].get(schema.roles[place].name) for row in range(len(chunk))]
            told = [unknown(schema.roles[place]) if one is None else one for one in told]
            for field in past.fields:
                wanted = np.array([getattr(one, field) for one in told])
                np.testing.assert_array_equal(getattr(past, field), wanted, err_msg=field)


def test_what_many_transactions_of_one_party_see_saturates(tmp_path):
    schema = SCHEMAS["paysim"]
    rows = [
        schema.parse({"type": "TRANSFER", "amount": 10.5 + row % 7, "oldbalanceOrg": 0, "newbalanceOrig": 0, "step": 5,
                      "oldbalanceDest": 0, "newbalanceDest": 0, "nameOrig": "C1", "nameDest": f"C{row % 300}"})
        for row in range(600)
    ]  # fmt: skip
    history = FileHistory(schema, tmp_path)
    history.add(0, block_of(schema, rows))
    history.count()
    expected, pasts = replayed(schema, rows, {}), history.pasts(0, len(rows))
    for role, fields, past in zip(schema.roles, fields_of_pasts(schema), pasts, strict=True):
        for field in fields:
            wanted = np.array([getattr(one[role.name], field) for one in expected])
            np.testing.assert_array_equal(getattr(past, field), wanted, err_msg=f"{role.name}.{field}")
    assert pasts[0].count_7d.max() == 256.0
