"""The values of a text field that mean something to a schema: listed by the docs and by the warning for any other."""

from collections.abc import Mapping

import msgspec

ACCURACY_LOWER = "accuracy may be lower"
KEPT_AS_SENT = "it is kept as sent"


class KnownValues(msgspec.Struct, frozen=True):
    """A field's known values, in the order they are listed. Any other value is accepted.

    `synonyms`: other spelling → the value it stands for. `listed_as`: what is written in place of values too many to
    read, like the standard they are the codes of. `consequence`: what a warning says that an unknown value leads to; ""
    where unknown values are common, and nothing is warned of.
    """

    values: tuple[str, ...]
    synonyms: Mapping[str, str] = {}
    listed_as: str = ""
    consequence: str = ACCURACY_LOWER

    @property
    def listed(self) -> str:
        """The values as one line of text."""
        return self.listed_as or ", ".join(self.values)

    def warning(self, field: str, value: str) -> str:
        """Tell the sender of a value that is not known, and of those that are."""
        return f"Unknown {field} '{value}': {self.consequence}. Known: {self.listed}."
