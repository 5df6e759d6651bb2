"""Client address, host names and TLS of a request."""

from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest

from apps import addresses, card_numbers
from apps.errors import Problem

#: Host headers remembered as checked (a wildcard setting allows any number).
MOST_HOSTS = 1_000
_hosts: set[str] = set()


def client_address(meta: dict[str, Any]) -> str:
    """Who is calling, as far as our own proxies say."""
    return addresses.client_address(meta, settings.TRUSTED_PROXIES)


def check_host(request: HttpRequest) -> None:
    """Only hosts of PALISADE_ALLOWED_HOSTS are answered: a rebound DNS name must not act for the demo tenant.

    Where we stand behind TLS, only what came through it: a key is not to be sent to us in the open and be answered.
    """
    if settings.SECURE_SSL_REDIRECT and not addresses.came_over_tls(request.META, settings.TRUSTED_PROXIES):
        raise Problem("tls_required")
    host = request.META.get("HTTP_HOST", "")
    if host in _hosts:
        return
    try:
        request.get_host()
    except DisallowedHost as stranger:
        raise Problem(
            "header_invalid", f"The host '{card_numbers.cut(host, 100)}' is not one of ours.", "Host"
        ) from stranger
    if len(_hosts) < MOST_HOSTS:
        _hosts.add(host)
