"""What a transaction's rules ask of lists, answered in the gate's own call.

    guess      the checks of the newest policy this process knows of the tenant, and what it took those lists for
    ride       their tokens are looked up while the gate is asked (lists.lua)
    make sure  the policy is the guessed one and each list is what it was taken for: nearly always; else ask once more
    answer     per transaction: check → whether it was in the list when the request came

A list Valkey does not have is unknown: the worker is asked to write it, and the rules that need it say "error".
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from apps.accounts.tenancy import POSTGRES_AWAY
from apps.api_keys.gate import Names
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.list_checks import KnownLists, ListCheck
from apps.scoring.engine.transaction import HOME_COUNTRY, Parsed, TransactionSchema
from apps.scoring.lists import publishing
from apps.scoring.lists.publishing import HEADER, NO_LIST, Header, header_of
from apps.scoring.lists.tokens import tokens_in
from apps.scoring.serving.activity import Fields
from apps.valkey import Away, Valkey

#: Fields of one hash that are asked for at once: Lua hands on no more than 8,000 values.
FIELDS_AT_ONCE = 4_000
#: The worker is asked for a list that is missing at most so often.
ASKED_FOR_SECONDS = 10
#: Lists, and tenants with any, that a process remembers.
KEPT = 10_000
#: Once to learn what a list is, once to ask by that, and once more for one that became another meanwhile.
ROUNDS = 3

Tokens = Mapping[ListCheck, Sequence[bytes]]


class Wanted(NamedTuple):
    """What a policy asks of lists, and the home country it knows beside a transaction's own fields."""

    checks: tuple[ListCheck, ...] = ()
    home_country: str = ""

    @classmethod
    def by(cls, policy: Policy) -> "Wanted":
        return cls(policy.list_checks, policy.home_country)

    def of(self, schema: TransactionSchema) -> dict[str, tuple[ListCheck, ...]]:
        """By list, the checks this kind of transaction has a field for."""
        found: dict[str, tuple[ListCheck, ...]] = {}
        for check in self.checks:
            if check.field in schema.types or check.field == HOME_COUNTRY:
                found[check.list] = (*found.get(check.list, ()), check)
        return found


