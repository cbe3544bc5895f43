"""1:N: every photo of some people is searched for among all others, ranked file by file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from facesearch.errors import DatasetError
from facesearch.evaluation import metrics
from facesearch.evaluation.enrolment import Enrolled, Ints
from facesearch.evaluation.scoring import Floats, Scorer, probe_spans
from facesearch.results import (
    Answer,
    Identification,
    Measure,
    PersonScores,
    RankedPhoto,
)

Enrolment = Literal["central", "all"]
RECALL_AT = (19, 20, 25)
SAME_IN_FIRST = (20, 25)
"""The numbers of neighbours that the course reports show."""
CMC_RANKS = 50
_HARDEST = 24
_SHOWN_WRONG = 8
_SHEET = 25
_FAR_SAMPLE = 2_000_000
"""How many distances between different people a histogram counts; all of them would fill memory."""


@dataclass(frozen=True, slots=True)
class People:
    """Whom to search for. ``protocol`` is "pois" or "all-identities"."""

    protocol: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IdentificationOptions:
    """How to rank. ``gallery`` enrols each photo's central face or all of them; ``sheets``: keep
    what is needed to picture each person's answers.
    """

    gallery: Enrolment = "central"
    expanded: bool = False
    sheets: bool = False
    seed: int = 0
    groups: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ProbeScores:
    """Each probe's own figures, to compare systems probe by probe."""

    keys: tuple[str, ...]
    person: Ints
    rank_1: Floats
    average_precision: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """One probe's distances, to every photo and to every face of the store."""

    photos: Floats
    faces: Floats


def people_with(names: Sequence[str], photos: int) -> People:
    """People with exactly that many photos.

    Raises:
        DatasetError: there is nobody.
    """
    counts = _counted(names)
    chosen = tuple(name for name, count in counts.items() if count == photos)
    if not chosen:
        raise DatasetError(
            f"nobody has exactly {photos} photos; choose another number with --poi-photos, name "
            "people with --poi, or take everybody with --all-identities"
        )
    return People("pois", chosen)


def people_named(names: Sequence[str], wanted: Sequence[str]) -> People:
    """The people named.

    Raises:
        DatasetError: one has fewer than two photos.
    """
    counts = _counted(names)
    for name in wanted:
        if counts.get(name, 0) < 2:
            raise DatasetError(
                f"{name} has {counts.get(name, 0)} photos here and a search needs two; people are "
                "named as their folders are, or as --labels has them"
            )
    return People("pois", tuple(dict.fromkeys(wanted)))


def people_with_mates(names: Sequence[str]) -> People:
    """Everybody with at least two photos.

    Raises:
        DatasetError: there is nobody.
    """
    chosen = tuple(name for name, count in _counted(names).items() if count > 1)
    if not chosen:
        raise DatasetError(
            "nobody has two photos here, and a search needs two; put each person's photos into one "
            "folder, or give --labels FILE.csv"
        )
    return People("all-identities", chosen)


def identify(
    enrolled: Enrolled, scorer: Scorer, people: People, options: IdentificationOptions
) -> tuple[Identification, ProbeScores]:
    """Searches for each photo of ``people`` among all other photos; a probe is its central face.

    Ties are ranked by path. A probe without a face is a miss in every measure, and a mate without
    one cannot be found.
    """
    probes = np.flatnonzero(np.isin(np.array(enrolled.names), people.names))
    tally = _Tally(enrolled, options, len(probes))
    for probe, distances in _searches(enrolled, scorer, probes, options.gallery):
        tally.add(probe, distances)
    return tally.result(people, probes), tally.scores(probes)


def photo_distances(enrolled: Enrolled, distances: Floats, gallery: Enrolment) -> Floats:
    """(probes, photos) from (probes, faces): infinite where a photo has no face."""
    found = np.full((len(distances), len(enrolled)), np.inf)
    there = np.flatnonzero(enrolled.central >= 0)
    if gallery == "central":
        found[:, there] = distances[:, enrolled.central[there]]
        return found
    starts = enrolled.first[there]
    order = np.argsort(starts, kind="stable")
    first, which = np.unique(starts[order], return_inverse=True)
    last = enrolled.last[there][order][np.searchsorted(starts[order], first)]
    nearest = np.stack(
        [distances[:, a:b].min(axis=1) for a, b in zip(first, last, strict=True)], axis=1
    )
    found[:, there[order]] = nearest[:, which]
    return found


