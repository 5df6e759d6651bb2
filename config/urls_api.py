"""The scoring API's addresses. Each works with and without a trailing slash."""

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, re_path

from apps.api import documentation, index
from apps.api.account_usage import AccountUsageView
from apps.api.aggregates import AggregatesView, AggregateView, ArchiveAggregateView
from apps.api.alert_channels import AlertChannelsView, AlertChannelTestView, AlertChannelView
from apps.api.alert_rules import (
    AlertRulesView,
    AlertRuleTestView,
    AlertRuleView,
)
from apps.api.alerts import (
    AcknowledgeAlertView,
    AlertsView,
    AlertView,
    FraudAlertView,
    HistoryView,
    OpenAlertsView,
    ResolveAlertView,
    SystemAlertView,
)
from apps.api.analytics import (
    DriftView,
    EntitiesView,
    FraudTrendsView,
    GatewayDistributionView,
    GatewayPerformanceView,
    ModelPerformanceView,
    PatternsView,
    RiskDistributionView,
    RulesView,
    TransactionPatternsView,
    TrendsView,
)
from apps.api.batch_results import BatchProblemsView, BatchResultsView
from apps.api.batches import (
    BatchesView,
    CancelBatchView,
    ResumeBatchView,
)
from apps.api.batches import BatchView as OneBatchView
from apps.api.budgets import BudgetView
from apps.api.case_graph import CaseGraphView
from apps.api.case_records import CaseAttachmentsView, CaseAttachmentView, CaseNotesView
from apps.api.cases import (
    AssignCaseView,
    CasesView,
    CaseView,
    ClaimCaseView,
    NextCaseView,
    ReleaseCaseView,
    ResolveCaseView,
)
from apps.api.counterfactuals import AdverseActionView, CounterfactualsView
from apps.api.credits import CreditsView
from apps.api.data_quality import DataQualityView
from apps.api.decisions import BatchView, DecisionsView, DecisionView, ExplanationView
from apps.api.dialects import (
    AvailableModelsView,
    CommercialBatchView,
    DetectView,
    EnsembleView,
    EnterpriseBatchView,
    GatewayView,
    PredictView,
)
from apps.api.entities import EntityView, ErasuresView, ErasureView, RetentionView
from apps.api.imports import ImportsView
from apps.api.incidents import IncidentsView, public_feed, public_status
from apps.api.invoices import CreditNoteView, InvoicesView, InvoiceView
from apps.api.jobs import JobsView, JobView
from apps.api.labels import LabelsView, LabelView
from apps.api.list_files import ListExportView, ListImportStateView, ListImportView
from apps.api.list_items import ListItemsView, ListItemView, RemoveListItemsView
from apps.api.lists import ListsView, ListView
from apps.api.model_list import ModelsView
from apps.api.monitoring import OverviewView, ServicesStatusView, ServicesView
from apps.api.own_models import (
    OwnModelsView,
    OwnModelView,
    PromoteView,
    RetireView,
    RetrainingView,
    ShadowView,
    StabilityView,
    TrainView,
)
from apps.api.payments import PaymentMethodView, PortalView, StripeWebhookView
from apps.api.plans import PlansView
from apps.api.policies import PoliciesView, PolicyDiffView, PolicyRollBackView, PolicyView
from apps.api.predictions import GatewayPredictionsView, PredictionsView
from apps.api.replays import ReplayView
from apps.api.review_queues import QueuesView, QueueView
from apps.api.rules import CheckRuleView, EndSnoozeView, RuleHistoryView, RuleView, SnoozesView
from apps.api.rules import RulesView as OwnRulesView
from apps.api.simulations import FlipsView, SimulateView, SimulationsView, SimulationView
from apps.api.sla import SlaMonthView, SlaView
from apps.api.stripe_guard import ScreenView, ScreenWebhookView, StripeAccountView
from apps.api.subscription import SubscriptionView
from apps.api.tokens import TokenView
from apps.api.transactions import GatewayTransactionsView, TransactionExportView, TransactionsView
from apps.api.usage import DailyUsageView, UsageView
from apps.api.webhooks import (
    WebhookDeliveriesView,
    WebhookDeliveryView,
    WebhookReplayView,
    WebhookRotateView,
    WebhooksView,
    WebhookTestView,
    WebhookView,
)
from config import health

