"""What is wrong with an expression, and where. Pure."""

from typing import NamedTuple


class Place(NamedTuple):
    """A place in a text: line and column from 1 on, and the characters before it."""

    line: int
    column: int
    offset: int


class InvalidExpression(ValueError):
    """An expression that can't be taken: what is wrong, from which character on, and what may have been meant."""

    def __init__(self, said: str, at: int = 0, meant: tuple[str, ...] = ()) -> None:
        super().__init__(said)
        self.said, self.at, self.meant = said, at, meant

    @property
    def sentence(self) -> str:
        """What is wrong, with what may have been meant."""
        return f"{self.said} Did you mean {' or '.join(self.meant)}?" if self.meant else self.said

    def place(self, text: str) -> Place:
        """Where in the text it is wrong."""
        before = text[: self.at]
        return Place(before.count("\n") + 1, len(before) - before.rfind("\n"), len(before))
