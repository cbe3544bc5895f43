"""The query job from top to bottom: read the photo, choose the face, search, answer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facesearch import weights
from facesearch.errors import (
    ModelError,
    NoFaceError,
    PhotoError,
    RecipeMismatchError,
    UsageError,
)
from facesearch.gallery import By, Gallery, Search, Where
from facesearch.photos import PhotoLimits, photo_from_array, printable, read_photo
from facesearch.recipes import Recipe
from facesearch.records import (
    Box,
    Embeddings,
    Face,
    Neighbor,
    Photo,
    Query,
    QueryError,
    QueryFace,
    QueryReport,
    QueryResult,
)

FARTHEST_UNIT = 2.0
"""How far two points of the unit sphere can lie apart."""
PhotoLike = str | bytes | BinaryIO | Image.Image | NDArray[np.uint8]
"""A path, a file's bytes, an open binary file, a PIL image, or (h, w, 3) RGB pixels."""
Asked = tuple[str, PhotoLike | PhotoError]
"""What results call a query photo (a path, "-" for standard input, "" for a photo without a name),
and the photo, or why there is none.
"""
FaceChoice = int | Literal["all"] | None
Group = Literal["similar"] | None
Sort = Literal["distance", "date"]


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What to search for and how to answer.

    ``k`` is how many photos (or faces, with ``by="face"``), None for all. ``face`` is a face's
    number in reading order, "all", or None for the most prominent one; ``box`` (upright original
    pixels) replaces detection. ``max_distance`` is Euclidean, 0..2 between unit rows; ``fmr`` (a
    false match rate, above 0, below 1) says instead: nothing farther than where this share of other
    people's faces lie. ``exclude_self`` leaves out photos with the query's own content, ``under``
    keeps those below the folders named (in full, or relative to the current folder or to a root).
    ``since`` and ``until`` (as "2019", "2019-05" or "2019-05-04", both inclusive) keep those taken
    then, ``persons`` those of the people named, by label or folder.
    ``same_person`` takes all photos as examples of one person, and the nearest example wins.
    ``expand`` averages every face with its nearest in the gallery first; distances are then those
    between averages. ``group="similar"`` makes one answer of photos that show one moment (see
    ``facesearch.gallery.similar``), and ``k`` counts those; ``sort="date"`` puts the answers in
    order of capture time, those without one last.
    """

    k: int | None = 25
    by: By = "photo"
    face: FaceChoice = None
    box: Box | None = None
    max_distance: float | None = None
    fmr: float | None = None
    exclude_self: bool = False
    under: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    persons: tuple[str, ...] = ()
    same_person: bool = False
    expand: bool = False
    group: Group = None
    sort: Sort = "distance"

    @property
    def where(self) -> Where:
        """Which photos may be answers, the query's own apart."""
        return Where(
            self.under, self.since, self.until, self.persons, max_distance=self.max_distance
        )


class Embedder(Protocol):
    """Finds faces and embeds them, the way the gallery's rows were made."""

    limits: PhotoLimits

    def detect(self, photo: Photo) -> list[Face]:
        """Faces in reading order; the photo as one item without a box where the gallery holds
        whole photos.
        """

    def embed(self, photo: Photo, faces: Sequence[Face]) -> Embeddings:
        """(len(faces), dim) rows."""


_LOOKED_THROUGH = 16

Draw = Callable[[Photo, Query], str]
"""Pictures a photo with its faces numbered, the chosen one marked; returns a note that says where.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A query photo that was read: its faces and those of them to search for, or one item that is
    the whole photo. ``content`` is the hash of its bytes.
    """

    content: bytes
    query: Query
    chosen: tuple[int, ...]
    embeddings: Embeddings
    notes: tuple[str, ...]

    @property
    def numbers(self) -> list[int | None]:
        """The chosen faces' numbers; None for a whole photo."""
        faces = self.query.faces
        return [faces[index].number if faces else None for index in self.chosen]


def query(
    gallery: Gallery,
    embedder: Embedder,
    photos: Sequence[Asked],
    options: QueryOptions,
    draw: Draw | None = None,
) -> QueryReport:
    """Searches the gallery for each photo; one photo's failure is its own result.

    Args:
        gallery: what is searched.
        embedder: finds and embeds faces by the gallery's recipe.
        photos: what to search for.
        options: see ``QueryOptions``.
        draw: pictures those photos in which a face had to be chosen among several.

    Raises:
        UsageError: the options contradict each other, the photos or the gallery.
        StoreError: the store is damaged.
    """
    check_options(options, len(photos))
    options = settle(gallery, options)
    warm_up(gallery, options)
    probes = [look(embedder, name, photo, options, draw) for name, photo in photos]
    if options.same_person:
        results = list(_same_person(gallery, probes, options))
    else:
        results = [result for probe in probes for result in answers(gallery, probe, options)]
    return QueryReport(gallery.summary(), gallery.coverage(), tuple(results))


