"""The portal's analytics pages over the data of a running `bench.analytics`, which starts this in a process of its own:
the portal has other settings than the API.

    python -m bench.analytics_pages          (prints a row of a table a page and span)
"""

import os
import sys

SPANS = (30, 365)


def main() -> int:
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.portal"
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client
    from django.utils import timezone

    from apps.accounts.models import Tenant, User
    from apps.accounts.services import make_owner
    from apps.portal.pages.analytics import VIEWS
    from bench.portal import measure

    call_command("migrate_schemas", shared=True, verbosity=0)  # tables the API does without
    owner = User.objects.create_user("owner@bench.example", "a-long-password")
    make_owner(tenant=Tenant.objects.get(slug="bench"), user=owner, now=timezone.now(), actor="bench")
    client = Client(headers={"Host": "localhost"})
    client.force_login(owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    client.post("/mode/", {"livemode": "1"})
    for view in VIEWS:
        for days in SPANS:
            found = measure(client, f"/analytics/?view={view}&days={days}")
            if found is None:
                raise SystemExit(f"no page: {view}")
            print(found.row(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