def _searches(
    enrolled: Enrolled, scorer: Scorer, probes: Ints, gallery: Enrolment
) -> Iterator[tuple[int, _Found]]:
    """Each probe with its distances."""
    nowhere = _Found(np.full(len(enrolled), np.inf), np.full(len(enrolled.boxes), np.inf))
    for start, stop in probe_spans(len(probes), scorer):
        block = probes[start:stop]
        faces = enrolled.central[block]
        to_faces = scorer.distances(faces[faces >= 0])
        to_photos = photo_distances(enrolled, to_faces, gallery)
        rows = (_Found(*each) for each in zip(to_photos, to_faces, strict=True))
        for probe, face in zip(block.tolist(), faces.tolist(), strict=True):
            yield probe, next(rows) if face >= 0 else nowhere


class _Tally:
    """Gathers the figures of a protocol, probe by probe."""

    def __init__(self, enrolled: Enrolled, options: IdentificationOptions, probes: int) -> None:
        self._enrolled = enrolled
        self._options = options
        self._step = -(-probes * len(enrolled) // _FAR_SAMPLE)
        self._mates = np.bincount(enrolled.person[enrolled.person >= 0])
        self._first_mates: list[int | None] = []
        self._precisions: list[float] = []
        self._recalls: dict[int, list[float]] = {k: [] for k in RECALL_AT}
        self._with_own: dict[int, list[float]] = {k: [] for k in SAME_IN_FIRST}
        self._others: dict[int, list[float]] = {k: [] for k in SAME_IN_FIRST}
        self._near: list[Floats] = []
        self._far: list[Floats] = []
        self._hard: dict[tuple[int, str], Answer] = {}
        self._sheets: dict[str, Answer] = {}

    def add(self, probe: int, found: _Found) -> None:
        """Take one probe's distances to all photos, its own among them."""
        enrolled, distances = self._enrolled, found.photos
        person = int(enrolled.person[probe])
        ranked = np.argsort(distances, kind="stable")
        ranked = ranked[np.isfinite(distances[ranked])]
        others = ranked[ranked != probe]
        hits = enrolled.person[others] == person
        mates = int(self._mates[person]) - 1
        first = int(np.argmax(hits)) + 1 if hits.any() else None
        self._first_mates.append(first)
        self._precisions.append(metrics.average_precision(hits, mates))
        for k, values in self._recalls.items():
            values.append(metrics.recall_at(hits, mates, k))
        for k in SAME_IN_FIRST:
            self._with_own[k].append(float((enrolled.person[ranked[:k]] == person).sum()))
            self._others[k].append(float(hits[:k].sum()))
        self._near.append(distances[others[hits]])
        self._far.append(distances[np.sort(others[~hits])[:: self._step]])
        name = enrolled.names[probe]
        if self._options.sheets and name not in self._sheets:
            shown = np.concatenate([[probe], others[: _SHEET - 1]]).astype(np.int64)
            self._sheets[name] = self._answer(probe, found, shown, first)
        if first != 1:
            self._remember_hard(probe, found, others[:_SHOWN_WRONG], first)

    def _remember_hard(self, probe: int, found: _Found, shown: Ints, first: int | None) -> None:
        place = -(first or len(self._enrolled) + 1), self._enrolled.keys[probe]
        if len(self._hard) < _HARDEST or place < max(self._hard):
            self._hard[place] = self._answer(probe, found, shown, first)
        if len(self._hard) > _HARDEST:
            del self._hard[max(self._hard)]

    def _answer(self, probe: int, found: _Found, photos: Ints, first: int | None) -> Answer:
        enrolled, distances = self._enrolled, found.photos
        name = enrolled.names[probe]
        ranked = tuple(
            RankedPhoto(
                enrolled.keys[photo],
                enrolled.names[photo],
                round(float(distances[photo]), 4) if np.isfinite(distances[photo]) else -1.0,
                enrolled.names[photo] == name,
                enrolled.box(self._face_of(photo, found)),
            )
            for photo in photos.tolist()
        )
        box = enrolled.box(int(enrolled.central[probe]))
        return Answer(enrolled.keys[probe], name, box, first, ranked)

    def _face_of(self, photo: int, found: _Found) -> int:
        """The face by which a photo was ranked."""
        enrolled = self._enrolled
        first, last = int(enrolled.first[photo]), int(enrolled.last[photo])
        if self._options.gallery == "central" or first == last:
            return int(enrolled.central[photo])
        return first + int(np.argmin(found.faces[first:last]))

    def scores(self, probes: Ints) -> ProbeScores:
        """Probe by probe."""
        enrolled = self._enrolled
        return ProbeScores(
            tuple(enrolled.keys[probe] for probe in probes),
            enrolled.person[probes],
            np.array([first == 1 for first in self._first_mates], np.float64),
            np.array(self._precisions),
        )

    def result(self, people: People, probes: Ints) -> Identification:
        """All of it."""
        enrolled, options = self._enrolled, self._options
        person = enrolled.person[probes]
        first = np.array([rank or 0 for rank in self._first_mates])

        def measure(values: ArrayLike) -> Measure:
            return metrics.by_people(np.asarray(values, np.float64), person, options.seed)

        return Identification(
            protocol=people.protocol,
            gallery=options.gallery,
            expanded=options.expanded,
            people=len(people.names),
            probes=len(probes),
            misses=int((enrolled.central[probes] < 0).sum()),
            photos=len(enrolled),
            unfindable=int((enrolled.central < 0).sum()),
            rank_1=measure(first == 1),
            rank_5=measure((first > 0) & (first <= 5)),
            map=measure(self._precisions),
            recall_at_k={k: measure(values) for k, values in self._recalls.items()},
            same_in_first={k: measure(values) for k, values in self._with_own.items()},
            others_in_first={k: measure(values) for k, values in self._others.items()},
            cmc=metrics.cumulative_match(self._first_mates, CMC_RANKS),
            distances=metrics.histogram(self._near, self._far),
            per_person=tuple(self._person_scores(probes)),
            groups=self._group_scores(probes),
            hardest=tuple(self._hard[place] for place in sorted(self._hard)),
            sheets=tuple(self._sheets[name] for name in sorted(self._sheets)),
        )

    def _person_scores(self, probes: Ints) -> Iterator[PersonScores]:
        enrolled, groups = self._enrolled, self._options.groups
        first = np.array([rank or 0 for rank in self._first_mates])
        precision = np.array(self._precisions)
        for person in np.unique(enrolled.person[probes]):
            own = enrolled.person[probes] == person
            name = enrolled.names[int(probes[np.argmax(own)])]
            yield PersonScores(
                person=name,
                group=groups.get(name, ""),
                probes=int(own.sum()),
                misses=int((enrolled.central[probes[own]] < 0).sum()),
                rank_1=float(np.mean(first[own] == 1)),
                rank_5=float(np.mean((first[own] > 0) & (first[own] <= 5))),
                map=float(precision[own].mean()),
                recall_at_k={
                    k: float(np.array(values)[own].mean()) for k, values in self._recalls.items()
                },
            )

    def _group_scores(self, probes: Ints) -> dict[str, dict[str, Measure]]:
        groups = self._options.groups
        names = np.array([groups.get(self._enrolled.names[probe], "") for probe in probes])
        scores = self.scores(probes)
        return {
            str(group): {
                "rank_1": metrics.by_people(
                    scores.rank_1[names == group], scores.person[names == group], self._options.seed
                ),
                "map": metrics.by_people(
                    scores.average_precision[names == group],
                    scores.person[names == group],
                    self._options.seed,
                ),
            }
            for group in np.unique(names[names != ""])
        }


def _counted(names: Sequence[str]) -> dict[str, int]:
    found, counts = np.unique([name for name in names if name], return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))
