"""Receivables: what is still owed, and what becomes of a tenant that does not pay."""
