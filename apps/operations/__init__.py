"""operations: keeping an installation. Owns backups (made, kept, restored) and what `manage.py doctor` finds.

Hands on: `backups.making`, `backups.restoring`, `doctor`. Never: changes what a tenant has, except by restoring it.
"""
