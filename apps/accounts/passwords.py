"""How passwords are hashed: with Argon2id, dear to who tries many, bounded so that logins starve nothing else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.hashers import Argon2PasswordHasher

#: Hashes a process computes at once, and how many more may wait for it. One takes about 25 ms of a slow core.
AT_ONCE, MOST_WAITING = 1, 8


class TooManyLogins(Exception):
    """More passwords are to be checked than can be soon."""


class BoundedArgon2(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes, one lane (OWASP's first choice); hashes made with more are renewed at login."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        with _turns.taken():
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with _turns.taken():
            return super().verify(password, encoded)


class Turns:
    """Lets a few go on at once and some wait; whoever comes beyond them is sent away at once."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._at_once = threading.Semaphore(at_once)
        self._all = threading.Semaphore(at_once + waiting)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Raises `TooManyLogins`."""
        if not self._all.acquire(blocking=False):
            raise TooManyLogins
        try:
            with self._at_once:
                yield
        finally:
            self._all.release()


_turns = Turns(AT_ONCE, MOST_WAITING)
