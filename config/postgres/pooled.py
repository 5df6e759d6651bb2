"""Statements through a pooler that lends a server's connection for one transaction (pgbouncer, `pool_mode =
transaction`): what a session was told before, another one has now. So each statement brings its tenant with it.

    SET LOCAL search_path = "acme", "public"; SELECT …      one message, one transaction, one round trip

`SET LOCAL` ends with its transaction and so never reaches another client. Debian's pgbouncer (1.18) can't follow
`search_path` itself; newer ones can (`track_extra_parameters`), and need none of this.
"""

from collections.abc import Iterable
from typing import Any

from psycopg import ClientCursor
from psycopg.pq import TransactionStatus


class PooledCursor(ClientCursor[Any]):
    """A cursor whose statements say first whose tables are meant: `connection.path()` says so in SQL."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> "PooledCursor":
        if self.connection.info.transaction_status is TransactionStatus.INERROR:  # nothing but going back is taken
            super().execute(query, params, **options)
            return self
        super().execute(f"{self._path()}; {self.mogrify(query, params)}")
        self.nextset()
        return self

    def executemany(self, query: Any, params_seq: Iterable[Any], **_: Any) -> None:
        """All in one message; `rowcount` is that of the first."""
        if statements := [self.mogrify(query, params) for params in params_seq]:
            self.execute("; ".join(statements))

    def copy(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """COPY stands alone in its message: inside a transaction it finds the tables of the one before it."""
        super().execute(self._path())
        return super().copy(statement, params, **options)

    def _path(self) -> str:
        return str(self.connection.path())  # type: ignore[attr-defined]  # given to it by the wrapper in base.py
