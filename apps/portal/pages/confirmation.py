"""The mail that confirms an address, once more: it was lost, or its link has ended."""

from allauth.account.models import EmailAddress
from allauth.core import ratelimit
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST


class AgainForm(forms.Form):
    """Where the mail shall go."""

    email = forms.EmailField(max_length=254, label="Your e-mail address")


@require_POST
def confirm_again(request: HttpRequest) -> HttpResponse:
    """Send the mail once more, if the address waits for it; nobody is told whether it does."""
    form = AgainForm(request.POST)
    if not form.is_valid():
        messages.error(request, "That is no e-mail address.")
        return redirect("account_email_verification_sent")
    email = form.cleaned_data["email"].lower()
    waiting = EmailAddress.objects.filter(email__iexact=email, verified=False).first()
    if ratelimit.consume(request, action="confirm_email", key=email) and waiting:
        waiting.send_confirmation(request)
    messages.success(request, f"If {email} waits for its confirmation, a new mail is on its way.")
    return redirect("account_email_verification_sent")
