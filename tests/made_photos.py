"""Results of made-up photos, the same for the same name."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facesearch.recipes import ExtractorOptions, Recipe
from facesearch.records import (
    TRANSIENT_REASONS,
    Box,
    Face,
    Failure,
    PhotoEntry,
    PhotoFacts,
    PhotoResult,
)
from facesearch.store import Root, Store, StoreWriter

DIM = 8


class Photos:
    """Makes the parts of a store without a photo or a network."""

    recipe = Recipe(extractor=ExtractorOptions(dim=DIM))

    def result(self, text: str, faces: int | None = None, reason: str = "") -> PhotoResult:
        """What became of the photo whose bytes are ``text``; the same every time."""
        digest = hashlib.sha256(os.fsencode(text)).digest()
        random = np.random.default_rng(list(digest))
        if reason:
            unread = reason in TRANSIENT_REASONS
            failure = Failure(text, reason, f"{text}: went wrong – 😐")
            none = np.zeros((0, DIM), np.float32)
            return PhotoResult(b"" if unread else digest, None, (), none, failure)
        count = digest[0] % 4 if faces is None else faces
        rows = random.normal(size=(count, DIM))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        found = tuple(
            Face(
                Box(*(float(value) for value in random.integers(1, 500, 4))),
                tuple((float(x), float(y)) for x, y in random.integers(0, 500, (5, 2))),
                float(random.random()),
                float(random.random() * 100),
            )
            for _ in range(count)
        )
        facts = PhotoFacts(
            digest, digest[:16], 640, 480, 0.5, "2020-01-02T03:04:05", f"Zoë {text[:1]}", 2, "JPEG"
        )
        return PhotoResult(digest, facts, found, rows.astype(np.float32))

    def entry(self, key: str, text: str = "") -> PhotoEntry:
        """A file of this name; its size and time follow from its bytes."""
        return PhotoEntry(key, 100 + len(text), sum(os.fsencode(text)) * 1_000_000_007)

    def open(self, path: Path, **options: Any) -> StoreWriter:
        return StoreWriter.open(path, self.recipe, **options)

    def fill(self, writer: StoreWriter, keys: Sequence[str], root: int = 0) -> None:
        """Every file with bytes of its own."""
        for key in keys:
            writer.put((root, self.entry(key, key)), self.result(key))

    def build(self, path: Path, keys: Sequence[str], batch: int = 3, **options: Any) -> Store:
        """A finished store of one root, committed every few photos."""
        with self.open(path, **options) as writer:
            writer.set_roots([Root("/photos", "photos")])
            for start in range(0, len(keys), batch):
                self.fill(writer, keys[start : start + batch])
                writer.commit((start, len(keys)))
            writer.finish()
            return writer.store
