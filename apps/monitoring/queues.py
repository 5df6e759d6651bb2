"""Names that the clock and /metrics share; nothing is imported here, for the clock loads nothing else."""

#: Celery's queues (config/celery.py; a test holds them together).
QUEUES = ("money", "heavy", "batches", "models")
#: The header in which a task says when it was asked for, in seconds since 1970.
ASKED_AT = "asked_at"
