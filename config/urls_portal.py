"""The portal's addresses: a landing page and the operators' admin."""

from django.contrib import admin
from django.urls import path

from config import health
from config.landing import landing

urlpatterns = [
    path("", landing, name="landing"),
    path("health", health.health),
    path("admin/", admin.site.urls),
]
handler400 = "config.readable.refused"
