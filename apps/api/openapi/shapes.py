"""Answers the code builds as dicts, as structs: for their description only. Schemathesis holds them true."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from apps.api.tokens import Scope
from apps.scoring.engine.explain import Contribution, Reason
from apps.scoring.serving.decision_formats import MOST_A_BATCH, Timing

Units = Annotated[int, Meta(description="Billed units.")]
Remaining = Annotated[
    int,
    Meta(
        description="Units that can still be used this month: of the included ones, of what the spend cap pays for, or"
        " of what an account limited for not paying may use. With a payment method and no cap there is no end: then it"
        " says what is left of the included ones."
    ),
]
Decisions = Annotated[int, Meta(description="Decisions, billed or not.")]
Amount = Annotated[str, Meta(description="A decimal number in the tenant's currency.")]
Share = Annotated[str, Meta(description="Its share of `overage_cost`, by its units.")]
Day = Annotated[str, Meta(description="A day, UTC.", extra_json_schema={"format": "date"})]


class Problem(msgspec.Struct):
    """A refusal, RFC 9457. Read `code`; `detail` is for people."""

    type: Annotated[str, Meta(description="The page of this error.")]
    title: str
    status: int
    detail: str
    code: str
    param: Annotated[str | None, Meta(description="The field, parameter or header that is wrong.")]
    request_id: Annotated[str, Meta(description="Tell it to support.")]
    doc_url: str
    used: Annotated[int, Meta(description="With quota_exceeded: units used this month.")] | UnsetType = UNSET
    included: Annotated[int, Meta(description="With quota_exceeded: units the plan includes.")] | UnsetType = UNSET
    allowed: Annotated[int, Meta(description="With quota_exceeded: units within the spend cap.")] | UnsetType = UNSET
    required_scope: Annotated[str, Meta(description="With scope_missing.")] | UnsetType = UNSET


class RowProblem(msgspec.Struct):
    """Why a row was refused."""

    code: str
    title: str
    detail: str
    param: Annotated[str, Meta(description="Such as transactions[3].amount.")]


class RefusedRow(msgspec.Struct):
    """A row of a batch that could not be processed; it is not billed."""

    object: Literal["error"]
    row: Annotated[int, Meta(description="Its place in `transactions`, from 0.")]
    status: Literal["error"]
    billed_units: int
    error: RowProblem


class Counts(msgspec.Struct):
    """Rows by status."""

    new: int
    duplicate: int
    superseding: int
    error: int


class DecisionBatch(msgspec.Struct):
    """A batch answered: `data` in the order of `transactions`."""

    object: Literal["decision_batch"]
    total: int
    counts: Counts
    billed_units: Units
    timing_ms: Timing
    data: list[Any]


class DecisionPage(msgspec.Struct):
    """Decisions, newest first."""

    object: Literal["list"]
    data: list[Any]
    has_more: bool
    next_cursor: Annotated[str | None, Meta(description="Send it as `cursor` for the next page.")]


class ModelVersion(msgspec.Struct):
    """A model, exactly."""

    name: str
    version: str


class Explanation(msgspec.Struct):
    """base_value + all contributions = log_odds; probability is their sigmoid."""

    object: Literal["explanation"]
    decision: str
    transaction_id: str
    schema: str
    model: ModelVersion
    unit: Literal["log-odds"]
    base_value: Annotated[float, Meta(description="Of the schema's typical legitimate transaction.")]
    log_odds: float
    probability: float
    contributions: Annotated[list[Contribution], Meta(description="All of them, the largest first.")]


class Period(msgspec.Struct):
    """A billing month; `end` is not in it."""

    start: Day
    end: Day


class EndpointUsage(msgspec.Struct):
    """Usage of one endpoint."""

    endpoint: str
    units: Units
    decisions: Decisions
    cost: Share


class KeyUsage(msgspec.Struct):
    """Usage of one key."""

    key_id: int
    units: Units
    decisions: Decisions
    cost: Share


class MonthEstimate(msgspec.Struct):
    """The month at its end, if it goes on as it went."""

    units: Units
    cost: Amount
    method: Annotated[
        Literal["linear"],
        Meta(
            description="Units a second so far (over at least a day) for the rest of the month; not less than is used, "
            "not more than may be used."
        ),
    ]


class PlanCost(msgspec.Struct):
    """What the months would have come to on a plan."""

    plan: str
    cost: Amount


class CheapestPlan(msgspec.Struct):
    """The last whole months, three at most, on the plans sold today."""

    months: Annotated[list[str], Meta(description="Such as 2026-10.")]
    units: Units
    cost: Annotated[str, Meta(description="What they came to, before credits and tax.")]
    plan: Annotated[str, Meta(description="The cheapest one.")]
    saving: Amount
    text: str
    plans: list[PlanCost]


class Usage(msgspec.Struct):
    """The month so far, UTC. Live decisions; test decisions are counted apart."""

    object: Literal["usage"]
    period: Period
    plan: str
    rate_per_minute: int
    included: Annotated[int, Meta(description="Units the plan includes a month.")]
    used: Units
    remaining: Remaining
    decisions: Decisions
    degraded: Annotated[int, Meta(description="Decisions made while a part of ours was away; not billed.")]
    test_decisions: int
    average_response_ms: float | None
    currency: str
    fee: Annotated[str, Meta(description="The plan's fee for the month.")]
    overage_cost: Annotated[str, Meta(description="Units beyond the included ones, so far.")]
    cost_to_date: Annotated[str, Meta(description="fee + overage_cost, before credits and tax.")]
    month_estimate: MonthEstimate
    by_endpoint: list[EndpointUsage]
    by_key: list[KeyUsage]
    cheapest_plan: Annotated[CheapestPlan | None, Meta(description="null until a whole month is over.")]


class AccountUsage(msgspec.Struct):
    """The month so far in the Commercial interface. A request is a transaction sent for scoring with a live key."""

    total_requests: int
    successful_requests: int
    success_rate: Annotated[float, Meta(description="Percent.", ge=0, le=100)]
    average_response_ms: float | None
    included: int
    remaining: Remaining
    cost_to_date: float
    estimated_month_cost: float
    currency: str
    period: Annotated[str, Meta(description="The month, UTC: 2026-11.")]
    by_endpoint: Annotated[dict[str, int], Meta(description="Successful requests.")]


class BudgetStanding(msgspec.Struct):
    """How much of a limit is used."""

    budget: Literal["included", "spend_cap"]
    used: Annotated[str, Meta(description="Units, or money.")]
    limit: str
    unit: Annotated[str, Meta(description="`units`, or the currency.")]


class BudgetAlert(msgspec.Struct):
    """A threshold that was reached and told."""

    budget: Literal["included", "spend_cap"]
    threshold: Annotated[int, Meta(description="Percent.")]
    reached_at: Annotated[str, Meta(description="UTC.", extra_json_schema={"format": "date-time"})]


class Budget(msgspec.Struct):
    """The spend cap, and when you are told how far the month has come."""

    object: Literal["budget"]
    period: Annotated[str, Meta(description="The month, UTC: 2026-11.")]
    currency: str
    spend_cap: Annotated[str | None, Meta(description="The most a month may come to; null: no cap.")]
    thresholds: Annotated[list[int], Meta(description="Percentages of each of the two.")]
    standings: list[BudgetStanding]
    alerts: Annotated[list[BudgetAlert], Meta(description="Those of this month.")]


class UsageDay(msgspec.Struct):
    """Usage of one day."""

    date: Day
    units: Units
    decisions: Decisions
    degraded: int
    cost: Annotated[str, Meta(description="What the day added to its month's cost; the fee is apart.")]


class DailyUsage(msgspec.Struct):
    """Usage a day, oldest first; days without any are left out. `end` is not included."""

    object: Literal["list"]
    start: Day
    end: Day
    data: list[UsageDay]


class Token(msgspec.Struct):
    """A token in its key's place."""

    access_token: Annotated[str, Meta(description="Send it as `Authorization: Bearer …`.")]
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Meta(description="Seconds.")]
    expires_at: Annotated[str, Meta(description="UTC.", extra_json_schema={"format": "date-time"})]
    scopes: list[Scope]


