"""Crop, margin and flip chosen on people who are in no pair of View 2 and not among the 55.

    python -m benchmarks.choosing --lfw FOLDER --pairs PAIRS.txt

Takes the people of Labeled Faces in the Wild who are neither among the 55 with six photos nor in
any pair of View 2: 1,468 people, 52 of them with two photos or more. Each photo with a mate is
searched for among all the others; each crop is measured alone, averaged with its mirror image, and
some crops together. ``d'`` is the distance between the means of mates' and strangers' cosines in
units of their common deviation: with so few mates it tells more than ranks. At the end the crops
that cost one embedding are held against the default by a paired bootstrap over people.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from benchmarks.crops import VARIANTS, Variant, embed, evaluate, find_faces, most_central
from facesearch.datasets import unmeasured_people
from facesearch.extractors import Extractor, load_extractor
from facesearch.recipes import ExtractorOptions
from facesearch.records import Embeddings, Pixels
from facesearch.runtimes import RuntimeOptions

ALONE = ("tight box", "10 px", "16 px", "margin 0.05", "margin 0.1",
         "aligned 0.0", "aligned 0.03", "aligned 0.05", "aligned 0.08")  # fmt: skip
DEFAULT = "aligned 0.05"
TOGETHER = (
    ("aligned 0.03", "aligned 0.08"),
    ("aligned 0.05", "margin 0.05"),
    ("aligned 0.05", "margin 0.1"),
    ("aligned 0.03", "margin 0.1"),
    ("aligned 0.05", "10 px"),
    ("aligned 0.0", "aligned 0.05", "margin 0.1"),
    ("aligned 0.03", "aligned 0.08", "margin 0.1"),
)


class Mirrored:
    """The same extractor on mirrored crops."""

    def __init__(self, extractor: Extractor) -> None:
        self._extractor = extractor
        self.subject, self.input_size = extractor.subject, extractor.input_size
        self.dim = extractor.dim

    def embed(self, batch: Pixels) -> Embeddings:
        return self._extractor.embed(np.ascontiguousarray(batch[:, :, ::-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lfw", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    default = Path(tempfile.gettempdir()) / "facesearch-choosing"
    parser.add_argument("--cache", type=Path, default=default)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    unmeasured = unmeasured_people(args.lfw, args.pairs)
    photos = [photo for photos in unmeasured.values() for photo in photos]
    runtime = RuntimeOptions(threads=1)
    central = [most_central(found, 0.8) for found in find_faces(photos, args.cache, runtime)]
    jobs = [(path, face) for path, face in zip(photos, central, strict=True) if face is not None]
    names = np.array([path.parent.name for path, _ in jobs])
    extractor = load_extractor(ExtractorOptions(), runtime)
    variants = {variant.label: variant for variant in VARIANTS}

    def rows_of(variant: Variant, mirrored: bool) -> Embeddings:
        file = args.cache / f"{variant.label.replace(' ', '-')}-{mirrored}.npy"
        return embed(jobs, variant, Mirrored(extractor) if mirrored else extractor, file)

    print(f"{len(jobs)} photos of {len(set(names))} people; {searched(names).sum()} searched for")
    print(f"{'crop':<40} cost  rank-1     mAP     EER     d'")
    plain = {}
    flipped = {}
    for label in ALONE:
        plain[label] = rows_of(variants[label], False)
        flipped[label] = unit(plain[label] + rows_of(variants[label], True))
        show(label, 1, plain[label], names)
        show(f"{label} + flip", 2, flipped[label], names)
    compare(plain, names)
    for labels in TOGETHER:
        both = unit(sum(plain[label] for label in labels))
        show(" + ".join(labels), len(labels), both, names)
        both = unit(sum(flipped[label] for label in labels))
        show(" + ".join(labels) + " + flip", 2 * len(labels), both, names)


def searched(names: NDArray[np.str_]) -> NDArray[np.bool_]:
    counts = Counter(names.tolist())
    return np.array([counts[name] > 1 for name in names.tolist()])


def unit(rows: Embeddings) -> Embeddings:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def compare(plain: dict[str, Embeddings], names: NDArray[np.str_]) -> None:
    """Each crop's d' minus the default's, with its 95 % interval."""
    moments = {label: moments_of(rows, names) for label, rows in plain.items()}
    count = len(moments[DEFAULT][0])
    draws = np.random.default_rng(0).integers(count, size=(1000, count))
    for label in plain:
        if label != DEFAULT:
            gains = [
                d_prime(*(each[drawn].sum(axis=0) for each in moments[label]))
                - d_prime(*(each[drawn].sum(axis=0) for each in moments[DEFAULT]))
                for drawn in draws
            ]
            low, high = np.percentile(gains, (2.5, 97.5))
            print(
                f"  {label} against {DEFAULT}: d' {np.mean(gains):+.3f} [{low:+.3f}, {high:+.3f}]"
            )


def moments_of(
    rows: Embeddings, names: NDArray[np.str_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count, sum and sum of squares of each searched person's cosines to mates and to strangers."""
    people = sorted(set(names[searched(names)].tolist()))
    near, far = np.zeros((2, len(people), 3))
    for number, person in enumerate(people):
        own = names == person
        mates = (rows[own].astype(np.float64) @ rows[own].T)[~np.eye(own.sum(), dtype=bool)]
        strangers = (rows[own].astype(np.float64) @ rows[~own].T).ravel()
        for target, cosines in ((near, mates), (far, strangers)):
            target[number] = len(cosines), cosines.sum(), np.square(cosines).sum()
    return near, far


def d_prime(near: NDArray[np.float64], far: NDArray[np.float64]) -> float:
    means = near[1] / near[0], far[1] / far[0]
    variances = near[2] / near[0] - means[0] ** 2, far[2] / far[0] - means[1] ** 2
    return float((means[0] - means[1]) / np.sqrt(sum(variances) / 2))


def show(label: str, cost: int, rows: Embeddings, names: NDArray[np.str_]) -> None:
    own = np.flatnonzero(searched(names))
    cosines = rows[own].astype(np.float64) @ rows.astype(np.float64).T
    right = names[own][:, None] == names[None, :]
    right[np.arange(len(own)), own] = False
    ranks = [
        evaluate(cosines[[line]], own[[line]], right[[line]], int(right[line].sum()))
        for line in range(len(own))
    ]
    others = np.ones_like(right)
    others[np.arange(len(own)), own] = False
    near, far = cosines[right], cosines[others & ~right]
    false, true, _ = roc_curve(
        np.r_[np.ones(len(near)), np.zeros(len(far))], np.r_[near, far], drop_intermediate=True
    )
    equal = float(false[np.argmin(np.abs(false - (1 - true)))])
    apart = (near.mean() - far.mean()) / np.sqrt((near.var() + far.var()) / 2)
    rank_1 = np.mean([score.rank_1 for score in ranks])
    precision = np.mean([score.mean_average_precision for score in ranks])
    print(f"{label:<40} {cost:4}  {100 * rank_1:6.2f}  {100 * precision:6.2f}  {100 * equal:6.2f}  "
          f"{apart:5.3f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
