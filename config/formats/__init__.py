"""How Django writes dates and times on pages: as `apps/formats.py` does, the day first and 24 hours."""
