"""Counts what distances mean on Labeled Faces in the Wild, and writes it as a calibration.

    python -m benchmarks.calibrate STORE --out src/facesearch/calibration/facenet.json

STORE holds all of LFW (benchmarks/lfw_index.py --store STORE). Each photo stands for its most
prominent face. Left out are the people with exactly six photos, on whom accuracy is reported, and
files with the same bytes under two names. The other people are dealt into two halves by --seed: one
makes the calibration, the other measures it. --seeds N repeats it with N other seeds and says how
far the figures move; the file is that of --seed alone.

Written twice, the file has the same bytes.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from facesearch.calibration import Calibration
from facesearch.evaluation.calibrating import (
    Faces,
    calibration_error,
    count_pairs,
    false_matches,
    fit,
    halves,
    rates_of_people,
)
from facesearch.evaluation.enrolment import Dataset, Enrolled, enrol
from facesearch.store import Store

POI_PHOTOS = 6
GALLERIES = (1_000, 3_000, 6_500)
EXPECTED = (0.1, 1.0, 10.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=0, help="repeat with so many other seeds")
    parser.add_argument("--out", type=Path, help="where to write the calibration")
    options = parser.parse_args()
    store = Store.open(options.store)
    faces, left_out = read(store)
    calibration = calibrate(store, faces, options.seed)
    if options.out:
        options.out.write_text(calibration.as_json(), encoding="utf-8")
    result: dict[str, Any] = {
        **left_out,
        **calibration.facts,
        "counted_from": calibration.counted_from,
        "distance_at_fmr": {f"{f:g}": round(calibration.distance_at(f), 3) for f in
                            (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)},
        "unevenness": unevenness(calibration, halves(faces, options.seed)[1]),
        "distance_at_probability": {p: at_probability(calibration, p) for p in (0.9, 0.5, 0.1)},
    }  # fmt: skip
    if options.seeds:
        result["other_seeds"] = spread(store, faces, options.seed, options.seeds)
    print(json.dumps(result, indent=2))


def read(store: Store) -> tuple[Faces, dict[str, int]]:
    """The faces to count, and how many photos were left out for what."""
    photos = enrol(store, whole(store))
    counts = Counter(photos.names)
    poi = np.array([counts[name] == POI_PHOTOS for name in photos.names])
    twice = under_two_names(photos)
    none = photos.central < 0
    kept = ~(poi | twice | none)
    left_out = {
        "photos_of_people_with_six": int(poi.sum()),
        "photos_under_two_names": int((twice & ~poi).sum()),
        "photos_without_a_face": int((none & ~poi).sum()),
    }
    return Faces(store.embeddings(photos.central[kept]), photos.person[kept]), left_out


def whole(store: Store) -> Dataset:
    keys = tuple(store.files.paths())
    names = tuple(PurePath(key).parent.name for key in keys)
    return Dataset(store.roots[0].resolve(store.folder), keys, names, {})


def under_two_names(photos: Enrolled) -> np.ndarray:
    names: dict[int, set[str]] = {}
    for name, content in zip(photos.names, photos.content.tolist(), strict=True):
        names.setdefault(content, set()).add(name)
    return np.array([len(names[content]) > 1 for content in photos.content.tolist()])


def calibrate(store: Store, faces: Faces, seed: int) -> Calibration:
    ours, held_out = halves(faces, seed)
    made, check = count_pairs(ours), count_pairs(held_out)
    calibration = fit(made, store.recipe.space_digest, {})
    facts = {
        "recipe": store.recipe.name,
        "data": "Labeled Faces in the Wild without the people with exactly six photos",
        "seed": seed,
        "people": made.people,
        "photos": len(ours.person),
        "mate_pairs": made.mate_pairs,
        "other_pairs": made.other_pairs,
        "held_out": {
            "people": check.people,
            "photos": len(held_out.person),
            "mate_pairs": check.mate_pairs,
            "other_pairs": check.other_pairs,
            "calibration_error": round(calibration_error(calibration, check), 5),
            "false_matches": [
                figures(calibration, held_out, gallery, expected, seed)
                for gallery in GALLERIES
                for expected in EXPECTED
            ],
        },
    }
    return fit(made, store.recipe.space_digest, facts)


def figures(
    calibration: Calibration, faces: Faces, gallery: int, expected: float, seed: int
) -> dict[str, float]:
    counted, foreseen = false_matches(calibration, faces, gallery, expected, seed)
    return {
        "gallery": min(gallery, len(faces.person)),
        "expected": expected,
        "counted_in_all": counted,
        "expected_in_all": round(foreseen, 1),
        "ratio": round(counted / foreseen, 3),
    }


def unevenness(calibration: Calibration, faces: Faces) -> dict[str, dict[str, float]]:
    """How many times the mean rate a person in the middle and one in a hundred meet, and which
    share of all false matches falls to the hundredth that meets most.
    """
    found = {}
    for fmr in (1e-3, 1e-4):
        rates = np.sort(rates_of_people(faces, calibration.distance_at(fmr)))
        middle, highest = np.quantile(rates, [0.5, 0.99]) / rates.mean()
        found[f"{fmr:g}"] = {
            "median": round(float(middle), 2),
            "one_in_a_hundred": round(float(highest), 1),
            "share_of_the_hundredth": round(
                float(rates[-(len(rates) // 100) :].sum() / rates.sum()), 2
            ),
        }
    return found


def at_probability(calibration: Calibration, probability: float) -> float:
    falling = np.array(calibration.probabilities)[::-1]
    return round(float(np.interp(probability, falling, calibration.distances[::-1])), 3)


def spread(store: Store, faces: Faces, seed: int, seeds: int) -> dict[str, Any]:
    """The calibration errors and the ratios of counted to foreseen with other seeds."""
    errors, ratios = [], []
    for other in range(seed + 1, seed + 1 + seeds):
        held_out = calibrate(store, faces, other).facts["held_out"]
        errors.append(held_out["calibration_error"])
        ratios.append([each["ratio"] for each in held_out["false_matches"]])
    low, high = np.min(ratios, axis=0), np.max(ratios, axis=0)
    named = [f"{gallery}, {expected:g}" for gallery in GALLERIES for expected in EXPECTED]
    return {
        "seeds": seeds,
        "largest_calibration_error": max(errors),
        "ratios": {n: [a, b] for n, a, b in zip(named, low.tolist(), high.tolist(), strict=True)},
    }


if __name__ == "__main__":
    main()
