"""imports: what people bring along from where they were before: event types, rules, outcomes, lists and labels of
Amazon Fraud Detector, rules and lists of Stripe Radar.

Owns: reading their languages (one grammar, two ways to ask), the tables of what their words are called here, and the
report of what was carried over, what was changed by it, what was left out and why. Hands on: a plan, which is shown
first and then applied: rules as drafts, lists with their items, labels. Never: publishes a policy.
"""
