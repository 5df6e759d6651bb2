"""A webhook never leads into our own network, whatever its address says or its name resolves to."""

import ipaddress
import socket

import pytest

from apps.notifications import hooks
from apps.notifications.targets import LookUp, NotAllowed, Unreachable, may_call, parse, resolve
from tests.notifications.receiver import Receiver

OURS = [ipaddress.ip_network("127.0.0.0/8")]

PRIVATE = [
    "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",  # noqa: S104
    "192.0.2.1",
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
        "javascript:1", "https://example.com:0/", "https://example.com:-1/", "https://example.com:+80/",
        "https://@example.com/",
        "https://:@example.com/", "https://example.com\\@127.0.0.1/", "https:///x", "https:example.com",
        "https://example.com#",
        "https://[::1", "https://example.com\n", "https://example.com/\u2028", "https://１２７.0.0.1/",
        "https://127。0。0。1/",
        " https://example.com/", "https://example.com:٤٤٣/",
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


#: An address of a machine, in the spellings that some resolver understands.
SPELLINGS = [
    "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "2130706433.", "0x7f000001", "0X7F000001", "0x7f.1",
    "0x7f.0x0.0x0.0x1", "0177.0.0.1", "017700000001", "127.0.0.01", "0", "0x", "1.2.3", "8.8.2056", "256.1.1.1",
    "1.1.1.1.1",
    "169.254.169.254", "169.254.169.254.", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "168.63.129.16",
    "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:FFFF:A00:1]",
    "[::127.0.0.1]",
    "[fe80::1%25eth0]", "[fe80::1%eth0]", "[2606:4700::1111%25eth0]", "[fe80::1]", "[FC00::1]", "[fd00:ec2::254]",
    "[64:ff9b::10.0.0.1]", "[64:ff9b:1::8.8.8.8]", "[2002:7f00:1::]", "[2001:0:808:808::]", "[v1.fe80::a]",
    "[127.0.0.1]",
    "%31%32%37.0.0.1", "127.0.0.1%2f.example.com", "127.0.0.1\\.example.com", "exa_mple..com", ".example.com",
    "-a.example.com",
    "a" * 64 + ".example.com", ".".join(["a" * 60] * 5) + ".com", "*.example.com", "example.com,127.0.0.1",
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "printer.local", "db.internal",
    "metadata.google.internal", "Metadata.Google.Internal.", "router.lan", "nas.home.arpa", "wiki.corp", "intranet",
    "db", "db.",
]  # fmt: skip


@pytest.mark.parametrize("https", [True, False])
@pytest.mark.parametrize("host", SPELLINGS)
def test_hosts_that_lead_home_or_nowhere_are_refused_by_the_url_alone(host: str, https: bool) -> None:
    for port in ("", ":443", ":8443"):
        with pytest.raises(NotAllowed):
            parse(f"http{'s' * https}://{host}{port}/x", [])


@pytest.mark.parametrize(
    ("host", "read"),
    [
        ("Example.COM.", "example.com"), ("xn--bcher-kva.example", "xn--bcher-kva.example"), ("a_b.example.com",
        "a_b.example.com"),
        ("8.8.8.8", "8.8.8.8"), ("8.8.8.8.", "8.8.8.8"), ("[2606:4700::1111]", "2606:4700::1111"), ("1e3.example",
        "1e3.example"),
        ("local.example.com", "local.example.com"), ("notlocalhost.example", "notlocalhost.example"), ("0x7f.example",
        "0x7f.example"),
    ],
)  # fmt: skip
def test_public_hosts_are_read(host: str, read: str) -> None:
    assert parse(f"https://{host}/", []).host == read


def test_operators_networks_open_their_names_and_addresses_and_no_others() -> None:
    assert parse("http://localhost:80/", OURS).host == "localhost"
    assert parse("https://receiver/", OURS).host == "receiver"
    for url in ("http://10.0.0.1/", "https://10.0.0.1/", "http://8.8.8.8/", "http://2130706433/", "https://[::1]/"):
        with pytest.raises(NotAllowed):
            parse(url, OURS)


def answering(*addresses: str) -> LookUp:
    return lambda host, port: list(addresses)


def failing(host: str, port: int) -> list[str]:
    raise socket.gaierror(-2, "Name or service not known")


@pytest.mark.parametrize("address", [*PRIVATE, "fe80::1%eth0", "::ffff:169.254.169.254"])
def test_one_private_address_among_public_ones_is_enough(address: str) -> None:
    for found in ([address], ["8.8.8.8", address], [address, "8.8.8.8"], ["8.8.8.8"] * 9 + [address]):
        with pytest.raises(Unreachable, match="may not be called"):
            resolve(parse("https://two.example/", []), [], answering(*found))


def test_what_a_name_resolves_to_is_told_to_operators_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The same words whether it resolves to an address that may not be called or does not resolve."""
    look_ups = [answering("10.20.30.40"), answering("127.0.0.1", "8.8.8.8"), answering("fd00::1"), answering(), failing]
    told = {hooks.post("https://name.example/", b"{}", {}, [], one).answer for one in look_ups}
    assert told == {"The name leads to no address that may be called."}
    for said in ("name.example is 10.20.30.40", "name.example is fd00::1", "does not resolve", "has no address"):
        assert said in caplog.text


def test_name_is_resolved_once_and_that_address_is_called(receiver: Receiver) -> None:
    """A second answer of the name server (DNS rebinding) is never asked for."""
    asked: list[str] = []

    def once(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    outcome = hooks.post(f"http://rebinding.example:{receiver.port}/x", b"{}", {}, OURS, once)
    assert outcome.delivered, outcome
    assert asked == ["rebinding.example"]
    assert receiver.received[0].headers["host"] == f"rebinding.example:{receiver.port}"


def test_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answering(302, Location="http://169.254.169.254/")
    outcome = hooks.post(receiver.url, b"{}", {}, OURS)
    assert (outcome.delivered, outcome.status, len(receiver.received)) == (False, 302, 1)
