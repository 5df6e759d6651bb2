"""The doors of `/v1/rules`: a tenant's own rules, each step of their lives, and what is wrong with one before it is."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps.accounts.models import Tenant
from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment
from apps.api.operation import WITH_A_BODY, Answer, Body, Operation, operation, parameter
from apps.api_keys.gate import Admission
from apps.api_keys.services import get_gate
from apps.decoding import without_cards
from apps.errors import Problem
from apps.scoring import policies, rule_life
from apps.scoring.engine.aggregates import Aggregate
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.expressions.tokens import LONGEST
from apps.scoring.engine.rule_fields import names_of
from apps.scoring.engine.rule_programs import meant_for
from apps.scoring.engine.rules import MOST_CONDITIONS, Condition, Outcome, Rule, RuleId, State
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.engine.snoozes import Snooze
from apps.scoring.engine.when_check import problem_of
from apps.scoring.lists.reads import types_of
from apps.scoring.policy_file import InvalidPolicy
from apps.scoring.rule_life import NoSuchRule, RuleExists, WrongSnooze, WrongStep
from apps.times import rfc3339

Done = TypeVar("Done")

When = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST,
        description="The condition in CEL: see [Rules as text](/docs#rules-as-text).",
        examples=["amount > 5000.0 && country != home_country && user.count_1h >= 3"],
    ),
]
Conditions = Annotated[
    list[Condition],
    Meta(min_length=1, max_length=MOST_CONDITIONS, description="In place of `when`: conditions that all hold."),
]
Schema = Annotated[str, Meta(max_length=200, description="For one kind of transaction; empty: all with its names.")]
Words = Annotated[str, Meta(max_length=200)]
Share = Annotated[int, Meta(ge=1, le=100, description="Percent of the parties it decides for, always the same ones.")]
Reason = Annotated[str, Meta(max_length=500, description="Why, for those who read its history later.")]


class NewRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule to be: a draft, where nothing else is said."""

    id: RuleId
    outcome: Outcome
    when: When | UnsetType = UNSET
    all: Conditions | UnsetType = UNSET
    schema: Schema = ""
    reason_code: Words = ""
    description: Words = ""
    state: State = "draft"
    share: Share = 100
    reason: Reason = ""


class RuleChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays."""

    outcome: Outcome | UnsetType = UNSET
    when: When | UnsetType = UNSET
    all: Conditions | UnsetType = UNSET
    schema: Schema | UnsetType = UNSET
    reason_code: Words | UnsetType = UNSET
    description: Words | UnsetType = UNSET
    state: State | UnsetType = UNSET
    share: Share | UnsetType = UNSET
    reason: Reason = ""


class RuleToCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition that somebody is writing."""

    when: When
    schema: Schema = ""


class RuleAnswer(msgspec.Struct, frozen=True):
    """A rule, as the policy in force has it."""

    id: str
    object: Literal["rule"]
    outcome: Outcome
    when: Annotated[str, Meta(description="Empty where it is a list of conditions.")]
    all: list[Condition]
    schema: str
    schemas: Annotated[list[str], Meta(description="The kinds of transaction it is asked of.")]
    lists: Annotated[list[str], Meta(description="Your lists it asks.")]
    reason_code: str
    description: str
    state: State
    share: int
    policy_version: Annotated[int, Meta(description="The policy in force.")]


class RuleList(msgspec.Struct, frozen=True):
    """Your rules in their order: of two of the same outcome that hit, the first decides."""

    object: Literal["list"]
    data: list[RuleAnswer]


class CheckedRule(msgspec.Struct, frozen=True):
    """It may be saved."""

    object: Literal["checked_rule"]
    valid: Literal[True]
    schemas: list[str]
    names: Annotated[list[str], Meta(description="What it asks for.")]
    lists: list[str]


class RuleStep(msgspec.Struct, frozen=True):
    """A policy in which the rule became another; `rule` is null where it was taken out."""

    object: Literal["rule_step"]
    policy_version: int
    at: Moment
    by: str
    reason: str
    rule: Mapping[str, Any] | None


class RuleHistory(msgspec.Struct, frozen=True):
    """A rule's life, the newest step first."""

    object: Literal["list"]
    data: list[RuleStep]


