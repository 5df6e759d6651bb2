"""billing: what is promised and what is owed. Owns plans, pricing, subscriptions, invoices, credits and payments.

Hands on: `pricing.statement`, `services.allowance`, `invoices.issue_invoice`, `credits.grant`. Never: knows keys,
decisions or how usage is counted; quantities are handed to it, and `changes` tells whoever listens.
"""
