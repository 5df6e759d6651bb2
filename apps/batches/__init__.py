"""batches: files of transactions, scored in chunks by as many workers as there are, each row once and billed once.

Owns how a file is read (CSV, JSON Lines, Parquet), how its columns are matched to a schema's fields, what is wrong with
which row, how results are written (all of that pure: no Django, no stores); and the jobs, their chunks and files. Hands
on: `services`, and `tasks` to whoever queues them. Never: holds a file in memory, or scores a row without its unit
reserved at the gate.
"""
