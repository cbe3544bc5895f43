"""Makes a calibration from photos of known people, and measures it on people it has not seen.

A pair is drawn as people are: first the people, then a photo of each. So every pair of different
people weighs the same, and everybody with two photos weighs the same among the mates, whether LFW
has two photos of them or 530.

**Probability**: isotonic regression of "same person" on the distance, both kinds of pair of equal
weight in all, averaged over the table's step.
**False match rate**: the share of pairs of different people up to a distance, counted as far down
as at least ``COUNTED`` pairs of people support it. Below, its logarithm goes on in a straight line
over the squared distance (over the cosine, for unit rows), with the slope that it has between
``TAIL_FROM`` and the last counted distance. What lies nearer is not used at all: among LFW's
nearest "different" people at least ten pairs are, by their names alone, one person filed twice
(Hasan Wirayuda and Hassan Wirajuda, Prince Felipe and Felipe De Borbon), and others have a wrong
photo. Against ``COUNTED`` they weigh little; further down they would be most of what is counted.
The line keeps the slope of the commoner distances, where the true curve likely falls faster: it
foresees too many false matches rather than too few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.calibration import Calibration
from facesearch.errors import DatasetError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

REACH = 2.0
"""The largest distance of unit rows."""
BINS = 1_000
STEP = 10
"""Bins between two distances of the table."""
COUNTED = 100.0
TAIL_FROM = 1e-3
NEVER_SURER = 0.999
"""What a few hundred people cannot carry is not said: probabilities stay this far from 0 and 1."""
_BLOCK = 512


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """One face a photo: ``rows`` (n, dim) of unit length, ``person`` (n,) whom each shows."""

    rows: NDArray[np.float32]
    person: Ints

    def of(self, chosen: Flags) -> Faces:
        """Those of ``chosen``, (n,)."""
        return Faces(self.rows[chosen], self.person[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class PairCounts:
    """Distances of all pairs in ``BINS`` equal bins over 0..``REACH``, (BINS,) each.

    ``mates`` counts people (each with two photos or more weighs 1), ``others`` pairs of people.
    """

    mates: Floats
    others: Floats
    people: int
    mate_pairs: int
    other_pairs: int


def halves(faces: Faces, seed: int) -> tuple[Faces, Faces]:
    """The people dealt into two halves, each with all their photos."""
    people = np.unique(faces.person)
    shuffled = np.random.default_rng(seed).permutation(people)
    first = np.isin(faces.person, shuffled[: len(people) // 2])
    return faces.of(first), faces.of(~first)


def count_pairs(faces: Faces) -> PairCounts:
    """The distances of every pair of photos.

    Raises:
        DatasetError: nobody has two photos, or there is one person alone.
    """
    people, code, photos = np.unique(faces.person, return_inverse=True, return_counts=True)
    if len(people) < 2 or photos.max() < 2:
        raise DatasetError(
            f"{len(people)} people, nobody else or nobody with two photos: a calibration needs both"
        )
    mates, others = np.zeros(BINS), np.zeros(BINS)
    mate_pairs = other_pairs = 0
    mate_weight = 2 / np.maximum(1, photos * (photos - 1))
    for start, distances in _blocks(faces.rows, faces.rows):
        mine = slice(start, start + len(distances))
        later = np.arange(len(code)) > np.arange(start, mine.start + len(distances))[:, None]
        same = code[mine, None] == code
        bins = _bins(distances)
        chosen = later & same
        weight = np.broadcast_to(mate_weight[code], chosen.shape)[chosen]
        mates += np.bincount(bins[chosen], weight, BINS)
        mate_pairs += int(chosen.sum())
        chosen = later & ~same
        weight = (1 / photos[code[mine], None] / photos[code])[chosen]
        others += np.bincount(bins[chosen], weight, BINS)
        other_pairs += int(chosen.sum())
    return PairCounts(mates, others, len(people), mate_pairs, other_pairs)


def fit(counts: PairCounts, space_digest: str, facts: dict[str, Any]) -> Calibration:
    """The calibration that the counts carry.

    Raises:
        DatasetError: there are too few pairs of people.
    """
    rates, counted_from = _false_match_rates(counts.others)
    return Calibration(
        space_digest=space_digest,
        distances=tuple(float(distance) for distance in _table_distances()),
        probabilities=tuple(float(each) for each in _probabilities(counts)),
        false_match_rates=tuple(float(f"{rate:.5g}") for rate in rates),
        counted_from=counted_from,
        facts=facts,
    )


def calibration_error(calibration: Calibration, counts: PairCounts, groups: int = 15) -> float:
    """Expected calibration error at even odds, 0..1: how far said and true shares of same pairs
    lie apart on average, over ``groups`` of pairs of equal weight in order of probability.
    """
    same = counts.mates / counts.mates.sum() / 2
    weight = same + counts.others / counts.others.sum() / 2
    middle = (np.arange(BINS) + 0.5) * REACH / BINS
    said = calibration.probability(middle)
    ends = np.cumsum(weight)
    group = np.minimum(((ends - weight / 2) * groups).astype(int), groups - 1)
    difference = np.bincount(group, same - weight * said, groups)
    return float(np.abs(difference).sum())


def false_matches(
    calibration: Calibration, faces: Faces, gallery: int, expected: float, seed: int
) -> tuple[int, float]:
    """False matches counted, and foreseen, over all searches together.

    Every face searches ``gallery`` random ones of ``faces``, the person's own left out, up to the
    distance at which ``expected`` false matches a search are foreseen among so many.
    """
    chosen = np.random.default_rng(seed).permutation(len(faces.person))[:gallery]
    enrolled = faces.person[chosen]
    limit = calibration.distance_at(min(1.0, expected / len(chosen)))
    counted, compared = 0, 0
    for start, distances in _blocks(faces.rows, faces.rows[chosen]):
        others = faces.person[start : start + len(distances), None] != enrolled
        counted += int((others & (distances <= limit)).sum())
        compared += int(others.sum())
    return counted, float(calibration.expected_false_matches(limit, compared))


def rates_of_people(faces: Faces, distance: float) -> Floats:
    """Each person's own false match rate within ``distance``; their mean is the common one.

    Returns:
        (people,) in order of their numbers: the chance that a photo of theirs, drawn at random, has
        a photo of somebody else, drawn at random, as near.
    """
    people, code, photos = np.unique(faces.person, return_inverse=True, return_counts=True)
    rates = np.zeros(len(people))
    for start, distances in _blocks(faces.rows, faces.rows):
        mine = code[start : start + len(distances)]
        near = (distances <= distance) & (mine[:, None] != code)
        np.add.at(rates, mine, (near / photos[code]).sum(axis=1) / photos[mine])
    return rates / max(1, len(people) - 1)


def _probabilities(counts: PairCounts) -> Floats:
    """At the table's distances."""
    from sklearn.isotonic import IsotonicRegression

    same = counts.mates / counts.mates.sum()
    weight = same + counts.others / counts.others.sum()
    seen = weight > 0
    middle = np.arange(BINS) + 0.5
    regression = IsotonicRegression(y_min=0, y_max=1, increasing=False, out_of_bounds="clip")
    regression.fit(middle[seen], same[seen] / weight[seen], weight[seen])
    around = np.arange(-STEP // 2, STEP // 2) + 0.5
    places = np.arange(0, BINS + 1, STEP)[:, None] + around
    means = regression.predict(places.ravel()).reshape(places.shape).mean(axis=1)
    return np.asarray(np.round(np.clip(means, 1 - NEVER_SURER, NEVER_SURER), 5), np.float64)


def _false_match_rates(others: Floats) -> tuple[Floats, float]:
    """(at the table's distances, the distance down to which they are counted)."""
    distances = _table_distances()
    pairs = np.concatenate([[0.0], np.cumsum(others)])[::STEP]
    rates = np.minimum(pairs / pairs[-1], 1.0)
    usual = np.flatnonzero((pairs >= COUNTED) & (rates <= TAIL_FROM))
    if len(usual) < 3:
        raise DatasetError(
            f"{pairs[-1]:,.0f} pairs of people are too few for a calibration; take more people"
        )
    slope = np.polyfit(distances[usual] ** 2, np.log(rates[usual]), 1)[0]
    last = usual[0]
    below = slice(0, last)
    rates[below] = rates[last] * np.exp(slope * (distances[below] ** 2 - distances[last] ** 2))
    return rates, float(distances[last])


def _table_distances() -> Floats:
    return np.round(np.arange(0, BINS + 1, STEP) * REACH / BINS, 6)


def _bins(distances: Floats) -> Ints:
    return np.minimum((distances * (BINS / REACH)).astype(np.int64), BINS - 1)


def _blocks(
    rows: NDArray[np.float32], gallery: NDArray[np.float32]
) -> Iterator[tuple[int, Floats]]:
    """(number of the first row, distances of some rows to the whole gallery)."""
    wide = gallery.astype(np.float64)
    for start in range(0, len(rows), _BLOCK):
        cosine = rows[start : start + _BLOCK].astype(np.float64) @ wide.T
        yield start, np.sqrt(np.maximum(0, 2 - 2 * cosine))
