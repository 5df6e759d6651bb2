"""accounts: who our customers are. Owns tenants, their domains, users, memberships and the audit trail (all `public`).

Hands on: `Tenant`, `in_tenant`, `create_tenant`, `record_audit` (the trail's one writer). Never: knows of keys, plans,
usage or decisions.
"""
