"""From the journal into Postgres: the recorder, and what Valkey missed while it was away."""