ID = r"(?P<decision_id>[A-Za-z0-9_-]{1,64})"
LIST = r"(?P<list_name>[^/]+)"
LIST_IMPORT = r"(?P<import_id>[A-Za-z0-9_-]{1,64})"
ITEM = r"(?P<item_id>[A-Za-z0-9_-]{1,64})"
MODEL = r"(?P<model_id>[A-Za-z0-9_-]{1,64})"
VERSION = r"(?P<policy_version>[A-Za-z0-9_-]{1,64})"
SIMULATION = r"(?P<simulation_id>[A-Za-z0-9_-]{1,64})"
LABEL = r"(?P<label_id>[A-Za-z0-9_-]{1,64})"
KIND, ENTITY = r"(?P<kind>[^/]+)", r"(?P<entity_id>[^/]+)"
ERASURE = r"(?P<erasure_id>[A-Za-z0-9_-]{1,64})"
INTENT = r"(?P<intent_id>pi_[A-Za-z0-9]{1,60})"
MONTH = r"(?P<month>[^/.]+)"
WEBHOOK = r"(?P<webhook_id>[A-Za-z0-9_-]{1,64})"
INVOICE = r"(?P<invoice_id>[A-Za-z0-9_-]{1,64})"
NOTE = r"(?P<note_id>[A-Za-z0-9_-]{1,64})"
ALERT = r"(?P<alert_id>[A-Za-z0-9_-]{1,64})"
RULE = r"(?P<rule_id>[A-Za-z0-9_-]{1,64})"
AGGREGATE = r"(?P<aggregate_name>[a-z][a-z0-9_]{0,39})"
OWN_RULE = r"(?P<rule_name>[A-Za-z0-9_.:-]{1,64})"
CHANNEL = r"(?P<channel_id>[A-Za-z0-9_-]{1,64})"
BATCH = r"(?P<batch_id>[A-Za-z0-9_-]{1,64})"
CASE = r"(?P<case_id>[A-Za-z0-9_-]{1,64})"
ATTACHMENT = r"(?P<attachment_id>[A-Za-z0-9_-]{1,64})"
QUEUE = r"(?P<queue_id>[A-Za-z0-9_-]{1,64})"
DELIVERY = r"(?P<delivery_id>[A-Za-z0-9_-]{1,64})"


def at(path: str, view: Callable[..., Any]) -> URLPattern:
    return re_path(rf"^{path}/?$", view)


