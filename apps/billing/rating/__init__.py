"""What a month costs. Pure: plans and units in, lines and totals out."""
