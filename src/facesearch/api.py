"""The library's front: ``index``, ``open``, ``embed``, ``verify``, ``find_faces``.

It logs and never prints.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facesearch import adding, finding, indexing, querying, verifying
from facesearch.adding import Added
from facesearch.addresses import EngineAddress, StoreName, parse_store
from facesearch.cores import cores
from facesearch.errors import ModelError, NoFaceError, PhotoError, UsageError
from facesearch.gallery import Gallery, Search
from facesearch.gallery.opening import open_gallery
from facesearch.index_options import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_MODEL,
    IndexOptions,
    default_recipe,
    looking_spec,
    query_spec,
)
from facesearch.indexing import IndexHooks
from facesearch.locations import as_location
from facesearch.photos import read_bytes
from facesearch.processing import LazyPipeline, ProcessSpec
from facesearch.querying import PhotoLike, QueryOptions
from facesearch.records import (
    Box,
    Coverage,
    Embeddings,
    FoundFaces,
    IndexSummary,
    Query,
    QueryError,
    QueryResult,
    Verdict,
)
from facesearch.runtimes import Fetch, RuntimeOptions
from facesearch.search import AUTO, QUERY_BACKENDS
from facesearch.store.passphrases import Given, Keys, unlocking

if TYPE_CHECKING:
    from facesearch.gallery.expanded import Confirm

_log = logging.getLogger(__name__)


def index(
    paths: str | Path | Iterable[str | Path] = (),
    store: str | StoreName = "faces.npz",
    options: IndexOptions | None = None,
    passphrase: str | None = None,
) -> IndexSummary:
    """Brings a store up to date with folders and files; see ``facesearch index``.

    Args:
        paths: folders or files, addresses ("s3://bucket/photos") as text; none: all that the store
            knows.
        store: the store's file, or the address of a gallery in a search engine
            ("milvus+http://host:19530/collection"); made when missing.
        options: how; the defaults are those of the command.
        passphrase: of an encrypted store, or one that ``options`` say to encrypt.

    Raises:
        FacesearchError: see ``facesearch.errors``; one bad photo is no error but a failure in the
            summary.
    """
    named = [paths] if isinstance(paths, (str, Path)) else list(paths)
    with _unlocked(_keys_of(passphrase)):
        return indexing.index(
            [as_location(path) for path in named],
            parse_store(store),
            options or IndexOptions(),
            IndexHooks(on_message=_log.info),
        )


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How a store is opened for queries.

    ``backend`` is what searches: "auto", or one of ``search.QUERY_BACKENDS``; all but
    "faiss-rabitq" give the same answers. ``device``, ``runtime`` and ``precision`` are those of
    ``RuntimeOptions``. ``offline`` never downloads weights. ``confirm`` is asked, with a sentence
    that says what it will cost, before a query with ``expand`` compares more than a million faces
    with each other; without it that is a UsageError. ``passphrase`` opens an encrypted store.

    Raises:
        UsageError: no such back end, device, runtime or precision.
    """

    backend: str = AUTO
    device: str = "auto"
    runtime: str = "auto"
    precision: str = "auto"
    offline: bool = False
    confirm: Confirm | None = None
    passphrase: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.backend not in QUERY_BACKENDS:
            known = ", ".join(QUERY_BACKENDS)
            raise UsageError(
                f"no query runs on a back end {self.backend!r}; choose one of: {known}"
            )
        _ = self.runtime_options

    @property
    def runtime_options(self) -> RuntimeOptions:
        """What runs the networks: all cores work on one photo."""
        return RuntimeOptions(self.runtime, self.device, cores(), self.precision)


