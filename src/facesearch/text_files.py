"""Text files that a person names: read whole, where that has an end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MOST_BYTES = 256 << 20
"""No list of labels and no evaluation is larger."""


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """A file's text, with line ends as they are.

    Raises:
        OSError: it cannot be read, is no regular file (a device or a pipe may never end), or holds
            more than ``MOST_BYTES``.
        UnicodeDecodeError: it is not in this encoding.
    """
    # O_NONBLOCK: to open a FIFO must not wait for who writes it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            raw = file.read(MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(raw) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"larger than {MOST_BYTES >> 20} MiB", str(path))
    return raw.decode(encoding)
