"""simulation: what a policy would have decided on a tenant's own decisions of a span, before it is published.

Owns simulations and their flips (a tenant's tables). Hands on: `services` (start, read, run), `tally` and `curves`
(pure). Never: changes a decision, asks a model or the history, or lets a rule see what was learned later: labels judge
what came out, nothing else.
"""
