"""The composition root as a Django app: its commands and its checks."""

from django.apps import AppConfig
from django.core.checks import Tags, register


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        from config.checks import demo_mode_is_off, token_secret_is_long_enough

        register(demo_mode_is_off, Tags.security, deploy=True)
        register(token_secret_is_long_enough, Tags.security)
