"""What nobody should send, as it stands on the wire: in bodies, in query strings and paths, in headers, as methods."""

#: JSON in the place of a member; json.dumps would not write all of it.
JSON = (
    *("null", "true", "[]", "{}", '[{"id": null}]', '{"id": []}', '""', '" "', '"x"', "0", "-1", "1.5", "1e300"),
    *("1e400", "NaN", "-Infinity", str(2**63), str(2**64), "9" * 400, "9" * 5_000, '"1790000000"', '"usd"', '"ZZZ"'),
    *('"a\\u0000b"', '"\\ud800"', '"\\udfff\\ud800"', '"' + "x" * 300 + '"', '"\\n"', '"\\u202e"', '{"\\u0000": 1}'),
    *('{"\\ud800": ["\\u0000"]}', "[" * 99 + "]" * 99, "[" * 5_000 + "]" * 5_000, '"succeeded"', '"../../v1/x"'),
)

#: The same with what amounts, counts, months, addresses and texts of our own bodies could be mistaken for.
OWN_JSON = (
    *JSON,
    *(
        '"1E+1000000"',
        '"1e999999999"',
        '"NaN"',
        '"Infinity"',
        '"-0"',
        '"' + "9" * 10_000 + '"',
        '"31.00\\n"',
        '"\\u0663"',
    ),
    *(
        '"9999-99"',
        '"0000-01"',
        '"https://\\u0000.example/"',
        '"https://[::1"',
        '"https://a\\uff0eb\\u2488/"',
        "1e-400",
    ),
    *(
        '"https://x.example/\\r\\nX: y"',
        '"sk_test_12345\\n"',
        '"\\u0085"',
        '"' + "\U0001f98a" * 200 + '"',
        '"a\\u2028b"',
    ),
)

#: Percent-encoded, in the place of a parameter's value or of a name.
ENCODED = (
    *("", "%00", "a%00b", "%ff", "%ed%a0%80", "%", "%zz", "%u0000", "%0a", "1%0a", "%7f", "%c2%85", "%e2%80%ae", "+"),
    *("x", "x" * 5_000, "9" * 5_000, "0" * 5_000 + "1", "NaN", "inf", "1e9", "1.0", "-1", "0", "%d9%a3", "%c2%b2"),
    *("2026-02-30", "0000-01-01", "0001-01-01", "9999-12-31", "9999-99", "20260101", "2026-W01-1", "10000-01-01"),
    *("2026-01-01T00:00:00%00", "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T25:00:00Z"),
    *("..%2f..", "%27%22%3b--", "W10", "WyIiLCIiXQ", "bnVsbA", "=", "%26", "dlv_" + "0" * 24 + "%0a", "in_other"),
    *("%20", "true", "4242424242424242"),
)  # fmt: skip

#: In the place of a header's value, as latin-1; servers of HTTP let all of them pass.
HEADERS = (
    *("", " ", "\xff", "\xe9\x85", "\x80", "x" * 5_000, "9" * 5_000, "-1", "NaN", "1e9", '"', '"a', "%00", "\\u0000"),
    *("Bearer", "Bearer \xe9", "bearer  pk_live_x", "Basic \xff\xfe", "pk_live_abc123_" + "0" * 40, "pt_x.y.z", ",,,"),
    *("pt_" + "a" * 5_000, "t=1,v1=\xe9", "t=,v1=", "t=inf,v1=a", "application/json; charset=\xff", "a/b; charset"),
    *('for="[::1', "for=_\xff;proto=\xff", "[", "999.999.999.999", "::ffff:1", "a:b:c", "localhost:99999", "[::1"),
    *("gzip, \xff", "sessionid=\\000; csrftoken=\xff", '"\\000"="\\377"'),
)  # fmt: skip

#: Headers something of ours reads, on any request.
READ = (
    "Authorization", "X-API-Key", "X-Request-Id", "Idempotency-Key", "Stripe-Signature", "Host", "Content-Type",
    "Content-Length", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Accept", "Cookie", "If-None-Match",
    "If-Modified-Since", "Origin", "Referer",
)  # fmt: skip

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND")

_CHARSETS = ("utf-8", "utf-16", "hex", "idna", "punycode", "rot13", "undefined", "zlib", "no-such", "", "\xff", '"')
#: Content types of any charset → the word of the refusal, None where they are as good as without.
CONTENT_TYPES = {
    **{f"{{}}; charset={charset}": None for charset in (*_CHARSETS, "a" * 5_000, "utf-8; charset", "utf-8;;;")},
    "{}; charset*=hex''%41": None,
    "{}; charset*0*=%41''''utf-8undefined": "can't be read",
    "{}; a*=no-such''%ff": "can't be read",
}
