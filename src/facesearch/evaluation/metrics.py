"""Measures of identification and verification, from ranks and distances.

Words and definitions follow NIST's FRVT: Grother et al. 2019, "Face Recognition Vendor Test Part 2:
Identification". Distances: lower is closer; infinite where there was no face to compare.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facesearch.results import Curve, Histogram, Measure

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

RESAMPLES = 1000
_INTERVAL = (2.5, 97.5)
_STRAIGHT = 1e-6  # sine of an angle that is none
_BINS = 60


def average_precision(hits: Bools, mates: int) -> float:
    """Mean of the precisions at each mate, divided by all mates in the gallery.

    Args:
        hits: (n,) whether the photo at each rank shows the person, nearest first; photos that
            cannot be found are not in it.
        mates: photos of the person in the gallery, at least 1.
    """
    from sklearn.metrics import average_precision_score

    places = np.flatnonzero(hits)
    if not len(places):
        return 0.0
    # What comes after the last mate changes nothing.
    until = int(places[-1]) + 1
    found = average_precision_score(hits[:until], -np.arange(until))
    return float(found) * len(places) / mates


def recall_at(hits: Bools, mates: int, k: int) -> float:
    """Share of the person's photos among the first ``k``."""
    return float(hits[:k].sum()) / mates


def cumulative_match(first_mates: Sequence[int | None], ranks: int) -> tuple[float, ...]:
    """Share of probes with a mate among the first 1, 2, ... ``ranks`` photos (CMC).

    Args:
        first_mates: each probe's rank of the first mate, from 1; None where there is none.
        ranks: how many shares.
    """
    places = np.array([rank or 0 for rank in first_mates])
    return tuple(
        float(np.mean((places > 0) & (places <= rank))) if len(places) else 0.0
        for rank in range(1, ranks + 1)
    )


def by_people(values: Floats, person: Ints, seed: int) -> Measure:
    """The mean over probes, with its interval over people: whoever is drawn brings all probes.

    Args:
        values: (probes,).
        person: (probes,) whose each probe is.
        seed: of the bootstrap.
    """
    sums, counts = _per_person(values, person)
    low, high = interval_of(_resampled_means(sums, counts, seed))
    return Measure(float(values.mean()), low, high)


def paired_by_people(first: Floats, second: Floats, person: Ints, seed: int) -> Measure:
    """The mean of ``second - first``, two systems on the same probes, with its interval."""
    return by_people(second - first, person, seed)


def roc(distances: Floats, same: Bools) -> Curve:
    """(false accept rate, true accept rate) at every threshold."""
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(same, _scores(distances), drop_intermediate=False)
    return Curve(tuple(false.tolist()), tuple(true.tolist()))


def area_under(distances: Floats, same: Bools) -> float:
    """Area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(same, _scores(distances)))


def equal_error_rate(curve: Curve) -> float:
    """Where false accepts and false rejects are equally frequent, between points by lines."""
    false, rejects = np.asarray(curve.x), 1 - np.asarray(curve.y)
    crossed = int(np.argmax(false >= rejects))
    if crossed == 0:
        return float(false[0])
    before, after = crossed - 1, crossed
    gap_before, gap_after = rejects[before] - false[before], rejects[after] - false[after]
    share = gap_before / (gap_before - gap_after)
    return float(false[before] + share * (false[after] - false[before]))


def true_accepts_at(curve: Curve, false_accepts: float) -> float:
    """The largest true accept rate at no more than that false accept rate (TAR@FAR)."""
    allowed = np.asarray(curve.x) <= false_accepts
    return float(np.asarray(curve.y)[allowed].max())


def best_threshold(distances: Floats, same: Bools) -> float:
    """The distance up to which calling two photos the same person is right most often.

    Halfway between two distances that occur; the smallest of equally good ones; below 0 where it
    is best to accept nobody.
    """
    order = np.argsort(distances, kind="stable")
    sorted_distances, sorted_same = distances[order], same[order]
    accepted = np.concatenate([[0], np.cumsum(np.where(sorted_same, 1, -1))])
    # A threshold cannot part equal distances.
    parts = np.concatenate([[True], sorted_distances[1:] > sorted_distances[:-1], [True]])
    best = int(np.argmax(np.where(parts, accepted, -len(distances) - 1)))
    if best == 0:
        return -1.0
    below = sorted_distances[best - 1]
    above = sorted_distances[best] if best < len(distances) else below
    return float(below if np.isinf(above) else (below + above) / 2)


def threshold_at(strangers: Floats, share: float) -> float:
    """The distance below which at most that share of the strangers' searches gives anyone.

    Args:
        strangers: (n,) distance of each stranger's nearest enrolled face.
        share: the false positive identification rate allowed (FPIR).
    """
    allowed = int(np.floor(share * len(strangers) + 1e-9))
    ordered = np.sort(strangers)
    return float(ordered[allowed]) if allowed < len(ordered) else float("inf")


def missed_at(mated: Floats, threshold: float) -> float:
    """Share of enrolled people's searches whose own photo is not below the threshold (FNIR)."""
    return float(np.mean(~(mated < threshold)))


