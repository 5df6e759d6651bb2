"""Signals of api_keys; it knows no plans, who listens does."""

from apps.api_keys.models import ApiKey
from apps.listeners import Listeners

#: A key was made, and its row can be read by everybody.
key_created = Listeners[ApiKey]()
