"""The library's front: ``index``, ``open``, ``embed``. It logs and never prints."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch import indexing, querying, weights
from facesearch.errors import NoFaceError, PhotoError, UsageError
from facesearch.gallery import Search, Where
from facesearch.gallery.npz import NpzGallery
from facesearch.index_options import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_MODEL,
    IndexOptions,
    cores,
    default_recipe,
)
from facesearch.indexing import IndexHooks
from facesearch.processing import Pipeline, ProcessSpec
from facesearch.querying import PhotoLike, QueryOptions
from facesearch.records import (
    Coverage,
    Embeddings,
    IndexSummary,
    Query,
    QueryResult,
)
from facesearch.runtimes import RuntimeOptions
from facesearch.store import Store


def index(
    paths: str | Path | Iterable[str | Path] = (),
    store: str | Path = "faces.npz",
    options: IndexOptions | None = None,
) -> IndexSummary:
    """Brings a store up to date with folders and files; see ``facesearch index``.

    Args:
        paths: folders or files; none: all that the store knows.
        store: the store's file, made when missing.
        options: how; the defaults are those of the command.

    Raises:
        FacesearchError: see ``facesearch.errors``; one bad photo is no error but a failure in the
            summary.
    """
    named = [paths] if isinstance(paths, (str, Path)) else list(paths)
    return indexing.index(
        [Path(path) for path in named],
        Path(store).absolute(),
        options or IndexOptions(),
        IndexHooks(),
    )


@dataclass(slots=True)
class _Loaded:
    """Networks made when first needed; used by one thread at a time."""

    spec: ProcessSpec
    offline: bool
    lock: threading.Lock = field(default_factory=threading.Lock)
    pipeline: Pipeline | None = None

    def __enter__(self) -> Pipeline:
        self.lock.acquire()
        try:
            if self.pipeline is None:
                weights.ensure(self.spec.recipe.extractor.model, offline=self.offline)
                self.pipeline = self.spec()
        except BaseException:
            self.lock.release()
            raise
        return self.pipeline

    def __exit__(self, *_: object) -> None:
        self.lock.release()


class OpenGallery:
    """A store with its networks loaded, for many queries; safe in threads.

    A newer version of the store is picked up at the next query.
    """

    def __init__(self, store: str | Path, device: str = "auto", offline: bool = False) -> None:
        self._path = Path(store).absolute()
        self._seen = _version(self._path)
        self._gallery = NpzGallery(Store.open(self._path))
        self._swap = threading.Lock()
        runtime = RuntimeOptions(device=device, threads=cores())
        querying.check_space(self._gallery.recipe)
        spec = ProcessSpec(self._gallery.recipe, DEFAULT_MAX_PIXELS, runtime)
        self._networks = _Loaded(spec, offline)

    @property
    def coverage(self) -> Coverage:
        """What a query looks through."""
        return self._current().coverage()

    def query(
        self, photo: PhotoLike | Path | NDArray[Any], k: int | None = 25, **options: Any
    ) -> QueryResult:
        """The photos nearest to one face of a photo.

        Args:
            photo: a path, bytes, binary file, PIL image, (h, w, 3) uint8 RGB array, or a (dim,)
                float embedding.
            k: how many photos; None for all.
            options: further fields of ``QueryOptions``; without ``face`` or ``box`` the most
                prominent face is taken.

        Returns:
            The query's faces and its neighbours, nearest first.

        Raises:
            NoFaceError: there is no face.
            PhotoError: the photo cannot be read.
            UsageError: options contradict each other.
        """
        if options.get("face") == "all":
            raise UsageError("query answers for one face; query_faces answers for all of them")
        return self._answers(photo, QueryOptions(k=k, **options))[0]

    def query_faces(
        self, photo: PhotoLike | Path, k: int | None = 25, **options: Any
    ) -> list[QueryResult]:
        """The photos nearest to each face of a photo, in reading order; see ``query``."""
        return self._answers(photo, QueryOptions(k=k, face="all", **options))

    def embed(self, photo: PhotoLike | Path) -> Embeddings:
        """(faces, dim) embeddings of all faces of a photo, in reading order."""
        self._current()
        with self._networks as pipeline:
            return _embed(pipeline, photo)

    def _answers(
        self, photo: PhotoLike | Path | NDArray[Any], asked: QueryOptions
    ) -> list[QueryResult]:
        querying.check_options(asked, photos=1)
        gallery = self._current()
        if isinstance(photo, np.ndarray) and photo.ndim == 1:
            return [_by_embedding(gallery, photo, asked)]
        with self._networks as pipeline:
            probe = querying.look(pipeline, _name(photo), _plain(photo), asked)
        found = list(querying.answers(gallery, probe, asked))
        for result in found:
            _raise(result)
        return found

    def _current(self) -> NpzGallery:
        """The gallery, read anew when its file was replaced."""
        with self._swap:
            version = _version(self._path)
            if version != self._seen:
                gallery = NpzGallery(Store.open(self._path))
                if gallery.recipe != self._gallery.recipe:
                    spec = dataclasses.replace(self._networks.spec, recipe=gallery.recipe)
                    self._networks = _Loaded(spec, self._networks.offline)
                self._gallery, self._seen = gallery, version
            return self._gallery


def open(store: str | Path, device: str = "auto", offline: bool = False) -> OpenGallery:
    """A store ready for queries; its networks are loaded at the first one.

    Args:
        store: the store's file.
        device: "auto", "cpu" or "gpu".
        offline: never download weights.

    Raises:
        StoreError: it is missing or cannot be read.
        RecipeMismatchError: its rows were made with other weights than are installed.
    """
    return OpenGallery(store, device, offline)


def embed(photo: PhotoLike | Path, model: str = DEFAULT_MODEL, device: str = "auto") -> Embeddings:
    """(faces, dim) unit rows, one for each face of a photo in reading order; no face, no row.

    The networks are loaded for each call; for many photos use ``open(...).embed``, or ``index``.

    Raises:
        PhotoError: the photo cannot be read.
        WeightsError: the model's weights are missing and cannot be downloaded.
    """
    weights.ensure(model)
    runtime = RuntimeOptions(device=device, threads=cores())
    return _embed(ProcessSpec(default_recipe(model), DEFAULT_MAX_PIXELS, runtime)(), photo)


def _embed(pipeline: Pipeline, photo: PhotoLike | Path) -> Embeddings:
    opened = querying.open_photo(_plain(photo), pipeline.limits)
    return pipeline.embed(opened, pipeline.detect(opened))


def _by_embedding(gallery: NpzGallery, row: NDArray[Any], asked: QueryOptions) -> QueryResult:
    unit = np.asarray(row, np.float32)
    length = float(np.linalg.norm(unit))
    dim = gallery.recipe.extractor.dim
    if unit.shape != (dim,) or not np.isfinite(length) or length == 0:
        raise UsageError(f"an embedding for this store is {dim} finite numbers, not all zero")
    where = Where(under=asked.under, max_distance=asked.max_distance)
    found = gallery.search(unit[None] / length, [""], Search(asked.k, asked.by, where))
    return QueryResult(Query("", None, ()), found)


def _raise(result: QueryResult) -> None:
    if result.error is None:
        return
    if result.error.code == "no-face":
        raise NoFaceError(result.error.message)
    raise PhotoError(result.error.code, result.error.message)


def _name(photo: object) -> str:
    return str(photo) if isinstance(photo, (str, Path)) else "-"


def _plain(photo: PhotoLike | Path) -> PhotoLike:
    return str(photo) if isinstance(photo, Path) else photo


def _version(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
