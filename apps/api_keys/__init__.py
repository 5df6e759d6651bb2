"""api_keys: what a caller may do. Owns the key format, digests, scopes, allow-lists and the gate (one Lua call).

Hands on: `keys.parse`, `services`, `gate.Gate`. Never: knows plans (limits are handed to it) or what is scored.
"""
