"""Names of a batch's rows, the same however often a chunk is done: they follow from the batch and the row. Pure."""

from hashlib import blake2b

#: Digits of a row's number in its names.
ROW_DIGITS = 8


def row_names(batch_id: str, first: int, count: int) -> list[str]:
    """28 characters a row that sort by time and row: the batch's milliseconds, 32 bits of its name, the row."""
    millisecond = batch_id.partition("_")[2][:12]
    beginning = millisecond + blake2b(batch_id.encode(), digest_size=4).hexdigest()
    return [f"{beginning}{row:0{ROW_DIGITS}x}" for row in range(first, first + count)]
