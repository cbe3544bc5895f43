"""The 1:1 job from top to bottom: two photos, a face of each, one person or not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from facesearch import calibration
from facesearch.calibration import Calibration
from facesearch.errors import ModelError, NoFaceError, PhotoError, UsageError
from facesearch.querying import (
    Asked,
    Embedder,
    called,
    choose_face,
    faces_of,
    numbered,
    open_photo,
)
from facesearch.recipes import Recipe
from facesearch.records import Bound, Box, Embeddings, Query, QueryError, Verdict
from facesearch.search.distances import euclidean, similarity

DEFAULT_FMR = 1e-3
SIDES = ("a", "b")
"""What options call the first and the second photo."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What counts as one person, and which faces are compared.

    ``fmr`` is the share of pairs of different people, above 0 and below 1, that may count as one;
    None takes ``DEFAULT_FMR``. ``max_distance`` (Euclidean, 0..2 between unit rows) says it in its
    place, also where distances are not calibrated. ``faces`` are the numbers of the faces in
    reading order, None for the most prominent one; ``boxes`` (upright original pixels) replace
    detection.

    Raises:
        UsageError: it cannot be meant.
    """

    fmr: float | None = None
    max_distance: float | None = None
    faces: tuple[int | None, int | None] = (None, None)
    boxes: tuple[Box | None, Box | None] = (None, None)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, alone or together."""
        if self.fmr is not None and self.max_distance is not None:
            raise UsageError(
                "--fmr and --max-distance exclude each other: both say what counts as one person"
            )
        if self.fmr is not None and not 0 < self.fmr < 1:
            raise UsageError(f"--fmr {self.fmr}: a false match rate lies between 0 and 1")
        if self.max_distance is not None and not 0 <= self.max_distance < math.inf:
            raise UsageError(f"--max-distance {self.max_distance}: a distance is 0 or more")
        for side, face, box in zip(SIDES, self.faces, self.boxes, strict=True):
            if face is not None and face < 1:
                raise UsageError(f"--face-{side} {face}: faces are numbered from 1")
            if face is not None and box is not None:
                raise UsageError(f"--face-{side} and --box-{side} exclude each other")


def bound_of(recipe: Recipe, options: VerifyOptions) -> Bound:
    """Up to which distance two faces embedded by ``recipe`` count as one person's.

    Raises:
        UsageError: its distances are not calibrated and no distance is given, or the table knows
            nothing of a rate so small.
    """
    known = calibration.find_calibration(recipe.space_digest)
    if options.max_distance is not None:
        return _bound(known, options.max_distance)
    fmr = DEFAULT_FMR if options.fmr is None else options.fmr
    if known is None:
        raise UsageError(
            f"the distances of {recipe.name} with {recipe.extractor.model} are not calibrated, so "
            "no false match rate is known for them; say with --max-distance D what counts as one "
            "person"
        )
    distance = known.distance_at(fmr)
    if not distance > 0:
        least = min(known.false_match_rates)
        raise UsageError(
            f"--fmr {fmr:g}: nothing is known of pairs so rare; the least is {least:.1e}, and "
            f"{_least_counted(known):.1e} the least that was counted"
        )
    return Bound(distance, fmr, _least_counted(known))


def verify(
    embedder: Embedder, recipe: Recipe, first: Asked, second: Asked, options: VerifyOptions
) -> Verdict:
    """Compares one face of each photo; a photo without one, or that fails, is the verdict's error.

    Args:
        embedder: finds and embeds faces by the recipe.
        recipe: how the two are embedded.
        first: a photo and what results call it.
        second: the other one.
        options: see ``VerifyOptions``.

    Raises:
        UsageError: as ``bound_of``; a box lies outside its photo.
        WeightsError, DeviceError: the networks cannot be loaded.
    """
    bound = bound_of(recipe, options)
    asked = [Query(name, None, ()) for name, _ in (first, second)]
    looked: list[_Looked] = []
    for number, photo in enumerate((first, second)):
        found = _look(embedder, photo, number, options)
        if isinstance(found, QueryError):
            return Verdict(asked[0], asked[1], recipe.name, bound, error=found)
        looked.append(found)
        asked[number] = found.query
    distance = euclidean(looked[0].row[0], looked[1].row)
    known = calibration.find_calibration(recipe.space_digest)
    return Verdict(
        asked[0],
        asked[1],
        recipe.name,
        bound,
        same=bool(distance[0] <= bound.max_distance),
        distance=float(distance[0]),
        similarity=float(similarity(distance)[0]) if recipe.extractor.unit else None,
        probability=None if known is None else float(known.probability(distance)[0]),
        fmr=None if known is None else float(known.false_match_rate(distance)[0]),
        notes=(*_notes_of(looked), *_notes_on(bound)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """A photo with the face to compare: ``row`` is (1, dim)."""

    query: Query
    row: Embeddings
    content: bytes
    notes: tuple[str, ...]


def _look(
    embedder: Embedder, asked: Asked, number: int, options: VerifyOptions
) -> _Looked | QueryError:
    name, source = asked
    box, face = options.boxes[number], options.faces[number]
    try:
        photo = open_photo(source, embedder.limits, name)
        faces = faces_of(embedder, name, photo, box)
        query = numbered(name, photo, faces, box)
        chosen = choose_face(query, face, f"--box-{SIDES[number]}")
        row = embedder.embed(photo, [faces[chosen]])
    except PhotoError as error:
        return QueryError(error.reason, str(error))
    except NoFaceError as error:
        return QueryError("no-face", str(error))
    except ModelError as error:
        return QueryError("model-error", f"{called(name)}: {error}")
    taken = query.faces[chosen].number
    query = Query(name, taken, query.faces, query.width, query.height, ((name, taken),))
    notes = _choice(query, SIDES[number]) if face is None and box is None else ()
    return _Looked(query, row, photo.facts.content_hash, notes)


def _choice(query: Query, side: str) -> tuple[str, ...]:
    if len(query.faces) <= 1:
        return ()
    return (
        f"{called(query.path)}: {len(query.faces)} faces, compared face {query.face}, the most "
        f"prominent; --face-{side} N takes another",
    )


def _notes_of(looked: list[_Looked]) -> tuple[str, ...]:
    notes = tuple(note for each in looked for note in each.notes)
    if looked[0].content == looked[1].content:
        return (*notes, "both photos have the same bytes")
    return notes


def _notes_on(bound: Bound) -> tuple[str, ...]:
    """What has to be said of a rate that nobody could count."""
    if bound.fmr is None or bound.least_counted is None or bound.counted:
        return ()
    return (
        f"false match rates below {bound.least_counted:.1e} are a line fitted to more common "
        "distances, too few pairs lie nearer to be counted",
    )


def _bound(known: Calibration | None, distance: float) -> Bound:
    if known is None:
        return Bound(distance)
    rate = float(known.false_match_rate(np.float64(distance)))
    return Bound(distance, rate, _least_counted(known))


def _least_counted(known: Calibration) -> float:
    return float(known.false_match_rate(known.counted_from))
