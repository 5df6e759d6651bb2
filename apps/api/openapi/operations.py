"""Every operation of the API: the rows that stand beside the views, in the order they are read. A new resource gets its
name here."""

from collections.abc import Sequence

from apps.api import (
    account_usage,
    alert_rules,
    alerts,
    analytics,
    batches,
    budgets,
    cases,
    credits,
    data_quality,
    decisions,
    dialects,
    entities,
    incidents,
    invoices,
    jobs,
    labels,
    lists,
    model_list,
    monitoring,
    payments,
    plans,
    predictions,
    review_queues,
    rules,
    service,
    sla,
    stripe_guard,
    subscription,
    tokens,
    transactions,
    usage,
    webhooks,
)
from apps.api.operation import Operation

RESOURCES = (
    decisions,
    batches,
    cases,
    review_queues,
    labels,
    lists,
    transactions,
    predictions,
    data_quality,
    entities,
    analytics,
    tokens,
    usage,
    budgets,
    account_usage,
    model_list,
    dialects,
    jobs,
    monitoring,
    service,
    plans,
    subscription,
    invoices,
    credits,
    payments,
    stripe_guard,
    sla,
    incidents,
    webhooks,
    alerts,
    alert_rules,
    rules,
)
OPERATIONS: Sequence[Operation] = tuple(row for resource in RESOURCES for row in resource.OPERATIONS)

TAGS = {
    "Keys": "Short-lived tokens in a key's place.",
    "Decisions": "Score transactions and read the decisions.",
    "Batches": "Files of transactions: scored in the background, each row once and billed once, with their results.",
    "Review": "Decisions that ask for a person: who works on which of them, what is around them, what came of them.",
    "Rules": "Your own rules: written in CEL, counted as shadows before they decide, each step a policy of its own.",
    "Labels": "What became of transactions: models are measured by it.",
    "Lists": "Cards, users, addresses and more that rules ask for by a list's name.",
    "Transactions": "Transactions sent to be stored, the quality of their data, and predictions made elsewhere.",
    "Data": "How data goes: one person's, and what is old.",
    "Analytics": "What decisions say together, from roll-ups kept with each of them.",
    "Models": "Who decides, and what it is worth.",
    "Usage": "What was used, and what the plan includes.",
    "Older interfaces": 'Published earlier, kept working. Their errors are {"detail": …}.',
    "Service": "For load balancers, monitoring and readers. No key.",
    "Billing": "Plans, the subscription, invoices and credits. Amounts are decimal strings, times UTC, months calendar "
    "months.",
    "Payments": "The payment method of your account, entered on pages of the payment provider; and a guard for the "
    "payments of your own Stripe account: risky ones are cancelled before they go through.",
    "Availability": "What was promised of the service, what was measured, and how it is now.",
    "Alerts": "What you are to look at: kept, counted while it goes on, sent by e-mail, webhook and chat, resolved by "
    "itself.",
    "Webhooks": "Your servers are told what happens, signed by [Standard Webhooks](https://www.standardwebhooks.com): "
    "verify `webhook-id`, `webhook-timestamp` and `webhook-signature` with its library in your language. Anything but "
    "a 2xx within 15 seconds is tried again, ten times in 75 hours.",
}