def check_options(options: QueryOptions, photos: int) -> None:
    """Refuses options that cannot be meant, alone or together.

    Raises:
        UsageError: see the message.
    """
    if options.k is not None and options.k < 1:
        raise UsageError(f"-k {options.k}: ask for at least one, or for all")
    if isinstance(options.face, int) and options.face < 1:
        raise UsageError(f"--face {options.face}: faces are numbered from 1")
    if options.max_distance is not None and not options.max_distance >= 0:
        raise UsageError(f"--max-distance {options.max_distance}: a distance is 0 or more")
    if options.fmr is not None and not 0 < options.fmr < 1:
        raise UsageError(f"--fmr {options.fmr}: a false match rate lies between 0 and 1")
    if options.fmr is not None and options.max_distance is not None:
        raise UsageError("--fmr and --max-distance exclude each other: both say how far to look")
    if options.fmr is not None and options.expand:
        raise UsageError(
            "--fmr is known for plain distances and not for those of --expand; use --max-distance"
        )
    if options.box is not None and options.face is not None:
        raise UsageError("--box and --face exclude each other: a box is the face")
    if photos > 1 and options.box is not None:
        raise UsageError("--box belongs to one photo; give just that one")
    if options.group is not None and options.by == "face":
        raise UsageError("--group makes one row of several photos; leave out --by face")
    if options.same_person and options.face == "all":
        raise UsageError("--same-person takes one face of each photo, not --face all")


def settle(gallery: Gallery, options: QueryOptions) -> QueryOptions:
    """The options as they apply to a gallery, with ``fmr`` as a distance; before anything is read.

    Raises:
        UsageError: they ask for a face among whole photos, for a folder without photos, for a
            distance that no two rows have, for a false match rate where distances are not
            calibrated, or for an expansion or groups that the gallery does not have.
    """
    if gallery.recipe.subject == "photo" and (options.face is not None or options.box is not None):
        raise UsageError(
            f"{gallery.summary().path}: this store compares whole photos; leave out --face and "
            "--box, or query a store of faces"
        )
    check_distance(gallery.recipe, options.max_distance)
    gallery.require(options.where)
    if options.group is not None:
        gallery.looks(())
    if options.expand:
        gallery.prepare_expansion()
    if options.fmr is None:
        return options
    farthest = gallery.distance_at(options.fmr)
    return dataclasses.replace(options, max_distance=farthest, fmr=None)


def check_distance(recipe: Recipe, distance: float | None) -> None:
    """Refuses a bound farther than what a recipe makes can lie apart.

    Raises:
        UsageError: see the message.
    """
    if distance is not None and recipe.extractor.unit and not distance <= FARTHEST_UNIT:
        raise UsageError(
            f"--max-distance {distance:g}: the distances of {recipe.name} lie between 0 and "
            f"{FARTHEST_UNIT:g}"
        )


def warm_up(gallery: Gallery, options: QueryOptions) -> None:
    """Begins to make a gallery ready, while photos are read and the networks loaded."""
    if not options.expand:
        gallery.warm_up()


def look(
    embedder: Embedder,
    name: str,
    source: PhotoLike | Photo | PhotoError,
    options: QueryOptions,
    draw: Draw | None = None,
) -> Probe | QueryResult:
    """Reads a query photo, finds its faces and embeds those chosen; or the result that says why
    that cannot be.

    Raises:
        UsageError: the box lies outside the photo.
    """
    asked = Query(name, None, ())
    notes: tuple[str, ...] = ()
    try:
        photo = open_photo(source, embedder.limits, name)
        faces = faces_of(embedder, name, photo, options.box)
        asked = numbered(name, photo, faces, options.box)
        chosen = [0] if _is_whole(faces) else _choose(asked, options.face)
        notes = _notes(asked, chosen, photo, options.face, draw)
        embeddings = embedder.embed(photo, [faces[index] for index in chosen])
    except PhotoError as error:
        return QueryResult(asked, error=QueryError(error.reason, str(error)))
    except NoFaceError as error:
        drawn = (draw(photo, asked),) if draw is not None and asked.faces else ()
        return QueryResult(asked, error=QueryError("no-face", str(error)), notes=drawn)
    except ModelError as error:
        message = f"{called(name)}: {error}"
        return QueryResult(asked, error=QueryError("model-error", message), notes=notes)
    return Probe(photo.facts.content_hash, asked, tuple(chosen), embeddings, notes)


