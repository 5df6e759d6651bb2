"""Batches, as tests of batches send them."""

from tests.batches.conftest import send

__all__ = ["send"]
