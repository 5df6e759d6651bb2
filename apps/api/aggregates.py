"""The doors of `/v1/aggregates`: what a tenant has counted beside what always is, for its rules to ask."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps.accounts.models import Tenant
from apps.api.endpoint import ApiView, json_answer
from apps.api.operation import WITH_A_BODY, Answer, Body, Operation, operation, parameter
from apps.api_keys.gate import Admission
from apps.api_keys.services import get_gate
from apps.decoding import without_cards
from apps.errors import Problem
from apps.scoring import aggregate_changes, policies
from apps.scoring.aggregate_changes import AggregateExists, AggregateInUse, NoSuchAggregate, WrongAggregate
from apps.scoring.engine.aggregates import (
    MOST_COUNTED,
    MOST_FIELDS,
    MOST_KEPT,
    Aggregate,
    AggregateName,
    Function,
    Window,
)
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.expressions.tokens import LONGEST
from apps.scoring.engine.past_events import LOOKED_AT
from apps.scoring.engine.rules import InvalidRules

Done = TypeVar("Done")

SchemaName = Annotated[str, Meta(max_length=40, description="The kind of transaction.", examples=["payments"])]
By = Annotated[
    list[Annotated[str, Meta(max_length=64)]],
    Meta(
        min_length=1,
        max_length=MOST_FIELDS,
        description="By what is counted: one field of the kind that names something, or two together.",
        examples=[["card_bin"]],
    ),
]
Of = Annotated[
    str,
    Meta(
        max_length=64,
        description="The number that is summed (`sum`, `max`, `average`), or what is told apart (`distinct`).",
    ),
]
Where = Annotated[
    str,
    Meta(
        max_length=LONGEST,
        description="In CEL, over fields that are sent: only transactions of which it holds are counted.",
        examples=["amount > 100.0"],
    ),
]
Reason = Annotated[str, Meta(max_length=500, description="Why, for those who read the policies later.")]


class NewAggregate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to be counted."""

    name: AggregateName
    schema: SchemaName
    by: By
    function: Function
    window: Annotated[Window, Meta(description="How far back from the transaction's own time.")]
    of: Of = ""
    where: Where = ""
    description: Annotated[str, Meta(max_length=200, description="For you.")] = ""
    reason: Reason = ""


