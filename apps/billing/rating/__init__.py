"""Pricing of a month. Pure: plans and units in, lines and totals out."""
