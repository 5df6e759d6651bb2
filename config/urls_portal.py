"""The portal's addresses: its pages and the operators' admin."""

from django.contrib import admin
from django.urls import include, path

from config import health

urlpatterns = [
    path("health", health.health),
    path("admin/", admin.site.urls),
    path("", include("apps.portal.urls")),
]
handler400 = "config.readable.refused"
