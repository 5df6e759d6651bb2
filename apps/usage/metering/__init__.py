"""Metering: the journal, usage events in Postgres, and units added up from them."""