def open_photo(source: PhotoLike | Photo | PhotoError, limits: PhotoLimits, name: str) -> Photo:
    """Any kind of photo as pixels; messages call it ``name``. One that is decoded stays as it is.

    Raises:
        PhotoError: it cannot be read.
    """
    if isinstance(source, PhotoError):
        raise source
    if isinstance(source, Photo):
        return source
    if isinstance(source, (Image.Image, np.ndarray)):
        return photo_from_array(source, limits)
    try:
        return read_photo(source, limits, name if isinstance(source, str) else called(name))
    except PhotoError as error:
        if error.reason != "vanished":
            raise
        raise PhotoError("vanished", f"{called(name)}: no such file; check the path") from error


def called(name: str) -> str:
    """A query photo's name as messages have it."""
    return {"-": "standard input", "": "the photo"}.get(name, printable(name))


def faces_of(embedder: Embedder, name: str, photo: Photo, box: Box | None) -> list[Face]:
    """The faces found, the one drawn by hand, or the photo as one item.

    Raises:
        UsageError: the box lies outside the photo.
        ModelError: a network failed.
    """
    if box is None:
        return embedder.detect(photo)
    return [Face(_inside(box, name, photo), (), 1.0)]


def numbered(name: str, photo: Photo, faces: Sequence[Face], box: Box | None) -> Query:
    """A photo with its faces numbered from 1; 0 for one drawn by hand."""
    first = 1 if box is None else 0
    numbered = tuple(
        QueryFace(number, face.box, face.score)
        for number, face in enumerate(faces, start=first)
        if face.box is not None
    )
    return Query(name, None, numbered, photo.facts.width, photo.facts.height)


def _is_whole(faces: Sequence[Face]) -> bool:
    """Whether what is compared is the photo itself."""
    return [face.box for face in faces] == [None]


def most_prominent(faces: Sequence[QueryFace], width: int, height: int) -> int:
    """Index of the face a person would call the photo's subject: large, and near the centre.

    A face's area is weighed by 1 at the centre, falling linearly to 0 in the corners.
    """
    half = math.hypot(width, height) / 2

    def weight(index: int) -> float:
        away = math.dist(faces[index].box.center, (width / 2, height / 2))
        return faces[index].box.area * (1 - min(1.0, away / half))

    return max(range(len(faces)), key=weight)


def check_space(gallery: Gallery) -> None:
    """Makes sure that this installation embeds as the gallery's rows were made.

    Raises:
        RecipeMismatchError: the weights known by that name are others, or none are.
    """
    store, made = gallery.summary().path, gallery.recipe.extractor
    try:
        ours = weights.sha256_of(made.model)
    except UsageError as error:
        raise RecipeMismatchError(f"{store}: made by {made.model}; {error}") from error
    if ours != made.weights:
        raise RecipeMismatchError(
            f"{store}: made by {made.model} with weights {made.weights[:12] or 'unknown'}, this "
            f"installation has {ours[:12]}; index the photos again with --rebuild"
        )


def _inside(box: Box, name: str, photo: Photo) -> Box:
    """The part of a drawn box that lies inside the photo.

    Raises:
        UsageError: there is none.
    """
    facts = photo.facts
    left, top = max(0.0, box.x), max(0.0, box.y)
    right = min(float(facts.width), box.x + box.width)
    bottom = min(float(facts.height), box.y + box.height)
    if not (right - left >= 1 and bottom - top >= 1):
        raise UsageError(
            f"{called(name)}: --box lies outside the photo, which is {facts.width} x "
            f"{facts.height} pixels"
        )
    return Box(left, top, right - left, bottom - top)


def _choose(asked: Query, face: FaceChoice) -> list[int]:
    """Indices of the faces to search for.

    Raises:
        NoFaceError: there is none, or not the one asked for.
    """
    if face == "all" and asked.faces:
        return list(range(len(asked.faces)))
    return [choose_face(asked, None if face == "all" else face, "--box")]


def choose_face(asked: Query, face: int | None, box: str) -> int:
    """Index of the face of this number, or of the most prominent one; ``box`` is the option that
    says where a face is.

    Raises:
        NoFaceError: there is none, or not the one asked for.
    """
    count = len(asked.faces)
    if not count:
        raise NoFaceError(
            f"{called(asked.path)}: no face found; say where it is with {box} X,Y,W,H, or try a "
            "lower --min-score"
        )
    if face is None:
        return most_prominent(asked.faces, asked.width, asked.height)
    if face > count:
        numbers = "one face, number 1" if count == 1 else f"{count} faces, numbered 1 to {count}"
        raise NoFaceError(f"{called(asked.path)}: there is no face {face}; it has {numbers}")
    return face - 1


