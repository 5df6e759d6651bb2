"""The operators' admin: one site, on the public side only, for staff who are active."""

from django.contrib.admin.apps import AdminConfig
from unfold.sites import UnfoldAdminSite


class PalisadeAdminSite(UnfoldAdminSite):
    """What our operators see: tenants, keys, usage."""

    site_header = site_title = "Palisade"
    index_title = "Operations"


class PalisadeAdminConfig(AdminConfig):
    default_site = "config.admin_site.PalisadeAdminSite"
