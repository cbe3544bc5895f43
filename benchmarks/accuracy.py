"""POI accuracy of any tool's embeddings, by the same code that evaluates facesearch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.photos import POI_PHOTOS
from facesearch.evaluation.enrolment import Dataset, Enrolled, enrol, read_dataset
from facesearch.evaluation.identification import IdentificationOptions, identify, people_with
from facesearch.evaluation.scoring import EuclideanScorer
from facesearch.querying import most_prominent
from facesearch.records import Box, QueryFace
from facesearch.store import Store

FIGURES = ("rank-1", "mAP", "recall@19")


def of_store(store: Path, folder: Path) -> dict[str, Any]:
    """Of a store of ours, made of ``folder``."""
    held = Store.open(store)
    return _figures(enrol(held, read_dataset(folder)), EuclideanScorer(held.rows))


def of_peer(arrays: Path) -> dict[str, Any]:
    """Of what ``peers/side.py`` wrote; a person is the folder that a photo lies in."""
    with np.load(arrays) as held:
        found = {name: held[name] for name in held.files}
    enrolled = _enrolled(found)
    rows = np.ascontiguousarray(found["row"], np.float32)
    return _figures(enrolled, EuclideanScorer([rows]))


def _enrolled(found: dict[str, np.ndarray]) -> Enrolled:
    paths = [Path(str(path)) for path in found["path"]]
    names = tuple(path.parent.name for path in paths)
    keys = tuple(f"{path.parent.name}/{path.name}" for path in paths)
    count = len(paths)
    ends = np.cumsum(np.bincount(found["photo"], minlength=count))
    first = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    boxes = np.asarray(found["box"], np.float64)
    return Enrolled(
        keys=keys,
        names=names,
        person=Dataset(Path(), keys, names, {}).person,
        content=np.arange(count),
        central=_central(first, ends, boxes, found["size"]),
        boxes=boxes,
        first=first,
        last=ends.astype(np.int64),
        failed=np.zeros(count, np.bool_),
    )


def _central(
    first: np.ndarray, last: np.ndarray, boxes: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Each photo's most prominent face by the rule of ``facesearch query``, -1 where none is."""
    central = np.full(len(first), -1, np.int64)
    for photo, (start, stop) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        if stop > start:
            faces = [
                QueryFace(number, Box(*map(float, box)), 1.0)
                for number, box in enumerate(boxes[start:stop])
            ]
            central[photo] = start + most_prominent(faces, *map(int, sizes[photo]))
    return central


def _figures(enrolled: Enrolled, scorer: EuclideanScorer) -> dict[str, Any]:
    people = people_with(enrolled.names, POI_PHOTOS)
    found, _ = identify(enrolled, scorer, people, IdentificationOptions())
    return {
        "rank-1": found.rank_1.value,
        "mAP": found.map.value,
        "recall@19": found.recall_at_k[19].value,
        "probes": found.probes,
        "photos": found.photos,
        "probes_without_face": found.misses,
    }
