"""What a month was used for and costs, for people: reads of the roll-ups, and budgets over them."""
