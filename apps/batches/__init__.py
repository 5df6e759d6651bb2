"""Batches: files of transactions read, scored and written, chunk by chunk, never held whole.

It owns how a file is read (CSV, JSON Lines, Parquet), how its columns are matched to a schema's fields, what is wrong
with which row, and how results are written; it hands on blocks for the engine and rows for people. Reading, matching
and writing are pure: no Django, no stores.
"""
