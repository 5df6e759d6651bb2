"""ingest: what others send to be stored. Owns the quality of transactions by day, and predictions made elsewhere.

Hands on: `quality` (pure), `quality_days`, `predictions`. Never: scores or stores a transaction itself: one is
stored with the decision made on it.
"""
