"""own_models: the models a tenant has of its own. Owns their training (in a process of its own, `train_own_model`),
their states from candidate to champion and back, what they need to know of the parties in Valkey, and their weekly
retraining.

Hands on: `services` (ask, read, shadow, promote, retire), `tasks`. Never: imports what trains, or lets a tenant's
decision near another's model.
"""
