"""What may be attached as evidence: told by a file's own first bytes, never by what its sender says of it. Pure."""

from collections.abc import Mapping

MEGABYTE = 1024 * 1024
#: Bytes of one file, and files of one case.
LARGEST = 5 * MEGABYTE
MOST_FILES = 20
LONGEST_NAME = 200
TEXT = "text/plain; charset=utf-8"
#: First bytes → media type. Nothing a browser would run is among them.
SIGNATURES: Mapping[bytes, str] = {
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
IN_WORDS = "PDF, PNG, JPEG, GIF, WebP, or text in UTF-8 (also e-mails and CSV)"


def media_type_of(content: bytes) -> str | None:
    """The media type of a file, None for what is not taken: nothing at all, programs, archives."""
    for signature, media_type in SIGNATURES.items():
        if content.startswith(signature):
            return media_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return TEXT if _is_text(content) else None


def file_name(said: str) -> str:
    """A file's name without folders, control characters and quotes; never empty."""
    last = said.replace("\\", "/").rpartition("/")[2]
    kept = "".join(one for one in last if one.isprintable() and one not in '"<>:|?*').strip(" .")
    return kept[-LONGEST_NAME:] or "evidence"


def _is_text(content: bytes) -> bool:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return bool(text) and all(one.isprintable() or one in "\r\n\t" for one in text)