class OpenGallery:
    """A store with its networks, for many queries; safe in threads.

    The networks are loaded at the first query. A newer version of the store is picked up at the
    next one.
    """

    def __init__(self, store: str | StoreName, options: OpenOptions) -> None:
        self._path = parse_store(store)
        self._options = options
        self._keys = _keys_of(options.passphrase)
        self._swap = threading.Lock()
        self._writing = threading.Lock()
        self._version = _version(self._path)
        with _unlocked(self._keys):
            self._now = self._opened(None)

    def opened(self) -> Opened:
        """The store as it is now, with the networks that belong to it: one snapshot for several
        questions.

        Raises:
            StoreError: the store is gone or damaged.
            RecipeMismatchError: it was made anew with other weights than are installed.
        """
        with _unlocked(self._keys):
            return self._current()

    @property
    def coverage(self) -> Coverage:
        """What a query looks through."""
        with _unlocked(self._keys):
            return self._current().gallery.coverage()

    def query(
        self, photo: PhotoLike | Path | NDArray[Any], k: int | None = 25, **options: Any
    ) -> QueryResult:
        """The photos nearest to one face of a photo.

        Args:
            photo: a path, bytes, binary file, PIL image, (h, w, 3) uint8 RGB array, or a (dim,)
                float embedding. Where the store holds whole photos, the photo is one item.
            k: how many photos; None for all.
            options: further fields of ``QueryOptions``; without ``face`` or ``box`` the most
                prominent face is taken. ``box`` may be (x, y, width, height), ``under`` one folder,
                ``persons`` one name,
                ``fmr`` (a false match rate, as 1e-4) stands in place of ``max_distance``.
                ``expand`` knows the query's own photo by its file: pixels and embeddings of a photo
                that is in the store are supported by it.

        Returns:
            The query's faces and its neighbours, nearest first.

        Raises:
            NoFaceError: there is no face.
            PhotoError: the photo cannot be read.
            UsageError: options contradict each other or the photo.
            WeightsError: the model's weights are missing and cannot be downloaded.
            ModelError: a network failed.
            StoreError: the store is gone or damaged.
        """
        if options.get("face") == "all":
            raise UsageError("query answers for one face; query_faces answers for all of them")
        with _unlocked(self._keys):
            return self._answers(photo, _options(k, options))[0]

    def query_faces(
        self, photo: PhotoLike | Path, k: int | None = 25, **options: Any
    ) -> list[QueryResult]:
        """The photos nearest to each face of a photo, in reading order; see ``query``."""
        with _unlocked(self._keys):
            return self._answers(photo, _options(k, {**options, "face": "all"}))

    def embed(self, photo: PhotoLike | Path) -> Embeddings:
        """(faces, dim) embeddings of all faces of a photo, in reading order, or (1, dim) of the
        photo where the store holds whole photos.

        Raises:
            PhotoError, WeightsError, ModelError, StoreError: as ``query``.
        """
        with _unlocked(self._keys):
            return _embed(self._current().embedder, photo)

    def add(self, photo: bytes | str | Path, key: str, wait: bool = False) -> Added:
        """Puts one photo into the store under a key of yours; one that is there is replaced.

        The photo is copied into a folder beside the store ("faces.npz.photos"), which later runs
        look at too.

        Args:
            photo: the content of its file, or the file's path.
            key: letters, digits, ".", "_" and "-", with "/" between parts ("anna/2019.jpg").
            wait: for another writer to end.

        Raises:
            UsageError: no key can be such, the store is encrypted or no file, or the photo was
                forgotten.
            PhotoError: the photo cannot be used.
            StoreError: the store cannot be written; StoreBusyError: another process writes it.
        """
        data = photo if isinstance(photo, bytes) else read_bytes(photo).data
        with _unlocked(self._keys), self._writing:
            return adding.add(self._file(), self._current().embedder, data, key, wait)

    def remove(self, key: str, wait: bool = False) -> bool:
        """Takes out a photo that ``add`` put in, and deletes its copy; whether there was one.

        Raises:
            UsageError, StoreError: as ``add``.
        """
        with _unlocked(self._keys), self._writing:
            return adding.remove(self._file(), key, wait)

    def _file(self) -> Path:
        if isinstance(self._path, EngineAddress):
            raise UsageError(f"{self._path}: photos are added under keys to store files alone")
        return self._path

    def _answers(
        self, photo: PhotoLike | Path | NDArray[Any], asked: QueryOptions
    ) -> list[QueryResult]:
        querying.check_options(asked, photos=1)
        now = self._current()
        asked = querying.settle(now.gallery, asked)
        if isinstance(photo, np.ndarray) and photo.ndim == 1:
            return [_by_embedding(now.gallery, photo, asked)]
        if asked.exclude_self and isinstance(photo, (np.ndarray, Image.Image)):
            raise UsageError("exclude_self compares files; give a path, bytes or an open file")
        querying.warm_up(now.gallery, asked)
        probe = querying.look(now.embedder, _name(photo), _plain(photo), asked)
        found = list(querying.answers(now.gallery, probe, asked))
        for result in found:
            _raise(result.error)
        return found

    def _current(self) -> Opened:
        """Gallery and networks, made anew when the store's file was replaced."""
        with self._swap:
            version = _version(self._path)
            if version != self._version:
                self._now = self._opened(self._now)
                self._version = version
            return self._now

    def _opened(self, before: Opened | None) -> Opened:
        options = self._options
        gallery = open_gallery(self._path, options.backend, options.confirm)
        querying.check_space(gallery)
        spec = query_spec(gallery, options.runtime_options)
        if before is not None and before.embedder.spec == spec:
            return Opened(gallery, before.embedder)
        prepare = partial(spec.make_ready, Fetch(options.offline, _log.info))
        return Opened(gallery, LazyPipeline(spec, prepare))


