"""How well people are found: the 55 people of LFW with exactly six photos, each photo a probe.

    python benchmarks/identification.py STORE

STORE holds all of LFW (benchmarks/lfw_index.py --store STORE). A probe is a photo's most central
face; its own photo (and copies of it) leaves the list. rank-1: the nearest photo shows the same
person. mAP: mean over probes of average precision, divided by the five mates. recall@19: mates
among the first 19. A probe without a face counts as a miss in all three.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery import Search, Where
from facesearch.gallery.npz import NpzGallery
from facesearch.store import Store

MATES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    options = parser.parse_args()
    gallery = NpzGallery(Store.open(options.store))
    scores = [score(gallery, probe) for probe in probes_of(gallery.store)]
    rank1, precision, recall = np.mean(scores, axis=0)
    print(
        json.dumps(
            {
                "probes": len(scores),
                "rank1": round(float(rank1), 4),
                "map": round(float(precision), 4),
                "recall_at_19": round(float(recall), 4),
            }
        )
    )


@dataclass(frozen=True)
class Probe:
    person: str
    content: bytes
    row: NDArray[np.float32] | None


def probes_of(store: Store) -> list[Probe]:
    """Every photo of the people with exactly six, with its most central face."""
    keys = list(store.files.paths())
    counts = Counter(PurePath(key).parent.name for key in keys)
    return [
        Probe(
            PurePath(key).parent.name,
            store.contents.hash[store.files.content[row]].tobytes(),
            central_row(store, int(store.files.content[row])),
        )
        for row, key in enumerate(keys)
        if counts[PurePath(key).parent.name] == MATES + 1
    ]


def central_row(store: Store, content: int) -> NDArray[np.float32] | None:
    """The embedding of the face nearest to the photo's centre, None where there is no face."""
    contents, faces = store.contents, store.faces
    ids = np.arange(contents.face_start(content), contents.face_stop(content))
    if not len(ids):
        return None
    centre = np.array([contents.width[content], contents.height[content]]) / 2
    middles = faces.box[ids, :2] + faces.box[ids, 2:] / 2
    nearest = np.argmin(((middles - centre) ** 2).sum(axis=1))
    return store.embeddings(ids[nearest : nearest + 1])[0]


def score(gallery: NpzGallery, probe: Probe) -> tuple[float, float, float]:
    """(rank-1, average precision, recall@19) of one probe."""
    if probe.row is None:
        return 0.0, 0.0, 0.0
    everything = Search(k=None, where=Where(exclude=frozenset({probe.content})))
    found = gallery.search(probe.row[None], [""], everything)
    hits = np.array([PurePath(near.relative_path).parent.name == probe.person for near in found])
    places = np.flatnonzero(hits) + 1
    precision = (np.arange(1, len(places) + 1) / places).sum() / MATES
    return float(hits[0]), float(precision), float(hits[:19].sum() / MATES)


if __name__ == "__main__":
    main()