class NewSnooze(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entity that a rule shall leave alone for a time."""

    field: Annotated[str, Meta(min_length=1, max_length=64, examples=["user_id"])]
    value: Annotated[str, Meta(min_length=1, max_length=256, description="However it is spelled.", examples=["C-17"])]
    until: Annotated[datetime, Meta(description="At most 366 days from now.")]
    reason: Reason = ""


class SnoozeToEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The snooze that shall end."""

    field: Annotated[str, Meta(min_length=1, max_length=64)]
    value: Annotated[str, Meta(min_length=1, max_length=256)]
    reason: Reason = ""


class SnoozeAnswer(msgspec.Struct, frozen=True):
    """An entity that a rule leaves alone."""

    object: Literal["snooze"]
    rule: str
    field: str
    value: str
    until: Moment


class SnoozeList(msgspec.Struct, frozen=True):
    """What a rule leaves alone."""

    object: Literal["list"]
    data: list[SnoozeAnswer]


class _RulesView(ApiView):
    """Reading and checking take `read`; whatever changes something takes `admin`."""

    scopes: ClassVar = {"GET": "read", "POST": "admin", "PATCH": "admin"}

    def tenant(self, admission: Admission) -> Tenant:
        return Tenant.objects.get(pk=admission.tenant_id)


class RulesView(_RulesView):
    """GET: all of them. POST: a new one."""

    endpoint = "rules"

    def get(self, request: HttpRequest) -> HttpResponse:
        policy = policies.in_force(self.tenant(self.admit_only(request)))
        return json_answer(RuleList("list", [_told(rule, policy) for rule in policy.rules]))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, NewRule))
        admission = self.admit_only(request)
        tenant, said = self.tenant(admission), _said(asked)
        _check(tenant, said)
        return _answer(tenant, lambda: rule_life.create(
            tenant=tenant, rule=said, gate=get_gate(), now=self.now, actor=admission.actor, reason=asked.reason
        ))  # fmt: skip


class RuleView(_RulesView):
    """GET, PATCH one."""

    endpoint = "rule"
    http_method_names = ["get", "head", "patch"]

    def get(self, request: HttpRequest, rule_name: str) -> HttpResponse:
        tenant = self.tenant(self.admit_only(request))
        return _answer(tenant, lambda: rule_life.find(policies.in_force(tenant), rule_name))

    def patch(self, request: HttpRequest, rule_name: str) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, RuleChange))
        admission = self.admit_only(request)
        tenant, said = self.tenant(admission), _said(asked)
        if "when" in said:
            was = _allowed(lambda: rule_life.find(policies.in_force(tenant), rule_name))
            _check(tenant, {"schema": was.schema} | said)
        return _answer(tenant, lambda: rule_life.change(
            tenant=tenant, rule_id=rule_name, what=said, gate=get_gate(), now=self.now, actor=admission.actor,
            reason=asked.reason,
        ))  # fmt: skip


class RuleHistoryView(_RulesView):
    """GET: every step of a rule's life."""

    endpoint = "rule_history"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, rule_name: str) -> HttpResponse:
        steps = rule_life.history(self.tenant(self.admit_only(request)), rule_name)
        if not steps:
            raise Problem("not_found")
        told = [RuleStep("rule_step", one.version, rfc3339(one.at), one.by, one.reason, one.rule) for one in steps]
        return json_answer(RuleHistory("list", told))


class SnoozesView(_RulesView):
    """GET: what a rule leaves alone. POST: something more. `end`: no longer."""

    endpoint = "rule_snoozes"
    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest, rule_name: str) -> HttpResponse:
        return self.listed(self.tenant(self.admit_only(request)), rule_name)

    def post(self, request: HttpRequest, rule_name: str) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, NewSnooze))
        admission = self.admit_only(request)
        tenant, what = self.tenant(admission), Snooze(rule_name, asked.field, asked.value, asked.until)
        _allowed(lambda: rule_life.snooze(
            tenant=tenant, what=what, gate=get_gate(), now=self.now, actor=admission.actor, reason=asked.reason
        ))  # fmt: skip
        return self.listed(tenant, rule_name)

    def listed(self, tenant: Tenant, rule_name: str) -> HttpResponse:
        """Those in force. Raises `Problem` (404) for a rule there is not."""
        tenant.refresh_from_db(fields=["policy_version"])
        policy = rule_life.awake(policies.in_force(tenant), self.now)
        _allowed(lambda: rule_life.check_there_is(policy, rule_name))
        mine = [one for one in policy.snoozes if one.rule == rule_name]
        told = [SnoozeAnswer("snooze", one.rule, one.field, one.value, rfc3339(one.until)) for one in mine]
        return json_answer(SnoozeList("list", told))


