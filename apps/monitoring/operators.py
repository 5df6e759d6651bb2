"""Who may look: operators, by their networks or their token."""

from collections.abc import Mapping
from hmac import compare_digest
from typing import Any

from django.conf import settings

from apps import addresses


def asks_an_operator(meta: Mapping[str, Any]) -> bool:
    """Whether it comes from the operators' networks or with their token. What a proxy here forwards isn't from here."""
    value = meta.get("HTTP_AUTHORIZATION", "").encode()
    if settings.METRICS_TOKEN and compare_digest(value, f"Bearer {settings.METRICS_TOKEN}".encode()):
        return True
    address = addresses.client_address(meta, settings.TRUSTED_PROXIES)
    forwarded = addresses.inside(address, addresses.LOOPBACK) and addresses.was_forwarded(meta)
    return addresses.inside(address, settings.OPERATOR_NETWORKS) and not forwarded
