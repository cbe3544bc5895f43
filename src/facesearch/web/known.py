"""Photos that were looked at, kept in memory for the searches that follow."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from cachetools import LRUCache

from facesearch.photos import PhotoLimits
from facesearch.querying import Embedder
from facesearch.records import Embeddings, Face, Photo
from facesearch.web.problems import HttpError


class Limited:
    """An embedder for photos of strangers, who may send less large ones."""

    def __init__(self, embedder: Embedder, pixels: int) -> None:
        own = embedder.limits
        self.embedder = embedder
        self.limits = PhotoLimits(own.max_side, min(pixels, own.max_pixels))

    def detect(self, photo: Photo) -> list[Face]:
        """See ``Embedder``."""
        return self.embedder.detect(photo)

    def embed(self, photo: Photo, faces: Sequence[Face]) -> Embeddings:
        """See ``Embedder``."""
        return self.embedder.embed(photo, faces)


class Known:
    """A decoded photo with its faces, found by ``embedder``; each face is embedded once."""

    def __init__(self, photo: Photo, faces: Sequence[Face], embedder: Limited) -> None:
        self.photo = photo
        self.faces = tuple(faces)
        self.embedder = embedder
        self.limits = embedder.limits
        self.rows: dict[Face, Any] = {}

    def detect(self, photo: Photo) -> list[Face]:
        """See ``Embedder``; nothing is looked for again."""
        return list(self.faces)

    def embed(self, photo: Photo, faces: Sequence[Face]) -> Embeddings:
        """See ``Embedder``; each face once."""
        found = {face: self.rows[face] for face in faces if face in self.rows}
        missing = [face for face in faces if face not in found]
        if missing:
            made = zip(missing, self.embedder.embed(photo, missing), strict=True)
            found.update(made)
            if len(self.rows) < _MOST_ROWS:  # boxes drawn by hand have no end
                self.rows.update(found)
        return np.stack([found[face] for face in faces])

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return int(self.photo.pixels.nbytes) + 4096


_MOST_ROWS = 1000


class KnownPhotos:
    """The photos looked at last, by a token that nobody can guess."""

    def __init__(self, most_bytes: int) -> None:
        self._lock = threading.Lock()
        self._most = most_bytes
        self._held: LRUCache[str, Known] = LRUCache(most_bytes, getsizeof=lambda each: each.size)

    def keep(self, known: Known) -> str | None:
        """Its token; None where it is too large to be kept."""
        if known.size > self._most:
            return None
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._held[token] = known
        return token

    def get(self, token: str) -> Known:
        """The photo of a token.

        Raises:
            HttpError: it is gone by now.
        """
        with self._lock:
            known = self._held.get(token)
        if known is None:
            raise HttpError(404, "photo-gone", "this photo is no longer here; send it again")
        return known