class EndSnoozeView(SnoozesView):
    """POST: a snooze ends before its time."""

    endpoint = "rule_snooze_end"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, rule_name: str) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, SnoozeToEnd))
        admission = self.admit_only(request)
        tenant = self.tenant(admission)
        _allowed(lambda: rule_life.wake(
            tenant=tenant, rule_id=rule_name, field=asked.field, value=asked.value, gate=get_gate(), now=self.now,
            actor=admission.actor, reason=asked.reason,
        ))  # fmt: skip
        return self.listed(tenant, rule_name)


class CheckRuleView(_RulesView):
    """POST: what is wrong with a condition, or what it asks for."""

    endpoint = "rule_check"
    scopes: ClassVar = {"POST": "read"}
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.decoded(request, RuleToCheck)
        tenant = self.tenant(self.admit_only(request))
        rule = _check(tenant, {"when": asked.when, "schema": asked.schema})
        lists = [check.list for check in rule.list_checks]
        schemas = _schemas(rule, policies.in_force(tenant).aggregates)
        return json_answer(CheckedRule("checked_rule", True, schemas, sorted(rule.names), lists))


def _said(asked: NewRule | RuleChange) -> dict[str, Any]:
    """What a body says of a rule."""
    return {name: value for name, value in msgspec.to_builtins(asked).items() if name != "reason"}


def _check(tenant: Tenant, said: Mapping[str, Any]) -> Rule:
    """The rule that is said, if its condition can be asked. Raises `Problem` with the place of what is wrong."""
    rule = Rule("checked", "note", when=said.get("when", ""), schema=said.get("schema", ""))
    if rule.schema and rule.schema not in SCHEMAS:
        raise Problem("schema_unknown", f"There are {', '.join(SCHEMAS)}.", "schema")
    policy, lists = policies.in_force(tenant), types_of(tenant.schema_name)
    wrong = problem_of(rule, policy.home_country, lists, policy.aggregates) if rule.when else None
    if wrong:
        meant = f" Did you mean {' or '.join(wrong.meant)}?" if wrong.meant else ""
        place = wrong.place._asdict() | {"suggestions": list(wrong.meant)}
        raise Problem("field_invalid", f"{wrong.said}{meant}", "when", extra=place)
    return rule


def _schemas(rule: Rule, aggregates: tuple[Aggregate, ...]) -> list[str]:
    able = (name for name, one in SCHEMAS.items() if rule.names <= names_of(one, aggregates).keys())
    return [name for name in able if meant_for(name, rule, aggregates)]


def _answer(tenant: Tenant, do: Callable[[], Rule]) -> HttpResponse:
    rule = _allowed(do)
    tenant.refresh_from_db(fields=["policy_version"])
    return json_answer(_told(rule, policies.in_force(tenant)))


def _allowed(do: Callable[[], Done]) -> Done:
    """What is done, or its refusal as a `Problem`."""
    try:
        return do()
    except NoSuchRule as missing:
        raise Problem("not_found") from missing
    except RuleExists as there:
        raise Problem("field_invalid", f"There is a rule '{there}' already: PATCH /v1/rules/{there}.", "id") from there
    except WrongSnooze as wrong:
        raise Problem("field_invalid", str(wrong), wrong.member) from wrong
    except WrongStep as wrong:
        raise Problem("field_invalid", str(wrong), "state") from wrong
    except InvalidPolicy as wrong:
        raise Problem("field_invalid", str(wrong), "rule") from wrong


def _told(rule: Rule, policy: Policy) -> RuleAnswer:
    return RuleAnswer(
        id=rule.id,
        object="rule",
        outcome=rule.outcome,
        when=rule.when,
        all=list(rule.all),
        schema=rule.schema,
        schemas=_schemas(rule, policy.aggregates),
        lists=[check.list for check in rule.list_checks],
        reason_code=rule.reason_code,
        description=rule.description,
        state=rule.state,
        share=rule.share,
        policy_version=policy.version,
    )


