"""Statements: what a month was used for and costs; reads of the roll-ups, and budgets over them."""
