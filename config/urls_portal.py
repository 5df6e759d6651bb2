"""The portal's addresses: its pages and the operators' admin."""

from django.contrib import admin
from django.urls import include, path

from apps.backoffice.impersonation import StopLookingOn
from config import health

urlpatterns = [
    path("health", health.health),
    path("ready", health.portal_ready),
    path("metrics", health.portal_metrics),
    path("admin/looking-on/stop/", StopLookingOn.as_view(), name="stop_looking_on"),
    path("admin/", admin.site.urls),
    path("", include("apps.portal.urls")),
]
handler400 = "config.readable.refused"
