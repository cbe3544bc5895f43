"""Photos of coloured squares that stand for faces, an embedder that sees them, and stores of them.

A face is a filled rectangle on white; its colour is who it is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from facesearch.calibration import Calibration
from facesearch.errors import PhotoError
from facesearch.faces.mtcnn import reading_order
from facesearch.index_options import default_recipe
from facesearch.photos import PhotoLimits, hash_file, read_photo
from facesearch.processing import PhotoTask, ProcessSpec
from facesearch.recipes import CropOptions, ExtractorOptions, Recipe
from facesearch.records import (
    Box,
    Embeddings,
    Face,
    Failure,
    Photo,
    PhotoEntry,
    PhotoFacts,
    PhotoResult,
)
from facesearch.store import Root, Store, StoreWriter
from facesearch.systems import find_system

RED, GREEN, BLUE, GOLD = (200, 0, 0), (0, 160, 0), (0, 0, 250), (200, 160, 0)
Color = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]
MIDDLE: Rectangle = (30, 20, 40, 40)


def recipe() -> Recipe:
    """What a new store has by default, so that commands believe its rows."""
    return default_recipe("facenet-128")


def whole_recipe(unit: bool = True) -> Recipe:
    """Each photo is one item; rows have the length that they have unless ``unit``."""
    return dataclasses.replace(
        recipe(),
        name="whole",
        detector=find_system("small-cnn").recipe.detector,
        crop=CropOptions("whole", 0.0, "cubic"),
        extractor=dataclasses.replace(recipe().extractor, unit=unit),
    )


def small_calibration(space_digest: str = "") -> Calibration:
    """False matches: 1 in 10,000 at distance 0, 1 in 100 at 0.1, 1 in 10 at 0.5, all at 2."""
    return Calibration(
        space_digest,
        distances=(0.0, 0.1, 0.5, 2.0),
        probabilities=(1.0, 0.95, 0.5, 0.0),
        false_match_rates=(1e-4, 1e-2, 1e-1, 1.0),
        counted_from=0.0,
    )


def draw(
    path: Path, faces: Mapping[Color, Rectangle], size: tuple[int, int] = (120, 100), note: int = 0
) -> Path:
    """Saves a photo; ``note`` changes its bytes and nothing that is seen in it."""
    picture = Image.new("RGB", size, "white")
    for color, (x, y, width, height) in faces.items():
        picture.paste(color, (x, y, x + width, y + height))
    picture.putpixel((0, 0), (255, 255, 255 - note))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, format="PNG")
    return path


def row_of(color: Sequence[int], dim: int = 128) -> np.ndarray:
    """The embedding of a colour: near colours have near rows."""
    row = np.zeros(dim, np.float64)
    row[:3] = np.asarray(color, np.float64) + 5
    return (row / np.linalg.norm(row)).astype(np.float32)


class ColorEmbedder:
    """Finds the coloured rectangles of a photo."""

    def __init__(self, spec: object = None) -> None:
        self.limits = PhotoLimits(2048, 200_000_000)
        self.detected = 0

    @staticmethod
    def make_ready(fetch: object) -> None:
        """Needs nothing."""

    def detect(self, photo: Photo) -> list[Face]:
        self.detected += 1
        found = []
        pixels = photo.pixels.astype(int)
        for color in np.unique(pixels.reshape(-1, 3), axis=0):
            if color.sum() < 700:
                ys, xs = np.nonzero((pixels == color).all(axis=2))
                box = Box(float(xs[0]), float(ys[0]), float(np.ptp(xs) + 1), float(np.ptp(ys) + 1))
                found.append(Face(box, ((1.0, 1.0),) * 5, 0.99))
        return reading_order(found)

    def embed(self, photo: Photo, faces: Sequence[Face]) -> Embeddings:
        rows = []
        for face in faces:
            x, y = (int(value) for value in face.box.center)
            rows.append(row_of(photo.pixels[y, x]))
        return np.asarray(rows, np.float32).reshape(len(rows), 128)

    def describe(self) -> str:
        return "colours"

    def process(self, batch: Sequence[PhotoTask]) -> list[PhotoResult]:
        return [self.result(task.path) for task in batch]

    def result(self, path: Path | str) -> PhotoResult:
        none = np.zeros((0, 128), np.float32)
        try:
            photo = read_photo(path, self.limits)
        except PhotoError as error:
            content = hash_file(path)
            return PhotoResult(
                content, None, (), none, Failure(str(path), error.reason, str(error))
            )
        faces = self.detect(photo)
        return PhotoResult(
            photo.facts.content_hash, photo.facts, tuple(faces), self.embed(photo, faces)
        )


class WholePhotoEmbedder(ColorEmbedder):
    """Takes a photo as one item; its mean colour is what it shows, its row's length how bright."""

    def __init__(self, unit: bool) -> None:
        super().__init__()
        self._unit = unit

    def detect(self, photo: Photo) -> list[Face]:
        self.detected += 1
        return [Face(None, (), 1.0)]

    def embed(self, photo: Photo, faces: Sequence[Face]) -> Embeddings:
        assert [face.box for face in faces] == [None]
        mean = photo.pixels.reshape(-1, 3).mean(axis=0)
        row = row_of(mean) * np.float32(1 if self._unit else mean.sum() / 10)
        return row[None]


