"""A webhook never leads into our own network, whatever its address says or its name resolves to."""

import ipaddress
import socket
from typing import Any

import pytest

from apps.notifications import hooks
from apps.notifications.targets import NotAllowed, may_call, parse, resolve
from tests.notifications.receiver import Receiver

OURS = [ipaddress.ip_network("127.0.0.0/8")]

PRIVATE = [
    "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1",  # noqa: S104
    "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fc00::1", "fe80::1", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:0:7f00:1::", "::127.0.0.1", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_called(address: str) -> None:
    assert not may_call(ipaddress.ip_address(address), [], https=True)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_called_by_tls_alone(address: str) -> None:
    assert may_call(ipaddress.ip_address(address), [], https=True)
    assert not may_call(ipaddress.ip_address(address), OURS, https=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "https://u:p@example.com/", "https://u@example.com/",
        "https://example.com/#part", "https://exa mple.com/", "https://example.com:99999/", "https://[::1]/",
        "https://127.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://[::ffff:10.0.0.1]/", "//example.com",
        "https://exämple.com/", "https://example.com/\r\nX: y", "https://example.com/" + "x" * 2_048, "",
        "javascript:1",
    ],
)  # fmt: skip
def test_urls_that_can_not_be(url: str) -> None:
    with pytest.raises(NotAllowed):
        parse(url, [])


def test_url_is_taken_apart() -> None:
    target = parse("https://Example.com:8443/a/b?c=d", [])
    assert (target.https, target.host, target.port, target.path) == (True, "example.com", 8443, "/a/b?c=d")
    assert parse("https://example.com", []).path == "/"
    assert parse("http://127.0.0.1:80/", OURS).https is False


@pytest.mark.parametrize("name", ["localhost", "0x7f.1", "2130706433", "127.1"])
def test_names_that_lead_home_are_found_out_when_resolved(name: str) -> None:
    with pytest.raises(NotAllowed, match="may not be called"):
        resolve(parse(f"https://{name}/", []), [])


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("8.8.8.8", "10.0.0.1"))
    with pytest.raises(NotAllowed, match=r"10\.0\.0\.1"):
        resolve(parse("https://two.example/", []), [])


def test_name_is_resolved_once_and_that_address_is_called(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second answer of the name server (DNS rebinding) is never asked for."""
    asked: list[str] = []

    def once(host: str, port: int, *_: Any, **__: Any) -> Any:
        asked.append(host)
        return resolving_to("127.0.0.1")(host, port)

    monkeypatch.setattr("apps.notifications.targets.socket.getaddrinfo", once)
    outcome = hooks.post(f"http://rebinding.example:{receiver.port}/x", b"{}", {}, OURS)
    assert outcome.delivered, outcome
    assert [host for host in asked if host != "127.0.0.1"] == ["rebinding.example"]
    assert receiver.received[0].headers["host"] == f"rebinding.example:{receiver.port}"


def test_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answering(302, Location="http://169.254.169.254/")
    outcome = hooks.post(receiver.url, b"{}", {}, OURS)
    assert (outcome.delivered, outcome.status, len(receiver.received)) == (False, 302, 1)


def resolving_to(*addresses: str) -> Any:
    return lambda host, port, *_, **__: [(2, 1, 6, "", (address, port)) for address in addresses]
