"""What browsers are told by the portal and the admin, also behind TLS."""

from typing import Any

import pytest
from django.test import Client

from apps.addresses import networks_of

pytestmark = pytest.mark.django_db(transaction=True)


def policy(answer: Any) -> dict[str, list[str]]:
    parts = (part.split() for part in answer["Content-Security-Policy"].split(";"))
    return {name: sources for name, *sources in parts}


@pytest.mark.parametrize("path", ["/", "/admin/login/", "/admin/", "/nothing"])
def test_pages_are_not_framed_sniffed_or_fed_from_elsewhere(path: str) -> None:
    answer = Client().get(path)
    told = policy(answer)
    assert told["default-src"] == ["'self'"]
    assert told["frame-ancestors"] == told["object-src"] == told["base-uri"] == ["'none'"]
    assert told["form-action"] == ["'self'"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "geolocation=()" in answer["Permissions-Policy"]


def test_only_the_admin_evaluates_and_styles_inline(browser: Client) -> None:
    assert "script-src" not in policy(browser.get("/"))
    for path in ("/admin/", "/admin/accounts/tenant/", "/admin/password_change/"):
        told = policy(answer := browser.get(path))
        assert answer.status_code == 200, (path, answer.headers)
        assert "script-src" in told, (path, answer.headers)
        assert (told["script-src"], told["style-src"]) == (["'self'", "'unsafe-eval'"], ["'self'", "'unsafe-inline'"])
    assert "'unsafe-eval'" in policy(Client().get("/admin/login/"))["script-src"]


@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/tenant/", "/admin/login/"])
def test_operators_pages_are_kept_by_nobody(browser: Client, path: str) -> None:
    assert "no-store" in browser.get(path)["Cache-Control"]


@pytest.fixture
def behind_tls(settings: Any) -> None:
    """What PALISADE_PUBLIC_HOST=app.example.com sets: tests/config/test_deploy.py holds that it does."""
    settings.ALLOWED_HOSTS = ["app.example.com"]
    settings.CSRF_TRUSTED_ORIGINS = ["https://app.example.com"]
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 31_536_000
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.TRUSTED_PROXIES = networks_of(["172.16.0.0/12"])


def behind(address: str, proto: str, **options: Any) -> Client:
    said = {"REMOTE_ADDR": address, "HTTP_HOST": "app.example.com", "HTTP_X_FORWARDED_PROTO": proto}
    return Client(**said, **options)


@pytest.mark.parametrize(
    ("address", "proto"),
    [("172.16.0.1", "http"), ("203.0.113.9", "https"), ("127.0.0.1", "https"), ("172.16.0.1", "https, http")],
)
def test_pages_without_tls_are_elsewhere_whatever_a_stranger_claims(behind_tls: None, address: str, proto: str) -> None:
    answer = behind(address, proto).get("/admin/login/")
    assert (answer.status_code, answer["Location"]) == (301, "https://app.example.com/admin/login/")
    assert behind(address, proto).get("/health").status_code == 200


def test_login_works_through_our_proxy_and_its_cookies_stay_with_tls(behind_tls: None, operator: Any) -> None:
    client = behind("172.16.0.1", "https", enforce_csrf_checks=True)
    form = client.get("/admin/login/")
    assert form["Strict-Transport-Security"].startswith("max-age=31536000")
    token = form.context["csrf_token"]
    said = {"username": operator.email, "password": operator.email, "csrfmiddlewaretoken": str(token)}
    answer = client.post("/admin/login/?next=/admin/", said, headers={"Origin": "https://app.example.com"})
    assert answer.status_code == 302
    assert client.cookies["sessionid"]["secure"] and client.cookies["csrftoken"]["secure"]
    assert client.cookies["sessionid"]["httponly"]
    strange = client.post("/admin/logout/", said, headers={"Origin": "https://evil.example.com"})
    assert strange.status_code == 403
