"""The query job from top to bottom: read the photo, choose the face, search, answer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facesearch import weights
from facesearch.errors import NoFaceError, PhotoError, RecipeMismatchError, UsageError
from facesearch.gallery import By, Gallery, Search, Where
from facesearch.photos import PhotoLimits, photo_from_array, read_photo
from facesearch.recipes import Recipe
from facesearch.records import (
    Box,
    Embeddings,
    Face,
    Photo,
    Query,
    QueryError,
    QueryFace,
    QueryReport,
    QueryResult,
)

PhotoLike = str | bytes | BinaryIO | Image.Image | NDArray[np.uint8]
"""A path, a file's bytes, an open binary file, a PIL image, or (h, w, 3) RGB pixels."""
FaceChoice = int | Literal["all"] | None


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What to search for and how to answer.

    ``k`` is how many photos (or faces, with ``by="face"``), None for all. ``face`` is a face's
    number in reading order, "all", or None for the most prominent one; ``box`` (upright original
    pixels) replaces detection. ``exclude_self`` leaves out photos with the query's own content,
    ``under`` keeps those below the folders named. ``same_person`` takes all photos as examples of
    one person, and the nearest example wins.
    """

    k: int | None = 25
    by: By = "photo"
    face: FaceChoice = None
    box: Box | None = None
    max_distance: float | None = None
    exclude_self: bool = False
    under: tuple[str, ...] = ()
    same_person: bool = False


class Embedder(Protocol):
    """Finds faces and embeds them, the way the gallery's rows were made."""

    limits: PhotoLimits

    def detect(self, photo: Photo) -> list[Face]:
        """Faces in reading order."""

    def embed(self, photo: Photo, faces: Sequence[Face]) -> Embeddings:
        """(len(faces), dim) unit rows."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A query photo that was read: its faces and those of them to search for. ``content`` is the
    hash of its bytes.
    """

    name: str
    content: bytes
    query: Query
    chosen: tuple[int, ...]
    embeddings: Embeddings


def query(
    gallery: Gallery,
    embedder: Embedder,
    photos: Sequence[tuple[str, PhotoLike]],
    options: QueryOptions,
) -> QueryReport:
    """Searches the gallery for each photo; one photo's failure is its own result.

    Args:
        gallery: what is searched.
        embedder: finds and embeds faces by the gallery's recipe.
        photos: (name, photo) pairs; the name is what results call it, a path or "-".
        options: see ``QueryOptions``.

    Raises:
        UsageError: the options contradict each other.
        ModelError: a network failed.
    """
    check_options(options, len(photos))
    probes = [look(embedder, name, photo, options) for name, photo in photos]
    if options.same_person:
        results = list(_same_person(gallery, probes, options))
    else:
        results = [result for probe in probes for result in answers(gallery, probe, options)]
    return QueryReport(gallery.summary(), gallery.coverage(), tuple(results))


def check_options(options: QueryOptions, photos: int) -> None:
    """Refuses options that cannot be meant together.

    Raises:
        UsageError: see the message.
    """
    if options.k is not None and options.k < 1:
        raise UsageError(f"-k {options.k}: ask for at least one, or for all")
    if options.box is not None and options.face is not None:
        raise UsageError("--box and --face exclude each other: a box is the face")
    if photos > 1 and options.box is not None:
        raise UsageError("--box belongs to one photo; give just that one")
    if options.same_person and options.face == "all":
        raise UsageError("--same-person takes one face of each photo, not --face all")


def look(
    embedder: Embedder, name: str, source: PhotoLike, options: QueryOptions
) -> Probe | QueryResult:
    """Reads a query photo, finds its faces and embeds those chosen; or the result that says why
    that cannot be.

    Raises:
        ModelError: a network failed.
    """
    try:
        photo = open_photo(source, embedder.limits)
    except PhotoError as error:
        return QueryResult(Query(name, None, ()), error=QueryError(error.reason, str(error)))
    numbered: tuple[QueryFace, ...]
    if options.box is not None:
        faces = [Face(_inside(options.box, photo), (), 1.0)]
        numbered = (QueryFace(0, faces[0].box, 1.0),)
    else:
        faces = embedder.detect(photo)
        numbered = tuple(
            QueryFace(number, face.box, face.score) for number, face in enumerate(faces, start=1)
        )
    found = Query(name, None, numbered, photo.facts.width, photo.facts.height)
    try:
        chosen = _choose(name, photo, faces, options)
    except NoFaceError as error:
        return QueryResult(found, error=QueryError("no-face", str(error)))
    embeddings = embedder.embed(photo, [faces[index] for index in chosen])
    return Probe(name, photo.facts.content_hash, found, tuple(chosen), embeddings)


