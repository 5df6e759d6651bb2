"""Who is calling: one form of addresses and networks, and proxies believed as far as they are ours."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps import addresses
from apps.addresses import address_of, came_over_tls, client_address, network_of, networks_of, was_forwarded
from tests.pace import within

OURS = networks_of(["172.16.0.0/12", "fd00::/8"])
PROXY, CALLER = "172.16.0.1", "203.0.113.9"


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("203.0.113.9", CALLER), (" 203.0.113.9\t", CALLER), ("203.0.113.9:51234", CALLER),
        ("203.0.113.9:_port", CALLER), ('"203.0.113.9:51234"', CALLER), ('"203.0.113.9"', CALLER),
        ("::ffff:203.0.113.9", CALLER), ("[::ffff:203.0.113.9]", CALLER), ("[::ffff:203.0.113.9]:443", CALLER),
        ("[::FFFF:cb00:7109]:443", CALLER), ('"[::ffff:203.0.113.9]:443"', CALLER),
        ("2001:db8::1", "2001:db8::1"), ("2001:DB8:0:0::1", "2001:db8::1"), ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"), ('"[2001:db8::1]:443"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"), ("[fe80::1%25eth0]:443", "fe80::1"),
        ("unknown", None), ("_hidden", None), ('"_hidden:443"', None), ("", None), (" ", None), ('"', None),
        ("example.com", None), ("203.0.113.9:", None), ("203.0.113.9:123456", None), ("203.0.113.9:-1", None),
        ("203.0.113", None), ("203.0.113.09", None), ("0x7f.1", None), ("203.0.113.9 10.1.2.3", None),
        ("[2001:db8::1", None), ("2001:db8::1]", None), ("[]", None), ("[::1]443", None), ("203.0.113.9/32", None),
        ("\u0662\u0660\u0663.0.113.9", None), ("203.0.113.9\n", None), ("1" * 10_000, None),
    ],
)  # fmt: skip
def test_entry_names_an_address_or_none(entry: str, address: str | None) -> None:
    assert address_of(entry) == address


CASES: list[tuple[str, dict[str, str], str]] = [
    # X-Forwarded-For
    ("one entry", {"x": "203.0.113.9"}, CALLER),
    ("with its port", {"x": "203.0.113.9:51234"}, CALLER),
    ("mapped, with its port", {"x": "[::ffff:203.0.113.9]:443"}, CALLER),
    ("a trailing comma", {"x": "203.0.113.9,"}, CALLER),
    ("empty elements", {"x": ", ,203.0.113.9 ,\t, "}, CALLER),
    ("what stands left of it, the caller wrote", {"x": "10.1.2.3, 203.0.113.9"}, CALLER),
    ("two proxies of ours", {"x": "203.0.113.9, 172.16.0.9"}, CALLER),
    ("two of ours, one mapped", {"x": "203.0.113.9:1, [::ffff:172.16.0.9]:443"}, CALLER),
    ("two of ours, one of IPv6", {"x": "203.0.113.9, [fd00::7]:443"}, CALLER),
    ("two header lines are one list", {"x": "10.1.2.3,203.0.113.9"}, CALLER),
    ("nonsense to the left", {"x": 'non"sense, 203.0.113.9'}, CALLER),
    ("nonsense to the right", {"x": "203.0.113.9, nonsense"}, PROXY),
    ("unknown", {"x": "203.0.113.9, unknown"}, PROXY),
    ("hidden", {"x": "_hidden"}, PROXY),
    ("unknown before a proxy of ours", {"x": "unknown, 172.16.0.9"}, "172.16.0.9"),
    ("nothing", {"x": ""}, PROXY),
    ("only commas", {"x": " ,, "}, PROXY),
    ("all of them ours", {"x": "172.16.0.8, 172.16.0.9"}, "172.16.0.8"),
    # Forwarded
    ("for", {"f": "for=203.0.113.9"}, CALLER),
    ("other cases, other pairs", {"f": 'By=172.16.0.1; FOR="203.0.113.9:51234" ;proto=https;host="a,b"'}, CALLER),
    ("an unquoted port", {"f": "for=203.0.113.9:51234"}, CALLER),
    ("IPv6", {"f": 'for="[2001:db8::1]:443"'}, "2001:db8::1"),
    ("unquoted IPv6", {"f": "for=[2001:db8::1]"}, "2001:db8::1"),
    ("mapped IPv6", {"f": 'for="[::ffff:203.0.113.9]:443"'}, CALLER),
    ("escaped", {"f": r'for="203.0.113\.9"'}, CALLER),
    ("the caller's own to the left", {"f": "for=10.1.2.3, for=203.0.113.9"}, CALLER),
    ("two proxies", {"f": "for=203.0.113.9;by=_a, for=172.16.0.9;by=_b"}, CALLER),
    ("empty elements and pairs", {"f": ", ;for=203.0.113.9; ,"}, CALLER),
    ("a comma within quotes", {"f": 'for=203.0.113.9;x="a,for=10.1.2.3"'}, CALLER),
    ("nonsense to the left", {"f": "=;%, for=203.0.113.9"}, CALLER),
    ("nonsense to the right", {"f": "for=203.0.113.9, =%"}, PROXY),
    ("twice in one element", {"f": "for=10.1.2.3;for=203.0.113.9"}, PROXY),
    ("unknown", {"f": "for=203.0.113.9, for=unknown"}, PROXY),
    ("hidden", {"f": "for=_gazonk"}, PROXY),
    ("a proxy that does not say", {"f": "for=203.0.113.9, proto=https"}, PROXY),
    ("a quote that never ends can't swallow", {"f": 'for=10.1.2.3;x=", for=203.0.113.9'}, PROXY),
    ("a quote that never ends, before a quoted one", {"f": 'for=10.1.2.3;x=", for="[2001:db8::1]:443"'}, PROXY),
    ("only about the protocol", {"f": "proto=https"}, PROXY),
    # both
    ("both agree", {"x": "203.0.113.9:1", "f": 'for="[::ffff:203.0.113.9]:2"'}, CALLER),
    ("both agree, after others", {"x": "10.9.9.9, 203.0.113.9", "f": "for=10.8.8.8, for=203.0.113.9"}, CALLER),
    ("the caller wrote Forwarded", {"x": "198.51.100.1", "f": "for=203.0.113.9"}, PROXY),
    ("the caller wrote X-Forwarded-For", {"x": "203.0.113.9", "f": "for=198.51.100.1"}, PROXY),
    ("one of them hides", {"x": "203.0.113.9", "f": "for=unknown"}, PROXY),
    ("one of them speaks of the protocol alone", {"x": "203.0.113.9", "f": "proto=https"}, CALLER),
    ("one of them is empty", {"x": " , ", "f": "for=203.0.113.9"}, CALLER),
]


def meta(said: dict[str, str], peer: str = PROXY) -> dict[str, Any]:
    names = {"x": "HTTP_X_FORWARDED_FOR", "f": "HTTP_FORWARDED"}
    return {"REMOTE_ADDR": peer, **{names[name]: value for name, value in said.items()}}


@pytest.mark.parametrize(("said", "address"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_caller_is_told_by_our_proxies(said: dict[str, str], address: str) -> None:
    assert client_address(meta(said), OURS) == address
    assert client_address(meta(said, f"::ffff:{PROXY}"), OURS) == address  # a socket for both families


@pytest.mark.parametrize("said", [case[1] for case in CASES])
def test_nobody_else_is_believed(said: dict[str, str]) -> None:
    assert client_address(meta(said, "198.51.100.7"), OURS) == "198.51.100.7"
    assert client_address(meta(said), ()) == PROXY


@pytest.mark.parametrize(
    ("peer", "address"),
    [("::ffff:198.51.100.7", "198.51.100.7"), ("fe80::1%eth0", "fe80::1"), ("", "127.0.0.1"), (None, "127.0.0.1")],
)
def test_peer_is_written_as_all_addresses_are(peer: str | None, address: str) -> None:
    assert client_address({"REMOTE_ADDR": peer}, ()) == address


@given(st.text(st.sampled_from('10.2:[]"\\,;=for %_\x00é'), max_size=60), st.sampled_from(["x", "f"]))
def test_whatever_the_caller_writes_first_the_last_entry_is_the_proxys(written: str, header: str) -> None:
    """A proxy appends what it saw; nothing before it makes another address of it, at worst the proxy's own."""
    appended = {"x": ", 198.51.100.1", "f": ", for=198.51.100.1"}[header]
    assert client_address(meta({header: written + appended}), OURS) in ("198.51.100.1", PROXY)


