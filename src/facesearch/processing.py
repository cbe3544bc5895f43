"""One photo's way from file to embeddings: the pure function that indexing and queries share."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from facesearch.errors import ModelError, PhotoError, UsageError
from facesearch.extractors import Extractor, load_extractor
from facesearch.extractors.rows import unit
from facesearch.faces import Detector, load_detector, networks_of, smallest_findable
from facesearch.faces.crop import crop_faces, sharpness
from facesearch.photos import (
    PhotoBytes,
    PhotoLimits,
    decode_photo,
    hash_file,
    read_ahead,
    read_bytes,
)
from facesearch.recipes import DetectorOptions, Recipe
from facesearch.records import (
    TRANSIENT_REASONS,
    Box,
    Embeddings,
    Face,
    Failure,
    Photo,
    PhotoResult,
    Pixels,
)
from facesearch.runtimes import Fetch, RuntimeOptions, device_name, make_ready


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """All that a process needs to turn photos into results; picklable."""

    recipe: Recipe
    max_pixels: int
    runtime: RuntimeOptions

    @property
    def limits(self) -> PhotoLimits:
        """How large photos are decoded."""
        return PhotoLimits(self.recipe.max_side, self.max_pixels)

    def make_ready(self, fetch: Fetch) -> None:
        """Brings what the networks need, once, before any process loads them.

        Raises:
            UsageError: the runtime does not have one of the networks in this precision.
            WeightsError: weights are missing and cannot be downloaded.
            ModelError: the runtime cannot be loaded.
        """
        make_ready(networks(self.recipe), self.runtime, fetch)

    def __call__(self) -> Pipeline:
        """Loads the networks; called once in the process that uses them."""
        return Pipeline(self)


def networks(recipe: Recipe) -> tuple[str, ...]:
    """All networks that a recipe runs, by their names in the weights manifest."""
    return (*networks_of(recipe.detector), recipe.extractor.model)


@dataclass(frozen=True, slots=True)
class PhotoTask:
    """A photo to read. ``number`` is the caller's."""

    number: int
    path: str


class Pipeline:
    """Detector and extractor of one recipe, ready to use; by one thread at a time."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.limits = spec.limits
        self._recipe = spec.recipe
        self._runtime = spec.runtime
        self._detector: Detector = load_detector(spec.recipe.detector, spec.runtime)
        self._extractor: Extractor = load_extractor(spec.recipe.extractor, spec.runtime)

    def describe(self) -> str:
        """What the networks run on."""
        return device_name(self._runtime, self._recipe.extractor.model)

    def process(self, batch: Sequence[PhotoTask]) -> list[PhotoResult]:
        """One result for each task, in order; a photo's failure is its own result.

        Faces are found photo by photo, so that they do not depend on the rest of the batch; the
        crops of all photos then go through the extractor together.
        """
        files = read_ahead(read_bytes, [task.path for task in batch])
        found = [self._find(task, file) for task, file in zip(batch, files, strict=True)]
        crops = [crops for _, crops in found if len(crops)]
        if not crops:
            return [result for result, _ in found]
        try:
            rows = iter(self._embedded(np.concatenate(crops)))
        except ModelError as error:
            if len(batch) > 1:
                return [result for task in batch for result in self.process([task])]
            return [self._failed(batch[0].path, found[0][0].content_hash, "model-error", error)]
        return [self._with_rows(result, rows) for result, _ in found]

    def detect(self, photo: Photo) -> list[Face]:
        """The photo's faces in reading order, in upright original pixels; or the photo itself as
        one item without a box, where the recipe detects nothing.

        Raises:
            ModelError: a network failed.
        """
        return _detected(self._detector, self._recipe.detector, photo)

    def embed(self, photo: Photo, faces: Sequence[Face]) -> Embeddings:
        """(len(faces), dim) rows for faces given in upright original pixels.

        A face without landmarks, as a drawn box is, gets those that the detector sees in it.

        Raises:
            UsageError: a box, where the recipe takes whole photos.
            ModelError: a network failed.
        """
        if self._recipe.subject == "photo" and any(face.box is not None for face in faces):
            raise UsageError("a system of whole photos takes no box; leave it out")
        if not faces:
            return self._no_rows()
        marked = [face if face.landmarks else self._marked(photo, face) for face in faces]
        return self._embedded(self.crops(photo, marked))

    def _embedded(self, crops: Pixels) -> Embeddings:
        """(faces, dim) rows of (faces, crops a face, size, size, 3)."""
        rows = self._extractor.embed(crops.reshape(-1, *crops.shape[2:]))
        if crops.shape[1] == 1:
            return rows
        means = rows.reshape(*crops.shape[:2], -1).mean(axis=1)
        return unit(means) if self._recipe.extractor.unit else means

    def _marked(self, photo: Photo, face: Face) -> Face:
        scale = photo.facts.scale
        box = scaled(face, scale).box
        if box is None:
            return face
        points = self._detector.landmarks(photo.pixels, box)
        return dataclasses.replace(face, landmarks=tuple((x / scale, y / scale) for x, y in points))

    def _find(self, task: PhotoTask, file: PhotoBytes | PhotoError) -> tuple[PhotoResult, Pixels]:
        """The result so far, without embeddings, and the (n, crops a face, size, size, 3) crops."""
        content = b""
        try:
            if isinstance(file, PhotoError):
                raise file
            content = file.content_hash
            photo = decode_photo(file, self.limits)
            faces = self.detect(photo)
            if not faces:
                return PhotoResult(content, photo.facts, (), self._no_rows()), _no_crops()
            crops = self.crops(photo, faces)
        except PhotoError as error:
            if not content and error.reason not in TRANSIENT_REASONS:
                content = _hash_or_nothing(task.path)
            return self._failed(task.path, content, error.reason, error), _no_crops()
        except (ModelError, UsageError) as error:  # a box outside the photo is the detector's fault
            return self._failed(task.path, content, "model-error", error), _no_crops()
        faces = [
            dataclasses.replace(face, sharpness=sharpness(views[0]))
            for face, views in zip(faces, crops, strict=True)
        ]
        return PhotoResult(content, photo.facts, tuple(faces), self._no_rows()), crops

    def crops(self, photo: Photo, faces: Sequence[Face]) -> Pixels:
        """(len(faces), crops a face, size, size, 3) uint8 RGB, as the extractor takes them; faces
        in upright original pixels.
        """
        at_scale = [scaled(face, photo.facts.scale) for face in faces]
        size = self._extractor.input_size
        return np.stack(
            [crop_faces(photo.pixels, at_scale, crop, size) for crop in self._recipe.crops], axis=1
        )

    def _with_rows(self, result: PhotoResult, rows: Iterator[Embeddings]) -> PhotoResult:
        if not result.faces:
            return result
        own = np.stack([next(rows) for _ in result.faces])
        return dataclasses.replace(result, embeddings=own)

    def _failed(self, path: str, content: bytes, reason: str, error: Exception) -> PhotoResult:
        failure = Failure(path, reason, str(error))
        return PhotoResult(content, None, (), self._no_rows(), failure)

    def _no_rows(self) -> Embeddings:
        return np.zeros((0, self._extractor.dim), np.float32)


class LazyPipeline:
    """Finds and embeds faces for queries; safe in threads.

    The networks are loaded when a photo first needs them, so that a mistyped name is not told after
    seconds of loading, and are used by one thread at a time.
    """

    def __init__(self, spec: ProcessSpec, prepare: Callable[[], object]) -> None:
        """Load nothing yet; ``prepare`` is called before the networks are loaded."""
        self.spec = spec
        self.limits = spec.limits
        self._prepare = prepare
        self._lock = threading.Lock()
        self._pipeline: Pipeline | None = None

    def detect(self, photo: Photo) -> list[Face]:
        """See ``Pipeline.detect``.

        Raises:
            WeightsError, DeviceError: the networks cannot be loaded.
            ModelError: a network failed.
        """
        with self._lock:
            return self._loaded().detect(photo)

    def embed(self, photo: Photo, faces: Sequence[Face]) -> Embeddings:
        """See ``Pipeline.embed``; raises as ``detect``."""
        with self._lock:
            return self._loaded().embed(photo, faces)

    def process(self, path: str) -> PhotoResult:
        """What becomes of a photo's file in an index run; raises as ``detect``."""
        with self._lock:
            (result,) = self._loaded().process([PhotoTask(0, path)])
        return result

    def _loaded(self) -> Pipeline:
        if self._pipeline is None:
            self._prepare()
            self._pipeline = self.spec()
        return self._pipeline


