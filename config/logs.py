"""The log's formatter. One formatter for all handlers and processes."""

import logging

from apps import card_numbers


class MaskedLine(logging.Formatter):
    """A line with its arguments and traceback, every card number in it masked."""

    def format(self, record: logging.LogRecord) -> str:
        return card_numbers.mask(super().format(record))
