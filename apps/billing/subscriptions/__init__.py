"""Subscriptions: what is agreed with a tenant, when it holds, and what follows for the gate."""