@dataclass(frozen=True, slots=True)
class Opened:
    """A snapshot of a store, and what embeds photos as its rows were made."""

    gallery: Gallery
    embedder: LazyPipeline


def open(store: str | StoreName, **options: Any) -> OpenGallery:
    """A store ready for queries; its networks are loaded at the first one.

    Args:
        store: the store's file, or the address of a gallery in a search engine.
        options: fields of ``OpenOptions``.

    Raises:
        StoreError: it is missing or cannot be read.
        RecipeMismatchError: its rows were made with other weights than are installed.
        UsageError: an option cannot be meant.
    """
    return OpenGallery(store, OpenOptions(**options))


def embed(photo: PhotoLike | Path, model: str = DEFAULT_MODEL, device: str = "auto") -> Embeddings:
    """(faces, dim) unit rows, one for each face of a photo in reading order; no face, no row.

    The networks are loaded for each call; for many photos use ``open(...).embed``, or ``index``.

    Raises:
        PhotoError: the photo cannot be read.
        WeightsError: the model's weights are missing and cannot be downloaded.
    """
    runtime = RuntimeOptions(device=device, threads=cores())
    spec = ProcessSpec(default_recipe(model), DEFAULT_MAX_PIXELS, runtime)
    return _embed(LazyPipeline(spec, partial(spec.make_ready, Fetch(report=_log.info))), photo)


def _keys_of(passphrase: str | None) -> Keys | None:
    """What opens stores with this passphrase."""
    return None if passphrase is None else Keys(Given(passphrase))


def _unlocked(keys: Keys | None) -> AbstractContextManager[object]:
    """Encrypted stores can be opened inside, as far as there are keys."""
    return nullcontext() if keys is None else unlocking(keys)


class Verifier:
    """Tells for many pairs of photos whether they show one person; safe in threads.

    The networks are loaded at the first pair.
    """

    def __init__(self, look: IndexOptions | None = None) -> None:
        """Load nothing yet.

        Args:
            look: how faces are found and embedded: ``system`` or ``model``, ``min_face``,
                ``min_score``, ``detail``, ``device``, ``runtime``, ``precision``, ``offline``.

        Raises:
            UsageError: the options cannot be meant.
            WeightsError: the hash of the weights is known only once they are here.
        """
        look = look or IndexOptions()
        spec = looking_spec(look)
        self._embedder = LazyPipeline(
            spec, partial(spec.make_ready, Fetch(look.offline, _log.info))
        )

    def verify(self, a: PhotoLike | Path, b: PhotoLike | Path, **options: Any) -> Verdict:
        """Whether a face of ``a`` and one of ``b`` count as one person's.

        Args:
            a: a path, bytes, binary file, PIL image or (h, w, 3) uint8 RGB array.
            b: the other one.
            options: fields of ``VerifyOptions``: ``fmr``, the share of pairs of different people
                that may count as one (1e-3), or ``max_distance``; ``faces`` and ``boxes`` of the
                two where the most prominent is not meant.

        Raises:
            NoFaceError: one of them has no face.
            PhotoError: one of them cannot be read.
            UsageError: the options cannot be meant, or the distances are not calibrated and no
                ``max_distance`` is given.
            WeightsError: the model's weights are missing and cannot be downloaded.
            ModelError: a network failed.
        """
        asked = verifying.VerifyOptions(**options)
        first, second = ((_name(photo), _plain(photo)) for photo in (a, b))
        verdict = verifying.verify(self._embedder, self._embedder.spec.recipe, first, second, asked)
        _raise(verdict.error)
        return verdict


