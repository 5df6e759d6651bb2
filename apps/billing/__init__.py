"""billing: what is promised and what is owed. Five wings, each importing only from those above it:

    rating          plans, pricing, money; pure
    subscriptions   what is agreed, its timeline, allowances for the gate, the test clock
    receivables     unpaid invoices: retries (dunning) and what they make of a tenant (delinquency)
    invoicing       invoices, credits, credit notes, their documents
    collecting      the payment provider, payments, refunds, the provider's events

Hands on: `rating.pricing.statement`, `subscriptions.services.allowance`, `invoicing.invoices.issue_invoice`,
`invoicing.credits.grant`. Never: knows keys, decisions or how usage is counted; quantities are handed to it, and
`subscriptions.signals` tells whoever listens.
"""
