"""The operators' admin as its process runs it: the portal's."""

from tests.portal.conftest import _as_the_portal, browser, operator

__all__ = ["_as_the_portal", "browser", "operator"]  # fixtures, which pytest finds here
