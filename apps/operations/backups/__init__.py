"""Backups: one sealed file each, made while everything runs, restored elsewhere.

* `sealed_file`: AES-256-GCM in frames (pure); `archive`: named contents in such a file, a tar stream (pure)
* `postgres`: pg_dump and pg_restore; `memory`: what of Valkey can't be made anew; `tenant_rows`: a tenant's in `public`
* `making`, `restoring`: the two stories; `manifest`: what a backup says of itself; `keeping`: what has had its time
"""
