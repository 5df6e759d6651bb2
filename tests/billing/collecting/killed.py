"""Workers that collect and are killed: a parent that knows Django forks one after the other and shoots it."""

import os
import random
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from typing import Any

import django

from tests.pace import within


def main(base: str, api_key: str, tenant_id: str, times: str) -> int:
    """How many were killed before they were through."""
    django.setup()
    from apps.billing.collecting.stripe_gateway import StripeGateway
    from tests.billing.collecting import attempts  # before the forks: a worker begins to work at once

    gateway, dice, killed = StripeGateway(api_key=api_key, base=base, timeout=within(5)), random.Random(7), 0
    for _ in range(int(times)):
        child = os.fork()
        if not child:
            work(attempts, gateway, int(tenant_id))
        time.sleep(dice.uniform(0.01, 0.15))
        os.kill(child, signal.SIGKILL)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if ended not in (0, -signal.SIGKILL):
            sys.exit("a worker failed by itself")
        killed += ended == -signal.SIGKILL
    return killed


def work(attempts: Any, gateway: Any, tenant_id: int) -> None:
    """In the child, which never comes back from here."""
    try:
        rows = attempts.Invoice.objects.filter(tenant_id=tenant_id, status="issued")
        for invoice in rows.order_by("?"):
            attempts.attempt(invoice, gateway, datetime.now(UTC))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
