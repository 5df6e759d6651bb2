"""Files on their way to us: written to a disk while they arrive, so that one of a gigabyte takes no memory."""

import tempfile
from contextlib import suppress
from pathlib import Path


class Upload:
    """A body that becomes a file of `folder`. It goes away unless somebody moves it elsewhere."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Ours to close: `discard` does, however the request ends.
        self._file = tempfile.NamedTemporaryFile(dir=folder, prefix="upload-", delete=False)  # noqa: SIM115
        self.path = Path(self._file.name)

    def write(self, data: bytes) -> None:
        """Raises `OSError` when the disk is full."""
        self._file.write(data)

    def finish(self) -> None:
        """All is there. Raises `OSError`."""
        self._file.close()

    def discard(self) -> None:
        """Forget what is still there. Harmless when repeated."""
        with suppress(OSError):
            self._file.close()
        self.path.unlink(missing_ok=True)
