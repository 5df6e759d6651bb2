"""sla: what was promised of the service's availability, and whether it was kept. Owns probes, incidents, maintenance
windows, counted failures, burn-rate alerts and the tenants' monthly statements.

Hands on: `evaluation` (a tenant's months), `status` (what everybody may see), `failures.note`. Never: changes an
invoice; a credit is granted by billing.
"""