class FaceFinder:
    """The detector alone: faces of photos without the network that embeds them, nor its weights.

    Safe in threads; loaded when a photo first needs it.
    """

    def __init__(self, spec: ProcessSpec, fetch: Fetch) -> None:
        """Load nothing yet; ``fetch`` says how what is missing may be brought."""
        self.limits = spec.limits
        self._spec = spec
        self._fetch = fetch
        self._lock = threading.Lock()
        self._detector: Detector | None = None

    def find(self, photo: Photo) -> list[Face]:
        """The photo's faces in reading order with their sharpness, in upright original pixels.

        Raises:
            WeightsError, DeviceError: the networks cannot be loaded.
            ModelError: a network failed.
        """
        with self._lock:
            found = _detected(self._loaded(), self._spec.recipe.detector, photo)
        return [dataclasses.replace(face, sharpness=self._sharpness(photo, face)) for face in found]

    def _sharpness(self, photo: Photo, face: Face) -> float:
        recipe = self._spec.recipe
        at_scale = scaled(face, photo.facts.scale)
        try:
            (crop,) = crop_faces(photo.pixels, [at_scale], recipe.crop, recipe.extractor.input_size)
        except UsageError as error:  # a box outside the photo is the detector's fault
            raise ModelError(str(error)) from error
        return sharpness(crop)

    def _loaded(self) -> Detector:
        if self._detector is None:
            spec = self._spec
            make_ready(networks_of(spec.recipe.detector), spec.runtime, self._fetch)
            self._detector = load_detector(spec.recipe.detector, spec.runtime)
        return self._detector


def _detected(detector: Detector, options: DetectorOptions, photo: Photo) -> list[Face]:
    """The photo's faces in upright original pixels."""
    facts = photo.facts
    shorter = min(facts.width, facts.height)
    smallest = float(smallest_findable(options, shorter, facts.scale))
    found = detector.detect(photo.pixels, smallest * facts.scale)
    return [scaled(face, 1 / facts.scale) for face in found]


def scaled(face: Face, factor: float) -> Face:
    """The face with box and landmarks multiplied by ``factor``."""
    box = face.box
    if factor == 1 or box is None:
        return face
    return dataclasses.replace(
        face,
        box=Box(box.x * factor, box.y * factor, box.width * factor, box.height * factor),
        landmarks=tuple((x * factor, y * factor) for x, y in face.landmarks),
    )


def _hash_or_nothing(path: str) -> bytes:
    """A broken file's hash, so that it is not tried again until it changes."""
    try:
        return hash_file(path)
    except PhotoError:
        return b""


def _no_crops() -> Pixels:
    return np.zeros((0,), np.uint8)
