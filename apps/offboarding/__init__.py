"""offboarding: how one goes. Owns exports of everything a tenant has, its closing (grace, undoing, removal), the
removal of one person's data and of what is old.

Hands on: `closing`, `erasures`, `exports`, `leaving`, `retention`. Never: keeps what was promised to be removed, or
removes the money's books.
"""
