"""Files of PaySim transactions, and the work on a batch of them."""

from django.utils import timezone

from apps.batches import assembly, chunks, planning, services
from apps.batches.models import Batch

HEADER = "step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,nameDest,oldbalanceDest,newbalanceDest\n"


def rows(count: int, first: int = 0) -> str:
    """Rows of as many payers."""
    return "".join(
        f"{1 + row % 300},{'TRANSFER' if row % 3 else 'PAYMENT'},{100 + row}.5,C{row},{1000 + row},899.5,M{row},0,0\n"
        for row in range(first, first + count)
    )


def csv_of(count: int, first: int = 0) -> bytes:
    return (HEADER + rows(count, first)).encode()


def worked(batch: Batch) -> Batch:
    """The batch once all is done that there is to do for it."""
    planning.plan(batch.pk)
    with services.failing(batch):
        while chunks.score_next(batch.pk, timezone.now()):
            pass
    assembly.assemble(batch.pk)
    batch.refresh_from_db()
    return batch
