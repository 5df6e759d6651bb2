"""Which backups have had their time. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta


def outlived(made: Iterable[datetime], now: datetime, days: int) -> list[datetime]:
    """Those older than so many days; the newest stays, however old."""
    newest_first = sorted(made, reverse=True)
    return [moment for moment in newest_first[1:] if moment < now - timedelta(days=days)]
