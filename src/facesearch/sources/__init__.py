"""Where photos come from: a folder walked in sorted order, or a bucket listed so; and what either
could not show.
"""

from __future__ import annotations

from facesearch.locations import Address, Location
from facesearch.photos import Patience
from facesearch.records import Failure
from facesearch.sources import folder, objects
from facesearch.sources.folder import PATIENCE, FolderSource
from facesearch.sources.objects import ObjectSource
from facesearch.sources.outage import OutageWatch
from facesearch.sources.protocol import PhotoSource, Probe, RootState

__all__ = [
    "PATIENCE",
    "FolderSource",
    "ObjectSource",
    "OutageWatch",
    "PhotoSource",
    "Probe",
    "RootState",
    "is_folder",
    "is_gone",
    "open_source",
    "root_state",
    "trouble_of",
]


def open_source(
    root: Location,
    exclude: tuple[str, ...] = (),
    under: str = "",
    patience: float = PATIENCE,
) -> PhotoSource:
    """The photos at a place; nothing is listed yet. Arguments as of ``FolderSource``."""
    if isinstance(root, Address):
        return ObjectSource(root, exclude, under)
    return FolderSource(root, exclude, under, patience)


def root_state(root: Location, patience: float = PATIENCE) -> RootState:
    """How a root is found before it is listed; ``patience`` is how many seconds its disk may take.

    Returns:
        "there"; "missing" (nothing at the path, no such bucket); "unreadable" (it cannot be
        listed); "not answering"; or "empty" (nothing visible in it), as the mount point of a disk
        that is away.
    """
    if isinstance(root, Address):
        return objects.root_state(root)
    return folder.root_state(root, patience)


def is_gone(place: Location, patience: Patience | None = None) -> bool:
    """Whether there is surely nothing; a disk that gives errors, or no answer, says nothing of what
    it holds.
    """
    return objects.is_gone(place) if isinstance(place, Address) else folder.is_gone(place, patience)


def is_folder(place: Location) -> bool:
    """Whether a place is a folder, and one that can be seen."""
    return objects.is_folder(place) if isinstance(place, Address) else folder.is_folder(place)


def trouble_of(root: Location) -> Failure | None:
    """What the service says of an address that cannot be listed; a path has no more to say."""
    return objects.trouble_of(root) if isinstance(root, Address) else None
