"""Find a person's photos in your own folders, on your own machine.

``facesearch.index(["photos"], "faces.npz")`` fills a store, ``facesearch.open("faces.npz")`` makes
it ready for ``query(photo, k=25)``, ``facesearch.embed(photo)`` gives a photo's face embeddings,
``facesearch.find_faces(photo)`` their places, ``facesearch.verify(a, b)`` whether two photos show
one person.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facesearch.api import (
        FaceFinder,
        OpenGallery,
        OpenOptions,
        Verifier,
        embed,
        find_faces,
        index,
        open,
        verify,
    )
    from facesearch.errors import FacesearchError
    from facesearch.index_options import IndexOptions
    from facesearch.querying import QueryOptions

__version__ = "0.1.0"
__all__ = [
    "FaceFinder",
    "FacesearchError",
    "IndexOptions",
    "OpenGallery",
    "OpenOptions",
    "QueryOptions",
    "Verifier",
    "__version__",
    "embed",
    "find_faces",
    "index",
    "open",
    "verify",
]

_HOMES = {
    "FaceFinder": "api",
    "FacesearchError": "errors",
    "IndexOptions": "index_options",
    "OpenGallery": "api",
    "OpenOptions": "api",
    "QueryOptions": "querying",
    "Verifier": "api",
    "embed": "api",
    "find_faces": "api",
    "index": "api",
    "open": "api",
    "verify": "api",
}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first used, so that ``import facesearch`` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