def _notes(
    asked: Query, chosen: Sequence[int], photo: Photo, face: FaceChoice, draw: Draw | None
) -> tuple[str, ...]:
    """What to say where the tool chose among several faces."""
    if len(asked.faces) <= 1 or face is not None:
        return ()
    number = asked.faces[chosen[0]].number
    note = (
        f"{called(asked.path)}: {len(asked.faces)} faces, searched for face {number}, the most "
        "prominent; --face N takes another, --face all every one"
    )
    if draw is None:
        return (note,)
    return note, draw(photo, dataclasses.replace(asked, face=number))


def answers(
    gallery: Gallery, probe: Probe | QueryResult, options: QueryOptions
) -> Iterator[QueryResult]:
    """The neighbours of each chosen face; a probe that failed is its own answer.

    Raises:
        StoreError: the store is damaged.
    """
    if isinstance(probe, QueryResult):
        yield probe
        return
    name = probe.query.path
    search = _search([probe], options)
    searched = gallery.size(search.where)
    notes = (*probe.notes, *_left_out(gallery, options))
    for number, row in zip(probe.numbers, probe.embeddings, strict=True):
        asked = dataclasses.replace(probe.query, face=number, examples=((name, number),))
        neighbors = _answer(gallery, row[None], [name], search, options)
        yield QueryResult(asked, neighbors, None, notes, searched, options.sort == "date")


def _left_out(gallery: Gallery, options: QueryOptions) -> tuple[str, ...]:
    """What a bound on the capture time leaves out without a word otherwise."""
    undated = gallery.undated() if options.since or options.until else 0
    if not undated:
        return ()
    photos = "1 photo" if undated == 1 else f"{undated:,} photos"
    return (f"{photos} without a capture time left out",)


def _same_person(
    gallery: Gallery, probes: Sequence[Probe | QueryResult], options: QueryOptions
) -> Iterator[QueryResult]:
    """One answer for all photos together, then those that could not be examples."""
    good = [probe for probe in probes if isinstance(probe, Probe)]
    if good:
        examples = tuple((probe.query.path, probe.numbers[0]) for probe in good)
        asked = dataclasses.replace(good[0].query, face=examples[0][1], examples=examples)
        rows = np.concatenate([probe.embeddings for probe in good])
        search = _search(good, options)
        neighbors = _answer(gallery, rows, [name for name, _ in examples], search, options)
        notes = tuple(note for probe in good for note in probe.notes)
        notes += _left_out(gallery, options)
        searched = gallery.size(search.where)
        yield QueryResult(asked, neighbors, None, notes, searched, options.sort == "date")
    yield from (probe for probe in probes if isinstance(probe, QueryResult))


def _answer(
    gallery: Gallery,
    rows: Embeddings,
    examples: Sequence[str],
    search: Search,
    options: QueryOptions,
) -> tuple[Neighbor, ...]:
    """The neighbours as the options want them: grouped, sorted."""
    if options.group is None:
        neighbors = gallery.search(rows, examples, search)
    else:
        neighbors = _grouped(gallery, rows, examples, search)
    if options.sort == "date":
        return tuple(sorted(neighbors, key=lambda near: (not near.taken, near.taken, near.rank)))
    return neighbors


def _grouped(
    gallery: Gallery, rows: Embeddings, examples: Sequence[str], search: Search
) -> tuple[Neighbor, ...]:
    """The first ``k`` groups. Their members are looked for among the nearest ``_LOOKED_THROUGH``
    times ``k`` photos, or as far as there can be any.
    """
    from facesearch.gallery.similar import NEAR, fold

    k, fetch = search.k, search.k
    while True:
        found = gallery.search(rows, examples, dataclasses.replace(search, k=fetch))
        folded = fold(found, gallery.looks(found))
        if k is None or fetch is None or len(found) < fetch:
            return folded[:k]
        if len(folded) >= k:
            # No member lies farther beyond its group's first than the two from each other.
            beyond = found[-1].distance > folded[k - 1].distance + NEAR
            if beyond or fetch >= k * _LOOKED_THROUGH:
                return folded[:k]
        fetch *= 4


def _search(probes: Sequence[Probe], options: QueryOptions) -> Search:
    own = frozenset(probe.content for probe in probes)
    where = dataclasses.replace(options.where, exclude=own if options.exclude_self else frozenset())
    return Search(options.k, options.by, where, options.expand, own)