class ArchiveAggregate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is counted no more."""

    reason: Reason = ""


class AggregateAnswer(msgspec.Struct, frozen=True):
    """What is counted, as the policy in force has it."""

    name: str
    object: Literal["aggregate"]
    asked_as: Annotated[str, Meta(description="What rules write.", examples=["aggregates.bin_count_1h"])]
    schema: str
    by: list[str]
    function: Function
    of: str
    window: Window
    where: str
    description: str
    archived: Annotated[bool, Meta(description="It is neither counted nor asked for any more.")]
    used_by: Annotated[list[str], Meta(description="Ids of live and shadow rules that ask for it.")]
    policy_version: Annotated[int, Meta(description="The policy in force.")]


class AggregateList(msgspec.Struct, frozen=True):
    """Your aggregates, in the order they were defined."""

    object: Literal["list"]
    data: list[AggregateAnswer]


class _AggregatesView(ApiView):
    """Reading takes `read`; whatever changes something takes `admin`."""

    scopes: ClassVar = {"GET": "read", "POST": "admin"}

    def change(self, admission: Admission, reason: str) -> dict[str, Any]:
        """Whose policy is changed by whom, when and why, and who is told."""
        tenant = Tenant.objects.get(pk=admission.tenant_id)
        return {"tenant": tenant, "gate": get_gate(), "now": self.now, "actor": admission.actor, "reason": reason}

    def policy(self, admission: Admission) -> Policy:
        return policies.in_force(Tenant.objects.get(pk=admission.tenant_id))


class AggregatesView(_AggregatesView):
    """GET: all of them. POST: a new one."""

    endpoint = "aggregates"

    def get(self, request: HttpRequest) -> HttpResponse:
        policy = self.policy(self.admit_only(request))
        return json_answer(AggregateList("list", [_told(one, policy) for one in policy.aggregates]))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, NewAggregate))
        admission = self.admit_only(request)
        said = {name: value for name, value in msgspec.to_builtins(asked).items() if name != "reason"}
        new, change = msgspec.convert(said, Aggregate), self.change(admission, asked.reason)
        made = _allowed(lambda: aggregate_changes.create(aggregate=new, **change))
        return json_answer(_told(made, self.policy(admission)))


class AggregateView(_AggregatesView):
    """GET one."""

    endpoint = "aggregate"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, aggregate_name: str) -> HttpResponse:
        policy = self.policy(self.admit_only(request))
        return json_answer(_told(_allowed(lambda: aggregate_changes.find(policy, aggregate_name)), policy))


class ArchiveAggregateView(_AggregatesView):
    """POST: it is counted no more."""

    endpoint = "aggregate_archive"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, aggregate_name: str) -> HttpResponse:
        asked, _ = without_cards(self.decoded(request, ArchiveAggregate))
        admission = self.admit_only(request)
        change = self.change(admission, asked.reason)
        archived = _allowed(lambda: aggregate_changes.archive(name=aggregate_name, **change))
        return json_answer(_told(archived, self.policy(admission)))


def _allowed(do: Callable[[], Done]) -> Done:
    """What is done, or its refusal as a `Problem`; of a condition with the place of what is wrong."""
    try:
        return do()
    except NoSuchAggregate as missing:
        raise Problem("not_found") from missing
    except AggregateExists as there:
        raise Problem("name_taken", f"There is an aggregate '{there}'; an archived one keeps its name.") from there
    except AggregateInUse as used:
        raise Problem("aggregate_in_use", f"Rules in force ask for it: {used}.") from used
    except WrongAggregate as wrong:
        problem = wrong.problem
        place = {} if problem.place is None else problem.place._asdict()
        more = place | {"suggestions": list(problem.meant)} if place or problem.meant else {}
        raise Problem("field_invalid", problem.in_words, problem.member, extra=more) from wrong
    except InvalidRules as full:
        raise Problem("limit_reached", str(full)) from full


def _told(one: Aggregate, policy: Policy) -> AggregateAnswer:
    return AggregateAnswer(
        name=one.name,
        object="aggregate",
        asked_as=one.asked_as,
        schema=one.schema,
        by=list(one.by),
        function=one.function,
        of=one.of,
        window=one.window,
        where=one.where,
        description=one.description,
        archived=one.archived,
        used_by=list(aggregate_changes.rules_asking(policy, one)),
        policy_version=policy.version,
    )


TAG = "Aggregates"
_NAME = parameter(
    "aggregate_name", "path", "The aggregate's name.", {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,39}$"},
    required=True, example="bin_count_1h",
)  # fmt: skip
_NEW: Mapping[str, Any] = {
    "card": {
        "summary": "Payments over 100 by cards of one number range in an hour",
        "value": {
            "name": "bin_count_1h", "schema": "payments", "by": ["card_bin"], "function": "count", "window": "1h",
            "where": "amount > 100.0", "reason": "Cards are being tried.",
        },
    },
    "distinct": {
        "summary": "Merchants one device paid in a day",
        "value": {
            "name": "device_merchants_24h", "schema": "payments", "by": ["device_id"], "function": "distinct",
            "of": "merchant_id", "window": "24h",
        },
    },
}  # fmt: skip
_ARCHIVE = {"why": {"summary": "Why", "value": {"reason": "No rule asks for it any more."}}}
_ONE = Answer(AggregateAnswer, "The aggregate.")
_CHANGES = (*WITH_A_BODY, "field_invalid")
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG, "GET", "/v1/aggregates", "listAggregates", "List aggregates",
        "What is counted for your rules beside what always is, archived ones included.",
        Answer(AggregateList, "The aggregates."),
    ),
    operation(
        TAG, "POST", "/v1/aggregates", "createAggregate", "Have something counted",
        "It becomes part of a newly published policy, is counted from the next request on in both modes, and rules ask "
        f"for it as `aggregates.NAME`. Up to {MOST_COUNTED} of one kind of transaction, {MOST_KEPT} with archived "
        f"ones; of one party the newest {LOOKED_AT} transactions are looked at. The transaction that is decided is not "
        "counted itself. What can't be counted is refused with the member, of a condition with `line`, `column`, "
        "`offset` and `suggestions`.",
        _ONE, "admin", body=Body(NewAggregate, dict(_NEW)), problems=(*_CHANGES, "name_taken", "limit_reached"),
    ),
    operation(
        TAG, "GET", "/v1/aggregates/{aggregate_name}", "getAggregate", "Read an aggregate",
        "As the policy in force has it.", _ONE, parameters=(_NAME,), problems=("not_found",),
    ),
    operation(
        TAG, "POST", "/v1/aggregates/{aggregate_name}/archive", "archiveAggregate", "Archive an aggregate",
        "It is neither counted nor asked for any more. Its name is not given again: decisions made by it keep their "
        "meaning. Refused (409) while live or shadow rules ask for it.",
        _ONE, "admin", parameters=(_NAME,), body=Body(ArchiveAggregate, _ARCHIVE),
        problems=(*_CHANGES, "not_found", "aggregate_in_use"),
    ),
)  # fmt: skip
