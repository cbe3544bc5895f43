"""How well people are found: the 55 people of LFW with exactly six photos, each photo a probe.

    python benchmarks/identification.py STORE

STORE holds all of LFW (benchmarks/lfw_index.py --store STORE). The probe is a photo's most
central face; its own photo and copies of it leave the list. rank-1: the nearest photo shows the
same person. mAP: mean average precision, divided by the five mates. recall@19: mates among the
first 19. A probe
without a face is a miss in all three.

LFW names the person in the middle of each photo, so by default a gallery photo stands for its most
central face ("central"). "every face" is how the program searches: then a person found in the
background of somebody else's photo counts as a miss, though it may well be a find. ``program`` is
rank-1 of the program's own search, which must equal that of "every face".
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


@dataclass(frozen=True)
class Photos:
    """The store's photos by file: person, content, and face id of the most central face or -1."""

    people: NDArray[np.str_]
    content: NDArray[np.int64]
    central: NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--misses", action="store_true", help="name the wrong first answers")
    options = parser.parse_args()
    store = Store.open(options.store)
    rows = np.concatenate(store.rows)
    photos = read(store)
    counts = Counter(photos.people.tolist())
    probes = [i for i, person in enumerate(photos.people) if counts[person] == MATES + 1]
    result: dict[str, object] = {"probes": len(probes)}
    for name in ("central", "every face"):
        scores = [score(store, rows, photos, probe, name == "central") for probe in probes]
        rank1, precision, recall = np.mean([found for found, _ in scores], axis=0)
        result[name] = {
            "rank1": round(float(rank1), 4),
            "map": round(float(precision), 4),
            "recall_at_19": round(float(recall), 4),
        }
        if options.misses:
            keys = list(store.files.paths())
            result[f"misses, {name}"] = [
                [keys[probe], keys[first]]
                for probe, (found, first) in zip(probes, scores, strict=True)
                if not found[0]
            ]
    result["program"] = {"rank1": round(program_rank1(store, rows, photos, probes), 4)}
    print(json.dumps(result, indent=2))


def read(store: Store) -> Photos:
    content = np.asarray(store.files.content)
    people = np.array([PurePath(key).parent.name for key in store.files.paths()])
    central = np.array([central_face(store, int(row)) for row in content])
    return Photos(people, content, central)


def central_face(store: Store, content: int) -> int:
    """The id of the face nearest to the photo's centre, -1 where there is no face."""
    contents, faces = store.contents, store.faces
    ids = np.arange(contents.face_start(content), contents.face_stop(content))
    if not len(ids):
        return -1
    centre = np.array([contents.width[content], contents.height[content]]) / 2
    middles = faces.box[ids, :2] + faces.box[ids, 2:] / 2
    return int(ids[np.argmin(((middles - centre) ** 2).sum(axis=1))])


def score(
    store: Store, rows: NDArray[np.float32], photos: Photos, probe: int, central: bool
) -> tuple[tuple[float, float, float], int]:
    """(rank-1, average precision, recall@19) of one probe, and which photo came first."""
    if photos.central[probe] < 0:
        return (0.0, 0.0, 0.0), probe
    distances = ((rows - rows[photos.central[probe]]) ** 2).sum(axis=1)
    if central:
        best = np.where(photos.central >= 0, distances[photos.central], np.inf)
    else:
        nearest = np.full(len(store.contents), np.inf, np.float32)
        np.minimum.at(nearest, store.faces.content, distances)
        best = nearest[photos.content]
    order = np.argsort(best, kind="stable")
    order = order[photos.content[order] != photos.content[probe]]
    hits = photos.people[order] == photos.people[probe]
    places = np.flatnonzero(hits) + 1
    precision = (np.arange(1, len(places) + 1) / places).sum() / MATES
    return (float(hits[0]), float(precision), float(hits[:19].sum() / MATES)), int(order[0])


def program_rank1(
    store: Store, rows: NDArray[np.float32], photos: Photos, probes: list[int]
) -> float:
    gallery = NpzGallery(store)
    hits = []
    for probe in probes:
        if photos.central[probe] < 0:
            hits.append(False)
            continue
        own = store.contents.hash[photos.content[probe]].tobytes()
        nearest = Search(k=1, where=Where(exclude=frozenset({own})))
        (found,) = gallery.search(rows[photos.central[probe]][None], [""], nearest)
        hits.append(PurePath(found.relative_path).parent.name == photos.people[probe])
    return float(np.mean(hits))


if __name__ == "__main__":
    main()