@dataclass(eq=False)
class Question:
    """What of one list is asked for some rows, taken for what (None: nobody knows yet), and the answer."""

    key: str
    checks: tuple[ListCheck, ...]
    taken_for: Header | None
    tokens: Sequence[Tokens]  # of each row: by any of which it would be in the list
    is_there: bool = True
    header: Header | None = None
    ends: dict[bytes, bytes] = field(default_factory=dict)

    @cached_property
    def parts(self) -> list[Fields]:
        """The header and the tokens, as many as can be asked at once; each part begins with the header."""
        wanted = list({token for row in self.tokens for one in row.values() for token in one})
        return [
            (self.key, [HEADER, *wanted[start : start + FIELDS_AT_ONCE]])
            for start in range(0, max(len(wanted), 1), FIELDS_AT_ONCE)
        ]

    def learn(self, fields: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        """Take the answer to a part."""
        self.is_there = self.is_there and values[0] is not None
        self.header = None if values[0] is None else header_of(values[0])
        self.ends |= {token: end for token, end in zip(fields[1:], values[1:], strict=True) if end is not None}

    @property
    def is_answered(self) -> bool:
        return self.is_there and self.header is not None and self.header == self.taken_for and self.exists

    @property
    def exists(self) -> bool:
        """Whether there is such a list, as far as Valkey knows."""
        return self.header is None or self.header.item_type != NO_LIST

    def holds(self, row: int, check: ListCheck, received_us: int) -> bool:
        """Whether what the row holds is in the list at that moment: an end is the first moment it is not."""
        ends = [self.ends[token] for token in self.tokens[row][check] if token in self.ends]
        return any(end == b"" or received_us < int(end) for end in ends)


Questions = Mapping[str, Question]  # by the list's name


class Answers(NamedTuple):
    """What is known of each row. A check that is not there is unknown: there is no such list, or it is `missing`:
    Valkey is away, or has lost it."""

    known: Sequence[KnownLists]
    missing: tuple[str, ...]


class Lists:
    """What one process knows of lists, and how it asks."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self._headers: dict[str, Header] = {}  # by key
        self._wanted: dict[str, Wanted] = {}  # by tenant: of those whose policy asks for lists

    def guess(self, names: Names, schema: TransactionSchema, rows: Sequence[Parsed]) -> Questions:
        """What will be asked for rows, by the newest policy of the tenant that was met here."""
        wanted = self._wanted.get(names.tenant)
        if wanted is None:
            return {}
        return {name: self._question(names, checks, rows, wanted) for name, checks in wanted.of(schema).items()}

    def answers(
        self, names: Names, schema: TransactionSchema, rows: Sequence[Parsed], wanted: Wanted, asked: Questions,
        ridden: Sequence[Any], received_us: int,
    ) -> Answers:  # fmt: skip
        """What is known of each row under the policy it is decided by; `ridden` answers what was `asked`."""
        self._remember(names, wanted)
        questions = dict(asked)
        self._learn(_parts(questions.values()), ridden)
        for _ in range(ROUNDS):
            open_ = {
                name: self._question(names, checks, rows, wanted)
                for name, checks in wanted.of(schema).items()
                if not _is_settled(questions.get(name), checks)
            }
            if not open_ or not self._ask(list(open_.values())):
                break
            questions |= open_
        answered = [one for one in questions.values() if one.is_answered]
        known = [
            {check: one.holds(row, check, received_us) for one in answered for check in one.checks}
            for row in range(len(rows))
        ]
        wanted_lists = wanted.of(schema).items()
        missing = [name for name, checks in wanted_lists if not _is_known(questions.get(name), checks)]
        return Answers(known, tuple(missing))

    def report_missing(self, tenant_schema: str, names: Names, lists: Sequence[str]) -> None:
        """Ask the worker for lists that are missing. While Valkey is away there is nothing to ask it for yet."""
        for name in lists:
            with suppress(Away, *POSTGRES_AWAY):
                if self._valkey.command("SET", f"{names.list(name)}:asked", "", "NX", "EX", ASKED_FOR_SECONDS):
                    publishing.ask_for(tenant_schema, names, name, self._valkey)

    def _question(
        self, names: Names, checks: tuple[ListCheck, ...], rows: Sequence[Parsed], wanted: Wanted
    ) -> Question:
        key = names.list(checks[0].list)
        header = self._headers.get(key)
        return Question(key, checks, header, [_tokens(header, checks, row, wanted.home_country) for row in rows])

    def _ask(self, questions: Sequence[Question]) -> bool:
        """Ask in a round trip of its own; False when there is no answer."""
        parts = _parts(questions)
        try:
            self._learn(parts, self._valkey.pipeline([("HMGET", key, *fields) for _, (key, fields) in parts]))
        except Away:
            return False
        return True

    def _learn(self, parts: Sequence[tuple[Question, Fields]], answers: Sequence[Any]) -> None:
        for (question, (_, fields)), values in zip(parts, answers, strict=True):
            question.learn(fields, values)
            if question.header is not None:
                self._headers[question.key] = question.header

    def _remember(self, names: Names, wanted: Wanted) -> None:
        """Guess by this policy from now on."""
        if max(len(self._headers), len(self._wanted)) >= KEPT:
            self._headers.clear()
            self._wanted.clear()
        if wanted.checks:
            self._wanted[names.tenant] = wanted
        else:
            self._wanted.pop(names.tenant, None)


def fields_of(questions: Questions) -> list[Fields]:
    """What the gate's call has to look up."""
    return [fields for _, fields in _parts(questions.values())]


def _parts(questions: Iterable[Question]) -> list[tuple[Question, Fields]]:
    return [(question, fields) for question in questions for fields in question.parts]


def _is_settled(question: Question | None, checks: tuple[ListCheck, ...]) -> bool:
    """Whether nothing more can be asked: it is answered, Valkey does not have the list, or nobody has."""
    if question is None or question.checks != checks:
        return False
    return question.is_answered or not question.is_there or not question.exists


def _is_known(question: Question | None, checks: tuple[ListCheck, ...]) -> bool:
    """Whether Valkey told of it: what is in it, or that there is no such list."""
    return _is_settled(question, checks) and question is not None and question.is_there


def _tokens(header: Header | None, checks: Sequence[ListCheck], row: Parsed, home_country: str) -> Tokens:
    """By which tokens a row would be in a list; none of a list that does not exist, or whose type nobody knows yet."""
    if header is None or header.item_type == NO_LIST:
        return dict.fromkeys(checks, ())
    return {check: tokens_in(header.item_type, _value(row, check.field, home_country), header.prefixes)
            for check in checks}  # fmt: skip


def _value(row: Parsed, name: str, home_country: str) -> Any:
    """As it was sent: a card's number is looked up by its hash before it is masked."""
    return (home_country or None) if name == HOME_COUNTRY else row.sent.get(name)
