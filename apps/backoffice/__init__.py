"""backoffice: the operators' admin, a face over the rooms. One file a subject; `site.py` holds the site and its menu.

Hands on: nothing. Never: changes a row that a service changes; a page asks, calls the service, and shows what it said.
"""