def open_photo(source: PhotoLike, limits: PhotoLimits) -> Photo:
    """Any kind of photo as pixels.

    Raises:
        PhotoError: it cannot be read.
    """
    if isinstance(source, (Image.Image, np.ndarray)):
        return photo_from_array(source)
    return read_photo(source, limits)


def most_prominent(faces: Sequence[Face], width: int, height: int) -> int:
    """Index of the face a person would call the photo's subject: large, and near the centre.

    A face's area is weighed by 1 at the centre, falling linearly to 0 in the corners.
    """
    half = math.hypot(width, height) / 2

    def weight(index: int) -> float:
        x, y = faces[index].box.center
        return faces[index].box.area * (
            1 - min(1.0, math.dist((x, y), (width / 2, height / 2)) / half)
        )

    return max(range(len(faces)), key=weight)


def check_space(recipe: Recipe) -> None:
    """Makes sure that this installation embeds as the store's rows were made.

    Raises:
        RecipeMismatchError: the weights known by that name are others.
        WeightsError: no weights are known by that name.
    """
    model = recipe.extractor.model
    ours = weights.sha256_of(model)
    if ours != recipe.extractor.weights:
        raise RecipeMismatchError(
            f"the store's rows were made by {model} with weights {recipe.extractor.weights[:12]}, "
            f"this installation has {ours[:12]}; index the photos again with --rebuild"
        )


def _inside(box: Box, photo: Photo) -> Box:
    """The part of a drawn box that lies inside the photo.

    Raises:
        UsageError: there is none.
    """
    facts = photo.facts
    left, top = max(0.0, box.x), max(0.0, box.y)
    right = min(float(facts.width), box.x + box.width)
    bottom = min(float(facts.height), box.y + box.height)
    if right - left < 1 or bottom - top < 1:
        raise UsageError(
            f"--box lies outside the photo, which is {facts.width} x {facts.height} pixels"
        )
    return Box(left, top, right - left, bottom - top)


def _choose(name: str, photo: Photo, faces: Sequence[Face], options: QueryOptions) -> list[int]:
    """Indices of the faces to search for.

    Raises:
        NoFaceError: there is none, or not the one asked for.
    """
    if not faces:
        raise NoFaceError(
            f"{name}: no face found; say where it is with --box X,Y,W,H, or try a lower --min-score"
        )
    if options.face == "all":
        return list(range(len(faces)))
    if options.face is None:
        return [most_prominent(faces, photo.facts.width, photo.facts.height)]
    if not 1 <= options.face <= len(faces):
        raise NoFaceError(f"{name}: there is no face {options.face}; it has {len(faces)}")
    return [options.face - 1]


def answers(
    gallery: Gallery, probe: Probe | QueryResult, options: QueryOptions
) -> Iterator[QueryResult]:
    """The neighbours of each chosen face; a probe that failed is its own answer."""
    if isinstance(probe, QueryResult):
        yield probe
        return
    for index, row in zip(probe.chosen, probe.embeddings, strict=True):
        number = probe.query.faces[index].number
        asked = dataclasses.replace(probe.query, face=number, examples=((probe.name, number),))
        neighbors = gallery.search(row[None], [probe.name], _search([probe], options))
        yield QueryResult(asked, neighbors, notes=_notes(probe, number, options))


def _same_person(
    gallery: Gallery, probes: Sequence[Probe | QueryResult], options: QueryOptions
) -> Iterator[QueryResult]:
    good = [probe for probe in probes if isinstance(probe, Probe)]
    if good:
        first = good[0]
        numbers = [probe.query.faces[probe.chosen[0]].number for probe in good]
        names = [probe.name for probe in good]
        asked = dataclasses.replace(
            first.query, face=numbers[0], examples=tuple(zip(names, numbers, strict=True))
        )
        rows = np.concatenate([probe.embeddings for probe in good])
        neighbors = gallery.search(rows, names, _search(good, options))
        notes = (
            note
            for probe, number in zip(good, numbers, strict=True)
            for note in _notes(probe, number, options)
        )
        yield QueryResult(asked, neighbors, notes=tuple(notes))
    yield from (probe for probe in probes if isinstance(probe, QueryResult))


def _search(probes: Sequence[Probe], options: QueryOptions) -> Search:
    own = frozenset(probe.content for probe in probes)
    where = Where(
        under=options.under,
        exclude=own if options.exclude_self else frozenset(),
        max_distance=options.max_distance,
    )
    return Search(options.k, options.by, where)


def _notes(probe: Probe, number: int, options: QueryOptions) -> tuple[str, ...]:
    others = len(probe.query.faces) - 1
    if not others or options.face is not None:
        return ()
    return (
        f"{probe.name}: {others + 1} faces, searched for face {number}, the most prominent; "
        "--face N takes another, --face all every one",
    )