def embedder_of(spec: ProcessSpec) -> ColorEmbedder:
    """The embedder for a recipe, in place of ``processing.Pipeline``."""
    return _embedder(spec.recipe)


def _embedder(made: Recipe) -> ColorEmbedder:
    return WholePhotoEmbedder(made.extractor.unit) if made.subject == "photo" else ColorEmbedder()


def enroll(
    store: Path,
    roots: Sequence[Path],
    batch: int = 1000,
    finish: bool = True,
    recipe_: Recipe | None = None,
    progress: tuple[int, int] | None = None,
) -> Store:
    """Indexes all files below the roots, ``batch`` photos a commit and, unfinished, a segment."""
    with enrolling(store, roots, batch, recipe_, progress) as writer:
        if finish:
            writer.finish()
        return writer.store


@contextlib.contextmanager
def enrolling(
    store: Path,
    roots: Sequence[Path],
    batch: int = 1000,
    recipe_: Recipe | None = None,
    progress: tuple[int, int] | None = None,
) -> Iterator[StoreWriter]:
    """The same run while it is under way, with everything committed."""
    embedder = _embedder(recipe_ or recipe())
    apart = mock.patch("facesearch.store.compaction.TIER", 0)
    with apart, StoreWriter.open(store, recipe_ or recipe()) as writer:
        writer.set_roots([Root.at(root, store.parent) for root in roots])
        files = [(n, path) for n, root in enumerate(roots) for path in sorted(root.rglob("*"))]
        files = [(n, path) for n, path in files if path.is_file()]
        for start in range(0, len(files), batch):
            for n, path in files[start : start + batch]:
                stat = path.stat()
                key = path.relative_to(roots[n]).as_posix()
                entry = PhotoEntry(key, stat.st_size, stat.st_mtime_ns)
                writer.put((n, entry), embedder.result(path))
            writer.commit(progress or (start, len(files)))
        yield writer


def store_of_rows(
    store: Path,
    photos: Iterable[tuple[str, np.ndarray]],
    batch: int = 1000,
    finish: bool = True,
) -> Store:
    """A store with given rows: (relative path, (faces, dim) unit rows).

    Photos whose names are equal after "=" share a content: "a=x" and "b=x". Unless it is finished,
    each ``batch`` photos are a segment of their own.
    """
    photos = list(photos)
    dim = photos[0][1].shape[1] if photos else 4
    made = dataclasses.replace(recipe(), extractor=ExtractorOptions(dim=dim))
    apart = mock.patch("facesearch.store.compaction.TIER", 0)
    with apart, StoreWriter.open(store, made) as writer:
        writer.set_roots([Root("/photos", "photos")])
        for start in range(0, len(photos), batch):
            for key, rows in photos[start : start + batch]:
                writer.put((0, PhotoEntry(key, 1, 1)), result_of_rows(key, rows))
            writer.commit((start, len(photos)))
        if finish:
            writer.finish()
        return writer.store


def result_of_rows(key: str, rows: np.ndarray) -> PhotoResult:
    """A photo with these faces; its content is what follows "=" in its name."""
    digest = hashlib.sha256(key.rpartition("=")[2].encode()).digest()
    faces = tuple(Face(Box(10.0 * n, 0, 8, 8), (), 0.9) for n in range(len(rows)))
    facts = PhotoFacts(digest, digest[:16], 100, 80, 1.0, format="PNG")
    return PhotoResult(digest, facts, faces, np.asarray(rows, np.float32))
