"""analytics: what a tenant's decisions say together. Reads roll-ups and labels; owns no table.

Hands on: `trends`, `patterns`, `distribution`, `rules`, `parties`, `performance`, `drift`, each one struct,
for the API and the portal alike. Never: reads every decision of a span, or writes.
"""
