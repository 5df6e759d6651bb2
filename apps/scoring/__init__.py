"""scoring: one transaction in, one decision out. Owns the engine, dialects, activity, decisions, the recorder.

Hands on: nothing; it stands at the top of the house. Never: imports billing, or answers before the journal has it.
"""
