"""Finding a content by its hash, in 16 bytes of memory a content."""

from __future__ import annotations

import numpy as np

from facesearch.store.tables import ContentTable


class HashIndex:
    """The contents of a snapshot by the SHA-256 of their bytes.

    Left out are those that failed: their bytes are read again, with other limits perhaps.
    """

    def __init__(self, contents: ContentTable) -> None:
        self._hashes = contents.hash
        rows = np.flatnonzero(contents.hash.any(axis=1) & ~contents.failed)
        starts = np.ascontiguousarray(self._hashes[rows, :8]).view(">u8").reshape(-1)
        starts = starts.astype(np.uint64)
        order = np.argsort(starts, kind="stable")
        self._starts = starts[order]
        self._rows = rows[order]

    def find(self, content_hash: bytes) -> int | None:
        """The content's row, the first one where there are several, None where there is none."""
        start = np.uint64(int.from_bytes(content_hash[:8], "big"))
        place = int(np.searchsorted(self._starts, start))
        while place < len(self._starts) and self._starts[place] == start:
            row = int(self._rows[place])
            if self._hashes[row].tobytes() == content_hash:
                return row
            place += 1
        return None
