"""How a store is served."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from facesearch.cores import cores
from facesearch.errors import UsageError

SHORTEST_KEY = 16
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server takes on.

    ``photo_bytes`` and ``photo_pixels`` bound an uploaded photo before it is read and decoded;
    ``upload_bytes`` are those of all uploads that are here at a time. ``threads`` work, ``waiting``
    more requests may wait for them. ``body_seconds`` is how long a request may take to arrive.
    ``kept_bytes`` are the decoded photos remembered for further searches, ``thumbnail_bytes`` the
    crops. ``page`` is the largest ``k``, ``zip_photos`` how many photos one archive holds.
    """

    photo_bytes: int = 48 * MIB
    photo_pixels: int = 64_000_000
    upload_bytes: int = 512 * MIB
    threads: int = field(default_factory=lambda: max(2, cores()))
    waiting: int = 128
    body_seconds: float = 60.0
    disk_seconds: float = 20.0
    kept_bytes: int = 128 * MIB
    thumbnail_bytes: int = 64 * MIB
    page: int = 1000
    zip_photos: int = 2000


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Who may ask, and for what.

    ``key`` is what every request has to carry. ``host`` is the address that is listened on; names
    in ``hosts`` are further ones under which people may come. ``allow_index`` are folders that may
    be indexed besides the store's own, ``allow_write`` lets photos be added and removed under keys.

    Raises:
        UsageError: the key is too short to keep anybody out.
    """

    key: str = field(repr=False)
    host: str = "127.0.0.1"
    hosts: tuple[str, ...] = ()
    allow_index: tuple[Path, ...] = ()
    allow_write: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        """Refuse a key that can be guessed."""
        if len(self.key) < SHORTEST_KEY or not self.key.isascii() or not self.key.isprintable():
            raise UsageError(
                f"the key needs at least {SHORTEST_KEY} printable ASCII characters; "
                "leave --key-file out to have one made"
            )
        if " " in self.key:
            raise UsageError("the key must not hold blanks; leave --key-file out to have one made")
