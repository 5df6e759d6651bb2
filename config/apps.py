"""The composition root as a Django app: its commands and its checks."""

from django.apps import AppConfig
from django.core.checks import Tags, register


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        from apps.api_keys.services import mark_changed
        from apps.billing.changes import on_change
        from config.checks import demo_mode_is_off, token_secret_is_long_enough

        register(demo_mode_is_off, Tags.security, deploy=True)
        register(token_secret_is_long_enough, Tags.security)
        # billing and keys are strangers: what changes in a subscription is told to the gate from here
        on_change(mark_changed)