urlpatterns = [
    at("v1/decisions", DecisionsView.as_view()),
    at("v1/decisions/batch", BatchView.as_view()),
    at(f"v1/decisions/{ID}", DecisionView.as_view()),
    at(f"v1/decisions/{ID}/explanation", ExplanationView.as_view()),
    at(rf"v1/decisions/{ID}/(?P<drawn>explanation\.svg)", ExplanationView.as_view()),
    at("v1/cases", CasesView.as_view()),
    at("v1/cases/next", NextCaseView.as_view()),
    at(f"v1/cases/{CASE}", CaseView.as_view()),
    at(f"v1/cases/{CASE}/claim", ClaimCaseView.as_view()),
    at(f"v1/cases/{CASE}/release", ReleaseCaseView.as_view()),
    at(f"v1/cases/{CASE}/assign", AssignCaseView.as_view()),
    at(f"v1/cases/{CASE}/notes", CaseNotesView.as_view()),
    at(f"v1/cases/{CASE}/attachments", CaseAttachmentsView.as_view()),
    at(f"v1/cases/{CASE}/resolve", ResolveCaseView.as_view()),
    at(f"v1/cases/{CASE}/graph", CaseGraphView.as_view()),
    at(f"v1/case-attachments/{ATTACHMENT}", CaseAttachmentView.as_view()),
    at("v1/review-queues", QueuesView.as_view()),
    at(f"v1/review-queues/{QUEUE}", QueueView.as_view()),
    at(f"v1/decisions/{ID}/counterfactuals", CounterfactualsView.as_view()),
    at(f"v1/decisions/{ID}/adverse-action", AdverseActionView.as_view()),
    at(f"v1/decisions/{ID}/replay", ReplayView.as_view()),
    at("v1/policies", PoliciesView.as_view()),
    at("v1/policies/simulate", SimulateView.as_view()),
    at("v1/simulations", SimulationsView.as_view()),
    at(f"v1/simulations/{SIMULATION}", SimulationView.as_view()),
    at(f"v1/simulations/{SIMULATION}/flips", FlipsView.as_view()),
    at(f"v1/policies/{VERSION}", PolicyView.as_view()),
    at(f"v1/policies/{VERSION}/diff", PolicyDiffView.as_view()),
    at(f"v1/policies/{VERSION}/rollback", PolicyRollBackView.as_view()),
    at("v1/labels", LabelsView.as_view()),
    at(f"v1/labels/{LABEL}", LabelView.as_view()),
    at("v1/lists", ListsView.as_view()),
    at(f"v1/lists/{LIST}", ListView.as_view()),
    at(f"v1/lists/{LIST}/items", ListItemsView.as_view()),
    at(f"v1/lists/{LIST}/items/remove", RemoveListItemsView.as_view()),
    at(f"v1/lists/{LIST}/items/{ITEM}", ListItemView.as_view()),
    at(f"v1/lists/{LIST}/import", ListImportView.as_view()),
    at(f"v1/lists/{LIST}/imports/{LIST_IMPORT}", ListImportStateView.as_view()),
    at(f"v1/lists/{LIST}/export", ListExportView.as_view()),
    at("v1/transactions", TransactionsView.as_view()),
    at("v1/transactions/export", TransactionExportView.as_view()),
    at("v1/predictions", PredictionsView.as_view()),
    at("v1/data-quality", DataQualityView.as_view()),
    at(rf"v1/entities/{KIND}/{ENTITY}", EntityView.as_view()),
    at("v1/erasures", ErasuresView.as_view()),
    at(f"v1/erasures/{ERASURE}", ErasureView.as_view()),
    at("v1/retention", RetentionView.as_view()),
    at("v1/analytics/trends", TrendsView.as_view()),
    at("v1/analytics/patterns", PatternsView.as_view()),
    at("v1/analytics/risk-distribution", RiskDistributionView.as_view()),
    at("v1/analytics/model-performance", ModelPerformanceView.as_view()),
    at("v1/analytics/rules", RulesView.as_view()),
    at("v1/analytics/entities", EntitiesView.as_view()),
    at("v1/analytics/drift", DriftView.as_view()),
    at("v1/batches", BatchesView.as_view()),
    at(f"v1/batches/{BATCH}", OneBatchView.as_view()),
    at(f"v1/batches/{BATCH}/results", BatchResultsView.as_view()),
    at(f"v1/batches/{BATCH}/problems", BatchProblemsView.as_view()),
    at(f"v1/batches/{BATCH}/cancel", CancelBatchView.as_view()),
    at(f"v1/batches/{BATCH}/resume", ResumeBatchView.as_view()),
    at("jobs", JobsView.as_view()),
    at(r"jobs/(?P<job_id>[^/]+)", JobView.as_view()),
    at("v1/auth/token", TokenView.as_view()),
    at("v1/models", ModelsView.as_view()),
    at("v1/models/train", TrainView.as_view()),
    at("v1/models/own", OwnModelsView.as_view()),
    at("v1/models/retraining", RetrainingView.as_view()),
    at(f"v1/models/{MODEL}", OwnModelView.as_view()),
    at(f"v1/models/{MODEL}/stability", StabilityView.as_view()),
    at(f"v1/models/{MODEL}/shadow", ShadowView.as_view()),
    at(f"v1/models/{MODEL}/promote", PromoteView.as_view()),
    at(f"v1/models/{MODEL}/retire", RetireView.as_view()),
    at("v1/usage", UsageView.as_view()),
    at("v1/usage/daily", DailyUsageView.as_view()),
    at("v1/budgets", BudgetView.as_view()),
    at("account/usage", AccountUsageView.as_view()),
    at("v1/plans", PlansView.as_view()),
    at("v1/subscription", SubscriptionView.as_view()),
    at("v1/invoices", InvoicesView.as_view()),
    at(f"v1/invoices/{INVOICE}", InvoiceView.as_view()),
    at(rf"v1/invoices/{INVOICE}\.(?P<drawn>pdf)", InvoiceView.as_view()),
    at(rf"v1/invoices/{INVOICE}\.(?P<drawn>html)", InvoiceView.as_view()),
    at(f"v1/credit-notes/{NOTE}", CreditNoteView.as_view()),
    at(rf"v1/credit-notes/{NOTE}\.(?P<drawn>pdf)", CreditNoteView.as_view()),
    at(rf"v1/credit-notes/{NOTE}\.(?P<drawn>html)", CreditNoteView.as_view()),
    at("v1/credits", CreditsView.as_view()),
    at("v1/imports", ImportsView.as_view()),
    at("v1/sla", SlaView.as_view()),
    at(rf"v1/sla/{MONTH}", SlaMonthView.as_view()),
    at(rf"v1/sla/{MONTH}\.(?P<drawn>pdf)", SlaMonthView.as_view()),
    at("v1/incidents", IncidentsView.as_view()),
    at("status", public_status),
    at(r"status\.atom", public_feed),
    at("v1/payment-method", PaymentMethodView.as_view()),
    at("v1/payment-method/portal", PortalView.as_view()),
    at("v1/stripe/account", StripeAccountView.as_view()),
    at(f"v1/stripe/payment-intents/{INTENT}/screen", ScreenView.as_view()),
    at("stripe/webhook", StripeWebhookView.as_view()),
    at(r"stripe/screen/(?P<handle>[0-9a-z]{6})/(?P<mode>live|test)", ScreenWebhookView.as_view()),
    at("v1/webhooks", WebhooksView.as_view()),
    at(f"v1/webhooks/{WEBHOOK}", WebhookView.as_view()),
    at(f"v1/webhooks/{WEBHOOK}/rotate", WebhookRotateView.as_view()),
    at(f"v1/webhooks/{WEBHOOK}/test", WebhookTestView.as_view()),
    at(f"v1/webhooks/{WEBHOOK}/deliveries", WebhookDeliveriesView.as_view()),
    at(f"v1/webhook-deliveries/{DELIVERY}", WebhookDeliveryView.as_view()),
    at(f"v1/webhook-deliveries/{DELIVERY}/replay", WebhookReplayView.as_view()),
    at("v1/alerts", AlertsView.as_view()),
    at(f"v1/alerts/{ALERT}", AlertView.as_view()),
    at(f"v1/alerts/{ALERT}/acknowledge", AcknowledgeAlertView.as_view()),
    at(f"v1/alerts/{ALERT}/resolve", ResolveAlertView.as_view()),
    at("v1/rules", OwnRulesView.as_view()),
    at("v1/rules/validate", CheckRuleView.as_view()),
    at(f"v1/rules/{OWN_RULE}", RuleView.as_view()),
    at(f"v1/rules/{OWN_RULE}/history", RuleHistoryView.as_view()),
    at(f"v1/rules/{OWN_RULE}/snoozes", SnoozesView.as_view()),
    at(f"v1/rules/{OWN_RULE}/snoozes/end", EndSnoozeView.as_view()),
    at("v1/aggregates", AggregatesView.as_view()),
    at(f"v1/aggregates/{AGGREGATE}", AggregateView.as_view()),
    at(f"v1/aggregates/{AGGREGATE}/archive", ArchiveAggregateView.as_view()),
    at("v1/alert-rules", AlertRulesView.as_view()),
    at(f"v1/alert-rules/{RULE}", AlertRuleView.as_view()),
    at(f"v1/alert-rules/{RULE}/test", AlertRuleTestView.as_view()),
    at("v1/alert-channels", AlertChannelsView.as_view()),
    at(f"v1/alert-channels/{CHANNEL}", AlertChannelView.as_view()),
    at(f"v1/alert-channels/{CHANNEL}/test", AlertChannelTestView.as_view()),
    at("fraud-alert", FraudAlertView.as_view()),
    at("system-alert", SystemAlertView.as_view()),
    at("history", HistoryView.as_view()),
    at("alerts", OpenAlertsView.as_view()),
    at("predict", PredictView.as_view()),
    at("predict/batch", CommercialBatchView.as_view()),
    at("batch-predict", EnterpriseBatchView.as_view()),
    at("api/v1/score", GatewayView.as_view()),
    at("services/status", ServicesStatusView.as_view()),
    at("services", ServicesView.as_view()),
    at("overview", OverviewView.as_view()),
    at("transactions", GatewayTransactionsView.as_view()),
    at("predictions", GatewayPredictionsView.as_view()),
    at("fraud-trends", FraudTrendsView.as_view()),
    at("transaction-patterns", TransactionPatternsView.as_view()),
    at("risk-distribution", GatewayDistributionView.as_view()),
    at("model-performance", GatewayPerformanceView.as_view()),
    at("models", AvailableModelsView.as_view()),
    at("detect", DetectView.as_view()),
    at("detect/ensemble", EnsembleView.as_view()),
    at("", index.index),
    at("health", health.health),
    at("ready", health.ready),
    at("metrics", health.metrics),
    at("openapi.json", documentation.openapi),
    at("docs", documentation.swagger),
    at("redoc", documentation.redoc),
    at("docs/errors", documentation.errors),
    at("docs/fields", documentation.fields),
    at("docs/models", documentation.models),
]
handler400 = "apps.api.problems.bad_request"
handler404 = "apps.api.index.not_found"
handler500 = "apps.api.problems.server_error"
