"""Formats of dates and times on pages: as `apps/formats.py` writes them, the day first and 24 hours."""
