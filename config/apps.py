"""The composition root as a Django app: its commands and its checks."""

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Tags, register


class ConfigConfig(AppConfig):
    name = "config"

    def ready(self) -> None:
        from apps.api_keys.services import mark_changed
        from apps.api_keys.signals import key_created
        from apps.billing.invoicing.documents import attached_credit_note, attached_invoice
        from apps.billing.subscriptions.signals import limits_changed
        from apps.monitoring.door import open_door
        from apps.notifications.attachments import attach
        from apps.offboarding.removed_days import removed_by_day
        from apps.review.cases.opening import open_cases
        from apps.review.history_marks import marks_between
        from apps.scoring.feature_drift import ask_for_marks
        from apps.scoring.reconciliation import ask_for_removed
        from apps.scoring.serving.store import follow
        from apps.usage.admission.admission import introduce_key
        from config import celery, checks, hidden_commands, tracing  # noqa: F401 - whoever asks for a task asks our app

        hidden_commands.hide()
        if settings.TRACES_URL:
            tracing.begin(settings.TRACES_URL, settings.TRACES_SHARE)
        if settings.METRICS_PORT:
            open_door(settings.METRICS_HOST, settings.METRICS_PORT)
        register(checks.demo_mode_is_off, Tags.security, deploy=True)
        register(checks.active_models_may_be_used, Tags.security, deploy=True)
        register(checks.seller_is_set, deploy=True)
        register(checks.token_secret_is_long_enough, Tags.security)
        register(checks.sealing_keys_are_long_enough, Tags.security)
        # billing and keys are strangers: what changes in a subscription is told to the gate from here
        limits_changed.connect(mark_changed)
        # a new key's plan and limits are told before its first request, which is as fast as the next then
        key_created.connect(introduce_key)
        # labels tell the history what was learned later; whoever replays it asks them
        ask_for_marks(marks_between)
        # decisions that ask for a review become cases, in the transaction that stores them
        follow(open_cases)
        # decisions that were removed are counted by the books all the same
        ask_for_removed(removed_by_day)
        # and so are mails and invoices: what is mailed of an invoice has its PDF with it
        attach("invoice.issued", attached_invoice)
        attach("credit_note.issued", attached_credit_note)
