"""Types of fields that many answers have."""

from typing import Annotated

from msgspec import Meta

Money = Annotated[str, Meta(description="A decimal string, such as 179.01.", examples=["179.01"])]
Moment = Annotated[str, Meta(description="UTC.", extra_json_schema={"format": "date-time"})]
NextCursor = Annotated[str | None, Meta(description="Send it as `cursor` for the next page.")]
