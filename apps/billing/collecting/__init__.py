"""Money comes and goes back: the payment provider, payments, refunds, and the provider's events."""