def verify(
    a: PhotoLike | Path, b: PhotoLike | Path, look: IndexOptions | None = None, **options: Any
) -> Verdict:
    """Whether two photos show one person; see ``Verifier.verify``, and use that for many pairs:
    here the networks are loaded for each call.
    """
    return Verifier(look).verify(a, b, **options)


class FaceFinder:
    """Finds the faces of many photos; safe in threads. The networks are loaded at the first."""

    def __init__(self, look: IndexOptions | None = None) -> None:
        """Load nothing yet; ``look`` as for ``Verifier``, as far as it is about finding faces.

        Raises:
            UsageError: the options cannot be meant, or look for no face.
        """
        look = look or IndexOptions()
        self._finder = finding.finder_for(look, Fetch(look.offline, _log.info))

    def find(self, photo: PhotoLike | Path) -> FoundFaces:
        """The faces of a photo in reading order, with boxes, landmarks, scores and sharpness.

        Raises:
            PhotoError: the photo cannot be read.
            WeightsError: the detector's weights are missing.
            ModelError: a network failed.
        """
        (found,) = finding.find_faces(self._finder, [(_name(photo), _plain(photo))])
        _raise(found.error)
        return found


def find_faces(photo: PhotoLike | Path, look: IndexOptions | None = None) -> FoundFaces:
    """The faces of a photo; see ``FaceFinder.find``, and use that for many photos: here the
    networks are loaded for each call. A photo without a face has none, and is no error.
    """
    return FaceFinder(look).find(photo)


def _embed(embedder: LazyPipeline, photo: PhotoLike | Path) -> Embeddings:
    opened = querying.open_photo(_plain(photo), embedder.limits, _name(photo))
    return embedder.embed(opened, embedder.detect(opened))


def _options(k: int | None, options: dict[str, Any]) -> QueryOptions:
    """The options as they are kept; a box may be four numbers, ``under`` one folder, ``persons``
    one name.
    """
    box, under, persons = options.get("box"), options.get("under", ()), options.get("persons", ())
    if box is not None and not isinstance(box, Box):
        options = {**options, "box": Box(*(float(side) for side in box))}
    folders = [under] if isinstance(under, (str, Path)) else under
    under = tuple(os.fspath(folder) for folder in folders)
    persons = (persons,) if isinstance(persons, str) else tuple(persons)
    return QueryOptions(**{**options, "k": k, "under": under, "persons": persons})


def _by_embedding(gallery: Gallery, row: NDArray[Any], asked: QueryOptions) -> QueryResult:
    if asked.face is not None or asked.box is not None or asked.exclude_self:
        raise UsageError("an embedding is no photo: face, box and exclude_self mean nothing for it")
    given = np.asarray(row, np.float64)
    length = float(np.linalg.norm(given))
    made = gallery.recipe.extractor
    if given.shape != (made.dim,) or not math.isfinite(length) or length == 0:
        raise UsageError(f"an embedding for this store is {made.dim} finite numbers, not all zero")
    where = asked.where
    asked_row = (given / length if made.unit else given).astype(np.float32)
    found = gallery.search(asked_row[None], [""], Search(asked.k, asked.by, where, asked.expand))
    return QueryResult(Query("", None, ()), found, searched=gallery.size(where))


def _raise(error: QueryError | None) -> None:
    if error is None:
        return
    code, message = error.code, error.message
    if code == "no-face":
        raise NoFaceError(message)
    if code == "model-error":
        raise ModelError(message)
    raise PhotoError(code, message)


def _name(photo: object) -> str:
    return os.fspath(photo) if isinstance(photo, (str, Path)) else ""


def _plain(photo: PhotoLike | Path) -> PhotoLike:
    return str(photo) if isinstance(photo, Path) else photo


def _version(path: StoreName) -> tuple[int, int, int] | None:
    if isinstance(path, EngineAddress):
        return None  # what is written there is found as it comes
    try:
        stat = path.stat()
    except OSError:
        return None  # opening it says what is wrong
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
