"""1:1: are two photos of the same person? The pairs protocol of LFW (View 2).

Source: Huang et al. 2007, "Labeled Faces in the Wild: A Database for Studying Face Recognition in
Unconstrained Environments".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facesearch.datasets import Pair
from facesearch.errors import DatasetError
from facesearch.evaluation import metrics
from facesearch.evaluation.enrolment import Enrolled
from facesearch.evaluation.scoring import Floats, Scorer
from facesearch.results import Measure, Verification

FALSE_ACCEPTS = (1e-2, 1e-3)
"""3,000 pairs of different people say nothing of rates below 1e-3."""

Bools = NDArray[np.bool_]
_RESAMPLES = 300


def verify(
    enrolled: Enrolled, scorer: Scorer, pairs: Sequence[Pair], seed: int
) -> tuple[Verification, NDArray[np.float64]]:
    """Compares the central faces of each pair; a fold's threshold comes from the other folds.

    A pair of which a photo has no face is called different. The second result is (pairs,) float64:
    1 where the call was right.

    Raises:
        DatasetError: as ``require_pairs``.
    """
    require_pairs(enrolled.keys, pairs)
    fold = np.array([pair.fold for pair in pairs])
    same = np.array([pair.same for pair in pairs])
    distances = _pair_distances(enrolled, scorer, pairs)
    thresholds = [
        metrics.best_threshold(distances[fold != number], same[fold != number])
        for number in range(fold.max() + 1)
    ]
    called_same = np.isfinite(distances) & (distances <= np.array(thresholds)[fold])
    right = (called_same == same).astype(np.float64)
    accuracies = np.array([right[fold == number].mean() for number in range(fold.max() + 1)])
    auc, eer, *accepts = _resampled(distances, same, seed)
    result = Verification(
        pairs=len(pairs),
        folds=len(accuracies),
        missing=int(np.isinf(distances).sum()),
        accuracy=_over_pairs(right, seed),
        standard_error=float(accuracies.std(ddof=1) / np.sqrt(len(accuracies))),
        fold_accuracies=tuple(accuracies.tolist()),
        thresholds=tuple(round(threshold, 6) for threshold in thresholds),
        auc=auc,
        eer=eer,
        tar_at_far={f"{rate:g}": found for rate, found in zip(FALSE_ACCEPTS, accepts, strict=True)},
        roc=metrics.thinned(metrics.roc(distances, same)),
        distances=metrics.histogram([distances[same]], [distances[~same]]),
    )
    return result, right


def require_pairs(keys: Sequence[str], pairs: Sequence[Pair]) -> None:
    """Makes sure that pairs can be compared on photos of these relative paths.

    Raises:
        DatasetError: photos of the pairs are lacking, or there is one fold alone.
    """
    if max((pair.fold for pair in pairs), default=0) < 1:
        raise DatasetError(
            "the pairs have a single fold, and the threshold of each comes from the others; give "
            "the file of LFW's View 2 (its first line is 10 300)"
        )
    there = {key.rsplit(".", 1)[0] for key in keys}
    lacking = [name for name in _named(pairs) if name not in there]
    if lacking:
        raise DatasetError(
            f"the folder lacks {len(set(lacking)):,} photos of the pairs, the first is "
            f"{lacking[0]}; compare pairs on the whole data set, without --limit"
        )


def _named(pairs: Sequence[Pair]) -> list[str]:
    """Both photos of each pair, without their suffix."""
    return [photo.key for pair in pairs for photo in (pair.first, pair.second)]


def _pair_distances(enrolled: Enrolled, scorer: Scorer, pairs: Sequence[Pair]) -> Floats:
    place = {key.rsplit(".", 1)[0]: number for number, key in enumerate(enrolled.keys)}
    faces = enrolled.central[[place[name] for name in _named(pairs)]].reshape(-1, 2)
    distances = np.full(len(pairs), np.inf)
    there = (faces >= 0).all(axis=1)
    distances[there] = scorer.between(faces[there, 0], faces[there, 1])
    return distances


def _over_pairs(values: Floats, seed: int) -> Measure:
    return metrics.by_people(values, np.arange(len(values)), seed)


def _rates(distances: Floats, same: Bools) -> Floats:
    """Area under the ROC curve, equal error rate, and true accepts at each of ``FALSE_ACCEPTS``."""
    curve = metrics.roc(distances, same)
    accepts = [metrics.true_accepts_at(curve, rate) for rate in FALSE_ACCEPTS]
    return np.array(
        [metrics.area_under(distances, same), metrics.equal_error_rate(curve), *accepts]
    )


def _resampled(distances: Floats, same: Bools, seed: int) -> list[Measure]:
    """``_rates`` with intervals of a bootstrap over pairs, as many of each kind as there are."""
    draws = np.random.default_rng(seed)
    kinds = [np.flatnonzero(same), np.flatnonzero(~same)]
    values = np.empty((_RESAMPLES, 2 + len(FALSE_ACCEPTS)))
    for number in range(_RESAMPLES):
        drawn = np.concatenate([draws.choice(kind, len(kind)) for kind in kinds])
        values[number] = _rates(distances[drawn], same[drawn])
    return [
        Measure(float(value), *metrics.interval_of(each))
        for value, each in zip(_rates(distances, same), values.T, strict=True)
    ]
