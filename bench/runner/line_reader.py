"""What comes through a pipe, in lines."""

import os
import selectors


class Lines:
    """The lines of a pipe as they come, the last of them only once it is whole."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.open = True
        """Whether the other side has not closed it."""
        self._pending = b""

    def read(self, timeout: float) -> list[bytes]:
        """The lines that are there after waiting at most `timeout` seconds; empty ones are left out."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.handle, selectors.EVENT_READ)
            if not selector.select(timeout):
                return []
        chunk = os.read(self.handle, 1 << 20)
        self.open = bool(chunk)
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        return [line for line in lines if line]