def detection_error_tradeoff(mated: Floats, strangers: Floats) -> Curve:
    """(FPIR, FNIR) at the distance of every stranger's nearest face (DET)."""
    thresholds = np.unique(strangers[np.isfinite(strangers)])
    if not len(thresholds):
        return Curve((0.0,), (missed_at(mated, float("inf")),))
    ordered_strangers, ordered_mated = np.sort(strangers), np.sort(mated)
    false = np.searchsorted(ordered_strangers, thresholds, side="left") / len(strangers)
    missed = 1 - np.searchsorted(ordered_mated, thresholds, side="left") / len(mated)
    return Curve(tuple(false.tolist()), tuple(missed.tolist()))


def thinned(curve: Curve) -> Curve:
    """The corners of the curve: what lies on a straight line between two others is left out."""
    x, y = np.asarray(curve.x), np.asarray(curve.y)
    steps_x, steps_y = np.diff(x), np.diff(y)
    turns = steps_x[:-1] * steps_y[1:] - steps_y[:-1] * steps_x[1:]
    corners = np.ones(len(x), np.bool_)
    lengths = np.hypot(steps_x, steps_y)
    corners[1:-1] = np.abs(turns) > _STRAIGHT * lengths[:-1] * lengths[1:]
    return Curve(tuple(np.round(x[corners], 7).tolist()), tuple(np.round(y[corners], 7).tolist()))


def histogram(near: Sequence[Floats], far: Sequence[Floats]) -> Histogram:
    """Counts of the distances between photos of one person, and of different people."""
    mates = np.concatenate([*near, np.empty(0)])
    others = np.concatenate([*far, np.empty(0)])
    whole = np.concatenate([mates, others])
    whole = whole[np.isfinite(whole)]
    if not len(whole):
        return Histogram()
    edges = np.linspace(0.0, max(float(whole.max()), 1e-6), _BINS + 1)
    return Histogram(
        tuple(round(float(edge), 6) for edge in edges),
        tuple(np.histogram(mates, edges)[0].tolist()),
        tuple(np.histogram(others, edges)[0].tolist()),
    )


def _scores(distances: Floats) -> Floats:
    """Higher is closer, and finite."""
    finite = distances[np.isfinite(distances)]
    farthest = float(finite.max()) + 1.0 if len(finite) else 1.0
    return -np.where(np.isfinite(distances), distances, farthest)


def _per_person(values: Floats, person: Ints) -> tuple[Floats, Floats]:
    _, codes = np.unique(person, return_inverse=True)
    sums = np.asarray(np.bincount(codes, values), np.float64)
    return sums, np.bincount(codes).astype(np.float64)


def _resampled_means(sums: Floats, counts: Floats, seed: int) -> Floats:
    draws = np.random.default_rng(seed)
    means = np.empty(RESAMPLES if len(sums) > 1 else 0)
    for number in range(len(means)):
        drawn = draws.integers(len(sums), size=len(sums))
        means[number] = sums[drawn].sum() / counts[drawn].sum()
    return means


def interval_of(values: Floats) -> tuple[float | None, float | None]:
    """The middle 95 % of a bootstrap's values; nothing of a single one."""
    if len(values) < 2:
        return None, None
    low, high = np.percentile(values, _INTERVAL)
    return float(low), float(high)
