"""What every source of photos does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal, Protocol

from facesearch.records import Failure, PhotoEntry

RootState = Literal["there", "missing", "unreadable", "not answering", "empty"]
Probe = Literal["photo", "not-read"] | Failure


class PhotoSource(Protocol):
    """Where photos come from. Listing and probing collect what else was met; a new ``entries()``
    begins anew.

    Attributes:
        unreadable: a failure for each place that could not be listed, with its full path.
        not_read: files that are no photos, counted by kind.
    """

    unreadable: list[Failure]
    not_read: Counter[str]

    def entries(self) -> Iterator[PhotoEntry]:
        """List the files, in the order of their keys' bytes, without opening any."""

    def probe(self, entry: PhotoEntry) -> Probe:
        """Look into one file if need be: is it a photo?"""

    def covers(self, key: str, *, folder: bool = False) -> bool:
        """Whether a listing of the whole root would come to this key, were it there.

        False for what is hidden, skipped or excluded: such a photo is not gone.
        """

    def hides(self, key: str) -> bool:
        """Whether the last listing could not see if this key is there."""
