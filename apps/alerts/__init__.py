"""alerts: what a tenant is to look at, and whom it is told to. Owns rules, alerts, when they are sent and escalated.

Hands on: `services` (tell, acknowledge, resolve), `rules`, `evaluation.evaluate`. Never: sends anything by itself; the
outbox of notifications does.
"""
