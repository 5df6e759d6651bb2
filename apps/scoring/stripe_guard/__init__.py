"""A tenant's own Stripe payments, screened: the account, the mapping, what is cancelled."""