TAG = "Rules"
_RULE = parameter(
    "rule_name", "path", "The rule's id.", {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$"}, required=True,
    example="large_abroad",
)  # fmt: skip
_CHANGES = (*WITH_A_BODY, "field_invalid", "schema_unknown")
_NEW: Mapping[str, Any] = {
    "shadow": {
        "summary": "Large payments abroad, counted before it decides",
        "value": {
            "id": "large_abroad", "outcome": "review", "schema": "payments", "state": "shadow",
            "when": "amount > 5000.0 && country != 'US' && user.count_1h >= 3", "reason": "A gang of last week.",
        },
    },
}  # fmt: skip
_CHANGE = {"live": {"summary": "Let it decide for a quarter", "value": {"state": "live", "share": 25}}}
_WHEN = {"whole": {"summary": "A condition", "value": {"when": "amount > 5000.0", "schema": "payments"}}}
_SNOOZE = {
    "week": {
        "summary": "A good customer on a journey",
        "value": {"field": "user_id", "value": "C-17", "until": "2027-01-15T00:00:00Z", "reason": "Called us."},
    }
}
_AWAKE = {"end": {"summary": "The journey is over", "value": {"field": "user_id", "value": "C-17"}}}
_ONE = Answer(RuleAnswer, "The rule.")
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG, "GET", "/v1/rules", "listRules", "List rules",
        "Your own rules, in any state. Those every tenant has are in [the table](/docs#built-in-rules).",
        Answer(RuleList, "The rules."),
    ),
    operation(
        TAG, "POST", "/v1/rules", "createRule", "Create a rule",
        "It becomes part of a newly published policy. Up to 100 live ones, 50 shadows, 500 in all. What can't be asked "
        "is refused with `line`, `column`, `offset` and `suggestions`.",
        _ONE, "admin", body=Body(NewRule, dict(_NEW)), problems=_CHANGES,
    ),
    operation(
        TAG, "POST", "/v1/rules/validate", "validateRule", "Check a condition",
        "What is wrong with it and where (422), or what it asks for. Nothing is kept.",
        Answer(CheckedRule, "It may be saved."), body=Body(RuleToCheck, _WHEN), problems=_CHANGES,
    ),
    operation(
        TAG, "GET", "/v1/rules/{rule_name}", "getRule", "Read a rule", "As the policy in force has it.",
        _ONE, parameters=(_RULE,), problems=("not_found",),
    ),
    operation(
        TAG, "PATCH", "/v1/rules/{rule_name}", "changeRule", "Change a rule",
        "What is left out stays; what changes something becomes part of a newly published policy. A draft becomes a "
        "shadow, live or retired; a shadow becomes live, retired or a draft again; a live one a shadow or retired.",
        _ONE, "admin", parameters=(_RULE,), body=Body(RuleChange, _CHANGE), problems=(*_CHANGES, "not_found"),
    ),
    operation(
        TAG, "GET", "/v1/rules/{rule_name}/snoozes", "listSnoozes", "List a rule's snoozes",
        "Entities it leaves alone for a time; also of a built-in rule.",
        Answer(SnoozeList, "Those in force."), parameters=(_RULE,), problems=("not_found",),
    ),
    operation(
        TAG, "POST", "/v1/rules/{rule_name}/snoozes", "createSnooze", "Snooze an entity",
        "Until then the rule, which may be a built-in one, is not told of transactions with this value there, and "
        "decides none of them; one of your own is still counted, as `shadow:ID`. Up to 200 at a time.",
        Answer(SnoozeList, "The rule's snoozes."), "admin", parameters=(_RULE,), body=Body(NewSnooze, _SNOOZE),
        problems=(*_CHANGES, "not_found"),
    ),
    operation(
        TAG, "POST", "/v1/rules/{rule_name}/snoozes/end", "endSnooze", "End a snooze", "Before its time.",
        Answer(SnoozeList, "The rule's snoozes."), "admin", parameters=(_RULE,), body=Body(SnoozeToEnd, _AWAKE),
        problems=(*_CHANGES, "not_found"),
    ),
    operation(
        TAG, "GET", "/v1/rules/{rule_name}/history", "getRuleHistory", "Read a rule's life",
        "Every policy in which it became another: who, when, why, and the rule as it was then. The newest 200.",
        Answer(RuleHistory, "The steps."), parameters=(_RULE,), problems=("not_found",),
    ),
)  # fmt: skip