@pytest.mark.parametrize("unit", [",", '"', '\\"', '"\\', ";", "for=1,", '="', "[", "a_", "\t"])
def test_long_headers_are_read_in_one_pass(unit: str) -> None:
    long = unit * (64_000 // len(unit))
    began = time.perf_counter()
    client_address(meta({"x": long, "f": long}), OURS)
    came_over_tls(meta({"f": '"' + long}), OURS)
    assert time.perf_counter() - began < within(1)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.0/24", "203.0.113.0/24"), ("203.0.113.9", "203.0.113.9/32"), ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"), ("::ffff:203.0.113.9", "203.0.113.9/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"), ("::/0", "::/0"), (" 10.0.0.0/8 ", "10.0.0.0/8"),
    ],
)  # fmt: skip
def test_networks_have_one_form(text: str, network: str) -> None:
    assert str(network_of(text)) == network


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "nonsense", "10.0.0.0/33", "::ffff:10.0.0.1/104"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        network_of(text)


@pytest.mark.parametrize(
    ("said", "secure"),
    [
        ({"HTTP_X_FORWARDED_PROTO": "https"}, True), ({"HTTP_X_FORWARDED_PROTO": " HTTPS "}, True),
        ({"HTTP_X_FORWARDED_PROTO": "https, https"}, True), ({"HTTP_FORWARDED": "for=_x;proto=https"}, True),
        ({"HTTP_FORWARDED": 'proto="https";for=_x, for=_y'}, True),
        ({"HTTP_X_FORWARDED_PROTO": "https", "HTTP_FORWARDED": "for=_x"}, True),
        ({}, False), ({"HTTP_X_FORWARDED_PROTO": ""}, False), ({"HTTP_X_FORWARDED_PROTO": "http"}, False),
        ({"HTTP_X_FORWARDED_PROTO": "https, http"}, False), ({"HTTP_X_FORWARDED_PROTO": "http, https"}, False),
        ({"HTTP_X_FORWARDED_PROTO": "https", "HTTP_FORWARDED": "proto=http"}, False),
        ({"HTTP_X_FORWARDED_PROTO": "http", "HTTP_FORWARDED": "proto=https"}, False),
        ({"HTTP_X_FORWARDED_PROTO": "https", "HTTP_FORWARDED": '"'}, False),
        ({"HTTP_FORWARDED": "for=_x"}, False), ({"HTTP_X_FORWARDED_SSL": "on"}, False),
    ],
)  # fmt: skip
def test_tls_is_what_our_proxies_say(said: dict[str, str], secure: bool) -> None:
    assert came_over_tls({"REMOTE_ADDR": PROXY, **said}, OURS) == secure
    assert not came_over_tls({"REMOTE_ADDR": "198.51.100.7", **said}, OURS)
    assert not came_over_tls({"REMOTE_ADDR": PROXY, **said}, ())


