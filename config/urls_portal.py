"""The portal's addresses: a landing page and the operators' admin."""

from django.contrib import admin
from django.urls import path

from apps.portal.landing import landing
from config import health

urlpatterns = [
    path("", landing, name="landing"),
    path("health", health.health),
    path("admin/", admin.site.urls),
]
handler400 = "config.readable.refused"
