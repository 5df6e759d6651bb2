"""billing: what is promised and what is owed. Owns the plan table and subscriptions; pricing and invoices come here.

Hands on: `plans.PLANS`, `services.plan_for`. Never: knows keys, decisions or how usage is counted.
"""
