"""Closing months: usage added up and handed to billing, by the real clock or a tenant's test clock."""
