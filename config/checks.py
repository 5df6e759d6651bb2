"""What `manage.py check --deploy` says beyond Django's own checks."""

from typing import Any

from django.conf import settings
from django.core.checks import Error


def demo_mode_is_off(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Demo mode answers without a key."""
    if not settings.DEMO_MODE:
        return []
    return [Error("Demo mode is on.", hint="Unset PALISADE_DEMO.", id="palisade.E001")]