TRACES = [
    "Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
    "X-Forwarded-Server", "X-Forwarded-Prefix", "X-Forwarded", "X-Forward-For", "X-Original-Forwarded-For",
    "X-Real-IP", "X-Client-IP", "Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "X-True-Client-IP",
    "Fly-Client-IP", "Fly-Forwarded-Port", "Fastly-Client-IP", "Fastly-FF", "CF-Connecting-IP", "CF-Connecting-IPv6",
    "CF-Ray", "CF-Visitor", "CF-IPCountry", "CF-Worker", "CDN-Loop", "CloudFront-Viewer-Address", "X-Amz-Cf-Id",
    "X-Amzn-Trace-Id", "X-Azure-ClientIP", "X-Azure-SocketIP", "X-Azure-FDID", "X-ARR-LOG-ID", "X-AppEngine-User-IP",
    "X-Cloud-Trace-Context", "X-Envoy-External-Address", "X-ProxyUser-Ip", "X-Remote-IP", "X-Remote-Addr",
    "X-Originating-IP", "X-Original-Host", "X-Original-URL", "X-Varnish", "Akamai-Origin-Hop", "Incap-Client-IP",
    "X-Sucuri-ClientIP", "Proxy-Client-IP", "WL-Proxy-Client-IP", "DO-Connecting-IP", "X-Vercel-Forwarded-For",
    "X-NF-Client-Connection-IP", "Tailscale-User-Login", "Proxy-Connection", "X-Bluecoat-Via", "X-Scheme",
]  # fmt: skip


@pytest.mark.parametrize("header", TRACES)
def test_traces_of_proxies_are_seen(header: str) -> None:
    assert was_forwarded({"REMOTE_ADDR": "127.0.0.1", f"HTTP_{header.upper().replace('-', '_')}": ""})


PLAIN = [
    "Host", "User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Connection", "Content-Type",
    "Content-Length", "Origin", "Referer", "Sec-Fetch-Site", "Sec-Ch-Ua", "DNT", "Cookie", "Cache-Control",
    "Pragma", "Idempotency-Key", "X-Request-Id", "Traceparent", "X-Requested-With", "X-Stripe-Client-User-Agent",
    "Stripe-Signature", "X-Api-Key", "Authorization", "Expect", "Upgrade-Insecure-Requests", "Priority", "TE",
]  # fmt: skip


def test_what_clients_send_themselves_is_no_trace() -> None:
    said = {f"HTTP_{header.upper().replace('-', '_')}": "x" for header in PLAIN}
    assert not was_forwarded({"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "1", "SERVER_NAME": "x", **said})


def test_loopback_is_all_of_it() -> None:
    assert all(addresses.inside(one, addresses.LOOPBACK) for one in ("127.0.0.1", "127.8.9.10", "::1"))
    assert not any(addresses.inside(one, addresses.LOOPBACK) for one in ("128.0.0.1", "::2", "10.0.0.1"))