class ModelList(msgspec.Struct):
    """Every schema's models, the champion first, and its ensemble."""

    object: Literal["list"]
    data: list[Any]


Rows = Annotated[list[Any], Meta(min_length=1, max_length=MOST_A_BATCH)]
Version = Annotated[str, Meta(max_length=80, description="v1: the champion. Or a model's name, or name@version.")]


class CommercialRequest(msgspec.Struct):
    """The Commercial interface's body."""

    transaction_data: Annotated[dict[str, Any], Meta(description="Any of the IEEE-CIS columns.")]
    model_version: Version | None = "v1"


class CommercialBatchRequest(msgspec.Struct):
    """Many transactions of the Commercial interface."""

    transactions: Rows
    model_version: Version | None = "v1"


class EnterpriseBatchRequest(msgspec.Struct):
    """Many transactions of the Enterprise interface."""

    transactions: Rows


class GatewayRequest(msgspec.Struct):
    """Transactions of the Gateway interface."""

    transactions: Rows


class HybridRequest(msgspec.Struct):
    """The Hybrid interface's body."""

    payload: Annotated[dict[str, Any], Meta(description="A PaySim transaction.")]


class HybridAnswer(msgspec.Struct):
    """What Hybrid clients read, and behind it what they never had."""

    fraud: bool
    model_used: Annotated[bool, Meta(description="false: a rule decided, or no model was there.")]
    model_prob: Annotated[float | None, Meta(description="Fraud probability, null when no model was used.")]
    id: str
    transaction_id: str
    recommended_action: str
    reasons: list[Reason]
    degraded: list[str]
    warnings: list[str]
    billed_units: Units
    reason: Annotated[str, Meta(description="black_hole_rule or another rule.")] | UnsetType = UNSET
    decision_threshold: float | UnsetType = UNSET


class DialectProblem(msgspec.Struct):
    """A refusal in the form of the older interfaces."""

    detail: str


class WrongField(msgspec.Struct):
    """One field of a body that is wrong."""

    loc: Annotated[list[str], Meta(description="body, and the field.")]
    msg: str
    type: Annotated[str, Meta(examples=["value_error.missing"])]


class DetectProblem(msgspec.Struct):
    """A refusal of the Multi-model interface: a sentence, or every field that is wrong."""

    detail: str | list[WrongField]


class Health(msgspec.Struct):
    """The process answers."""

    status: Literal["ok"]
    service: Literal["palisade"]


class Readiness(msgspec.Struct):
    """`degraded` still scores; `away` does not."""

    status: Literal["ready", "degraded", "away"]
    dependencies: (
        Annotated[dict[str, str], Meta(description="ok, away, or why a model was refused; told to operators.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    journal_entries: (
        Annotated[int | None, Meta(description="Decisions acknowledged and not yet recorded; told to operators.")]
        | msgspec.UnsetType
    ) = msgspec.UNSET
