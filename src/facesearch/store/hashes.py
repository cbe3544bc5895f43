"""Contents by the SHA-256 of their bytes, in 12 to 16 bytes of memory a content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facesearch.store.columns import Ints, pieces
from facesearch.store.segments import Segment
from facesearch.store.tables import ContentTable

_AT_ONCE = 1 << 20  # hashes that are sorted as wholes at a time


class HashIndex:
    """The contents of a snapshot by the SHA-256 of their bytes; good for later ones in which they
    have the same ids.

    Left out are those that failed: their bytes are read again, with other limits perhaps.
    """

    def __init__(self, contents: ContentTable) -> None:
        starts = _beginnings(contents.table.segments)
        order = np.argsort(starts, kind="stable")
        kind = np.int32 if len(order) < 1 << 31 else np.int64
        self._rows = order.astype(kind)
        self._starts = starts[order]

    def find(self, contents: ContentTable, content_hash: bytes) -> int | None:
        """The content's row, the first one where there are several, None where there is none."""
        start = np.uint64(int.from_bytes(content_hash[:8], "little"))
        place = int(np.searchsorted(self._starts, start))
        while place < len(self._starts) and self._starts[place] == start:
            row = int(self._rows[place])
            same = contents.table.value("hash", row).tobytes() == content_hash
            if same and not contents.table.text("reason", row):
                return row
            place += 1
        return None


def leaders(contents: ContentTable, live: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Which live contents have the same hash as another one that was read, and which that is.

    A photo that failed and was read later under another name has two. Failures name their file, so
    those of one hash stay apart.

    Returns:
        (rows, leaders), none of them its own leader.
    """
    rows = _repeated(_beginnings(contents.table.segments), live)
    failed = contents.table.lengths("reason", rows) > 0
    words = np.ascontiguousarray(contents.table.take("hash", rows)).view(np.uint64)
    parts = 1 + len(rows) // _AT_ONCE
    part_of = (words[:, 0] >> np.uint64(40)) % np.uint64(parts)
    found: list[tuple[Ints, Ints]] = [(rows[:0], rows[:0])]
    for part in range(parts):
        here = np.flatnonzero((part_of == part) & words.any(axis=1))
        rank = here[np.lexsort((failed[here], *words[here].T))]
        leads = np.ones(len(rank), np.bool_)
        leads[1:] = (words[rank[1:]] != words[rank[:-1]]).any(axis=1)
        leader = rank[leads][np.cumsum(leads) - 1]
        follows = (leader != rank) & ~failed[leader]
        found.append((rows[rank[follows]], rows[leader[follows]]))
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


def _beginnings(segments: Sequence[Segment]) -> NDArray[np.uint64]:
    """The first 8 bytes of each hash as a number."""
    parts = [np.zeros(0, np.uint64)]
    parts += [segment.column("contents.hash").view("<u8")[:, 0] for segment in segments]
    return np.concatenate(parts)


def _repeated(starts: NDArray[np.uint64], live: NDArray[np.bool_]) -> Ints:
    """The live rows whose hash begins as another one's."""
    ranked = np.sort(starts[live])
    again = ranked[1:][ranked[1:] == ranked[:-1]]
    if not len(again):
        return np.zeros(0, np.int64)
    found = []
    for piece in pieces(len(starts)):
        place = np.minimum(np.searchsorted(again, starts[piece]), len(again) - 1)
        here = (again[place] == starts[piece]) & live[piece]
        found.append(piece.start + np.flatnonzero(here))
    return np.concatenate(found)
