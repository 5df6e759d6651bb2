"""A progress bar for a terminal: how far, how fast, how long still. Pure."""

import sys
from typing import TextIO

WIDTH = 30  # characters of the bar
EVERY_SECONDS = 0.1


class Bar:
    """Draws one line again and again; nothing where nobody looks at it, as in a log."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream, self._drawn_at, self._doing = stream or sys.stderr, -EVERY_SECONDS, ""
        self._seen = self._stream.isatty()

    def draw(self, doing: str, rows: int, total: int | None, seconds: float) -> None:
        """Tell how far it is: `total` rows are to be done, None while nobody knows."""
        last = rows == total
        if not self._seen or (seconds - self._drawn_at < EVERY_SECONDS and doing == self._doing and not last):
            return
        begun = "\n" if self._doing not in ("", doing) else ""
        self._drawn_at, self._doing = seconds, doing
        self._stream.write(f"{begun}\r{line_of(doing, rows, total, seconds)}\x1b[K")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line as it is and go on below."""
        if self._seen and self._doing:
            self._stream.write("\n")


def line_of(doing: str, rows: int, total: int | None, seconds: float) -> str:
    """scored  ████████░░░░  66 %  666,000 rows  52,100 rows/s  7 s left"""
    rate = rows / seconds if seconds > 0 else 0.0
    told = f"{rows:,} rows  {rate:,.0f} rows/s"
    if total is None:
        return f"{doing:7} {told}"
    share = rows / total if total else 1.0
    done = round(WIDTH * share)
    left = f"  {in_words((total - rows) / rate)} left" if rate and rows < total else ""
    return f"{doing:7} {'█' * done}{'░' * (WIDTH - done)} {share:4.0%}  {told}{left}"


def in_words(seconds: float) -> str:
    """5 s, 2 min 5 s, 1 h 2 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"
