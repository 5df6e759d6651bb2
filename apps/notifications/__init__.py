"""notifications: telling people and their servers what happened. Owns the outbox, e-mail, signed webhooks, delivery.

Hands on: `services.notify`, the webhooks' services. Never: knows why something is told, or reads another room's rows.
"""
