"""Open set: half of the people are enrolled, and strangers ask too."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import DatasetError
from facesearch.evaluation import metrics
from facesearch.evaluation.enrolment import Enrolled, Ints
from facesearch.evaluation.identification import Enrolment, photo_distances
from facesearch.evaluation.scoring import Floats, Scorer, probe_spans
from facesearch.results import Measure, OpenSet

FALSE_POSITIVES = (1e-1, 1e-2, 1e-3)
_RESAMPLES = 500


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Photos by number: those enrolled, and the searches of enrolled people and of strangers."""

    enrolled: Ints
    mated: Ints
    strangers: Ints


def split(person: Ints, seed: int) -> Split:
    """Half of the people, drawn by ``seed``, are enrolled with half of their photos, rounded up;
    their other photos search. All photos of the other half search as strangers. Photos of nobody
    known take no part.

    Args:
        person: (photos,) a number for each person, -1 for nobody known.
        seed: decides who is drawn.

    Raises:
        DatasetError: nobody enrolled has a second photo, or there are no strangers.
    """
    draw = random.Random(seed)
    people = sorted(set(person[person >= 0].tolist()))
    draw.shuffle(people)
    kept = people[: (len(people) + 1) // 2]
    held: list[int] = []
    mated: list[int] = []
    for each in sorted(kept):
        photos = np.flatnonzero(person == each).tolist()
        draw.shuffle(photos)
        half = (len(photos) + 1) // 2
        held += photos[:half]
        mated += photos[half:]
    strangers = np.flatnonzero((person >= 0) & ~np.isin(person, kept))
    if not mated or not len(strangers):
        raise DatasetError(
            "too few people for --open-set: it needs people with two photos, and others; leave it "
            "out or take more photos"
        )
    return Split(np.array(sorted(held)), np.array(sorted(mated)), strangers)


def search_open_set(enrolled: Enrolled, scorer: Scorer, gallery: Enrolment, seed: int) -> OpenSet:
    """Searches of enrolled people and of strangers, at every threshold.

    A search gives somebody when an enrolled photo is below the threshold. It misses when no
    enrolled photo of the person is; a probe without a face gives nobody.
    """
    parts = split(enrolled.person, seed)
    held = enrolled.select(np.isin(np.arange(len(enrolled)), parts.enrolled))
    mated = _nearest(enrolled, held, scorer, parts.mated, gallery, own=True)
    strangers = _nearest(enrolled, held, scorer, parts.strangers, gallery, own=False)
    curve = metrics.detection_error_tradeoff(mated, strangers)
    whose = enrolled.person[parts.mated], enrolled.person[parts.strangers]
    return OpenSet(
        seed=seed,
        people_enrolled=len(np.unique(held.person)),
        photos_enrolled=len(held),
        mated_probes=len(mated),
        stranger_probes=len(strangers),
        misses=int((enrolled.central[np.concatenate([parts.mated, parts.strangers])] < 0).sum()),
        fnir_at_fpir={
            f"{rate:g}": _measured((mated, strangers), whose, rate, seed)
            for rate in FALSE_POSITIVES
        },
        thresholds={
            f"{rate:g}": round(metrics.threshold_at(strangers, rate), 6) for rate in FALSE_POSITIVES
        },
        det=metrics.thinned(curve),
    )


def _nearest(
    enrolled: Enrolled,
    held: Enrolled,
    scorer: Scorer,
    probes: Ints,
    gallery: Enrolment,
    *,
    own: bool,
) -> Floats:
    """(probes,) distance of the nearest enrolled photo; with ``own`` of the person's nearest."""
    nearest = np.full(len(probes), np.inf)
    for start, stop in probe_spans(len(probes), scorer):
        block = probes[start:stop]
        there = enrolled.central[block] >= 0
        faces = enrolled.central[block[there]]
        found = photo_distances(held, scorer.distances(faces), gallery)
        if own:
            found[held.person[None] != enrolled.person[block[there]][:, None]] = np.inf
        nearest[start:stop][there] = found.min(axis=1, initial=np.inf)
    return nearest


def _measured(
    distances: tuple[Floats, Floats], whose: tuple[Ints, Ints], rate: float, seed: int
) -> Measure:
    """FNIR at an FPIR, with the interval of a bootstrap over people of both kinds."""

    def missed(mated: Floats, strangers: Floats) -> float:
        return metrics.missed_at(mated, metrics.threshold_at(strangers, rate))

    draws = np.random.default_rng(seed)
    groups = [_by_person(values, person) for values, person in zip(distances, whose, strict=True)]
    values = [missed(*(_drawn(group, draws) for group in groups)) for _ in range(_RESAMPLES)]
    return Measure(missed(*distances), *metrics.interval_of(np.array(values)))


def _by_person(values: Floats, person: Ints) -> list[Floats]:
    order = np.argsort(person, kind="stable")
    starts = np.flatnonzero(np.diff(person[order])) + 1
    return np.split(values[order], starts)


def _drawn(people: list[Floats], draws: np.random.Generator) -> NDArray[np.float64]:
    return np.concatenate([people[who] for who in draws.integers(len(people), size=len(people))])
