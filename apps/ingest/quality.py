"""The quality of a transaction's data: which checks there are, and what each finds. Pure.

A check is a row of `CHECKS`; what it needs beyond the schema's own declarations stands in a table beside it. Findings
name a field and say in a sentence what is wrong; counted by day they tell what changed at the sender.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from apps.scoring.engine.past_events import TOLERATED_AHEAD_MS, WEEK_MS
from apps.scoring.engine.schemas.paysim import CENT, OUTGOING
from apps.scoring.engine.transaction import InvalidTransaction, Parsed, TransactionSchema

#: Every check, in words.
CHECKS: Mapping[str, str] = {
    "missing": "A required field, or one by which a party's history is found, was not sent.",
    "out_of_range": "A value is not one its field takes; the transaction was refused.",
    "duplicate": "The same transaction with the same facts was sent before.",
    "clock_skew": "Its own time is more than 15 minutes ahead of its receipt, or more than 7 days behind.",
    "unknown_category": "A text is none of its field's known values.",
    "balance_mismatch": "Balances before and after do not differ by the amount.",
    "constant_field": "A field had one and the same value all day.",
}
#: Values of a day before a field can be called constant.
LEAST_VALUES = 20


class Finding(NamedTuple):
    """What a check found at a field ("" for the whole transaction)."""

    check: str
    field: str
    detail: str


def refused(schema: TransactionSchema, content: Any) -> list[Finding]:
    """What is wrong with a transaction that can't be scored."""
    return [
        Finding("missing" if problem.missing else "out_of_range", problem.param, problem.detail)
        for problem in schema.problems(content)
    ]


def found(schema: TransactionSchema, parsed: Parsed, *, duplicate: bool) -> list[Finding]:
    """What the checks find at a transaction that was scored."""
    again = [Finding("duplicate", "", "This transaction was sent before with the same facts.")] if duplicate else []
    return [*_missing(schema, parsed), *again, *_clock_skew(schema, parsed), *_unknown(schema, parsed),
            *_balances(schema, parsed)]  # fmt: skip


def of_problem(problem: InvalidTransaction) -> Finding:
    return Finding("missing" if problem.missing else "out_of_range", problem.param, problem.detail)


def _missing(schema: TransactionSchema, parsed: Parsed) -> Iterator[Finding]:
    """Fields that can be left out, but by which parties are known."""
    for role in schema.roles:
        if role.name in schema.types and role.name not in parsed.facts:
            yield Finding("missing", role.name, f"'{role.name}' was not sent: its history can't be looked at.")


def _clock_skew(schema: TransactionSchema, parsed: Parsed) -> Iterator[Finding]:
    if schema.moment is None or schema.moment not in parsed.facts:
        return
    ahead_ms = parsed.at_ms - parsed.received_ms
    if ahead_ms > TOLERATED_AHEAD_MS or ahead_ms < -WEEK_MS:
        way = "ahead of" if ahead_ms > 0 else "behind"
        hours = abs(ahead_ms) / 3_600_000
        yield Finding("clock_skew", schema.moment, f"'{schema.moment}' is {hours:,.1f} hours {way} its receipt.")


def _unknown(schema: TransactionSchema, parsed: Parsed) -> Iterator[Finding]:
    for name, known in schema.known_values.items():
        value = getattr(parsed.shown, name, None)
        if isinstance(value, str) and value not in known.values and value not in known.synonyms:
            yield Finding("unknown_category", name, f"'{name}' has a value that is not known: {known.listed}.")


def _balances(schema: TransactionSchema, parsed: Parsed) -> Iterator[Finding]:
    for field, by in LEDGERS.get(schema.name, _no_ledger)(parsed.transaction):
        yield Finding("balance_mismatch", field, f"'{field}' differs by {by:,.2f} from what the amount leaves.")


def _no_ledger(transaction: Any) -> Iterator[tuple[str, float]]:
    return iter(())


def _paysim(t: Any) -> Iterator[tuple[str, float]]:
    """(field, by how much) of balances the amount does not explain. A merchant's are not kept in such ledgers."""
    left = t.oldbalanceOrg + t.amount if t.type == "CASH_IN" else t.oldbalanceOrg - t.amount
    if abs(t.newbalanceOrig - left) > CENT:
        yield "newbalanceOrig", abs(t.newbalanceOrig - left)
    held = t.oldbalanceDest + t.amount
    if t.type in OUTGOING and abs(t.newbalanceDest - held) > CENT:
        yield "newbalanceDest", abs(t.newbalanceDest - held)


#: Kinds of transactions that carry balances.
LEDGERS: Mapping[str, Callable[[Any], Iterator[tuple[str, float]]]] = {"paysim": _paysim}


def comparable(schema: TransactionSchema, parsed: Parsed) -> dict[str, Any]:
    """The values of a transaction that are looked at for being constant: of no field that names a party or an id."""
    left_out = {*schema.ids, *schema.searched, *(role.name for role in schema.roles)}
    left_out.discard(schema.amount_field)
    return {name: value for name, value in parsed.facts.items() if name not in left_out}
