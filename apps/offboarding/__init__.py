"""offboarding: how one goes. Owns exports of everything a tenant has, and its closing: grace, undoing, removal.

Hands on: `closing`, `exports`, `leaving`. Never: keeps what was promised to be removed, or removes the money's books.
"""
