"""The faces on photos: where they are, how sure, how sharp; no embedding, no store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from facesearch.errors import ModelError, PhotoError
from facesearch.index_options import IndexOptions, looking_spec
from facesearch.photos import PhotoLimits
from facesearch.processing import FaceFinder
from facesearch.querying import Asked, called, open_photo
from facesearch.records import Face, FoundFaces, Photo, QueryError
from facesearch.runtimes import Fetch

Seen = Callable[[Photo, FoundFaces], None]
"""Told of each photo that was read, with its pixels, while they are at hand."""


class Finder(Protocol):
    """Finds faces."""

    limits: PhotoLimits

    def find(self, photo: Photo) -> list[Face]:
        """Faces in reading order with their sharpness, in upright original pixels."""


def finder_for(options: IndexOptions, fetch: Fetch) -> FaceFinder:
    """Finds faces as ``index`` with these options would; nothing is loaded yet.

    Raises:
        UsageError, WeightsError: as ``looking_spec``.
    """
    return FaceFinder(looking_spec(options), fetch)


def find_faces(
    finder: Finder, photos: Iterable[Asked], seen: Seen | None = None
) -> Iterator[FoundFaces]:
    """The faces of each photo, one after the other; a photo's failure is its own result.

    Raises:
        WeightsError, DeviceError: the networks cannot be loaded.
    """
    for name, source in photos:
        try:
            photo = open_photo(source, finder.limits, name)
            faces = finder.find(photo)
        except PhotoError as error:
            yield FoundFaces(name, error=QueryError(error.reason, str(error)))
            continue
        except ModelError as error:
            message = f"{called(name)}: {error}"
            yield FoundFaces(name, error=QueryError("model-error", message))
            continue
        facts = photo.facts
        found = FoundFaces(name, tuple(faces), facts.width, facts.height, facts.content_hash.hex())
        if seen is not None:
            seen(photo, found)
        yield found
