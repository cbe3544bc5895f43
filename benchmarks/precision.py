"""Compares two stores of the same photos, made by different arithmetic or another runtime.

    facesearch index LFW --store float32.npz --precision float32
    facesearch index LFW --store int8.npz --precision int8
    python -m benchmarks.precision float32.npz int8.npz --lfw LFW --pairs pairs.txt

Prints the cosine between the two rows of each face that both found, and whether accuracy on the 55
people with six photos and on the pairs of View 2 differs by more than chance (paired bootstrap over
the same probes and pairs).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.evaluation import EvalHooks, EvalOptions, measure, read_dataset
from facesearch.evaluation.comparing import compare
from facesearch.evaluation.kept_results import SystemRecord
from facesearch.store import Store
from facesearch.systems import system_with

NEAR = 1.0
"""Pixels by which the boxes of one face may differ."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    lfw = os.environ.get("FACESEARCH_LFW", "../shared/lfw")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--lfw", type=Path, default=lfw)
    parser.add_argument("--pairs", type=Path, default=Path(lfw).parent / "lfw_pairs.txt")
    options = parser.parse_args()
    first, second = Store.open(options.first), Store.open(options.second)
    print(json.dumps({"faces": agreement(first, second)}))
    records = [accuracy(store, options.lfw, options.pairs) for store in (first, second)]
    for comparison in compare(records, seed=0):
        gain = dataclasses.asdict(comparison.difference)
        print(json.dumps({"protocol": comparison.protocol, "measure": comparison.measure, **gain}))


def agreement(first: Store, second: Store) -> dict[str, Any]:
    """How many faces both stores have, and the cosines between their rows."""
    pairs = list(same_faces(first, second))
    rows = [np.array(side, np.int64) for side in zip(*pairs, strict=True)]
    cosines = (first.embeddings(rows[0]) * second.embeddings(rows[1])).sum(axis=1)
    return {
        "first": len(first.faces),
        "second": len(second.faces),
        "both": len(pairs),
        "cosine_mean": round(float(cosines.mean()), 6),
        "cosine_least": round(float(cosines.min()), 6),
        "cosine_p1": round(float(np.quantile(cosines, 0.01)), 6),
    }


def same_faces(first: Store, second: Store) -> Iterator[tuple[int, int]]:
    """Rows of faces of the same content whose boxes lie within a pixel of each other."""
    others = faces_by_content(second)
    for content, rows in faces_by_content(first).items():
        there = others.get(content, np.empty(0, np.int64))
        for row in rows.tolist():
            apart = np.abs(second.faces.box[there] - first.faces.box[row]).max(axis=1)
            if len(there) and apart.min() <= NEAR:
                yield row, int(there[apart.argmin()])


def faces_by_content(store: Store) -> dict[bytes, NDArray[np.int64]]:
    """Rows of the faces of each photo, by its hash."""
    content = np.asarray(store.faces.content)
    rows = np.split(np.arange(len(content)), np.flatnonzero(np.diff(content)) + 1)
    return {store.contents.hash[content[part[0]]].tobytes(): part for part in rows if len(part)}


def accuracy(store: Store, lfw: Path, pairs: Path) -> SystemRecord:
    """POIs and pairs, under the store's name."""
    options = EvalOptions(("pois", "pairs"), pairs=pairs, fresh=True, offline=True)
    system = system_with(store.recipe)
    record = measure(read_dataset(lfw.absolute()), system, store.path, options, EvalHooks())
    result = dataclasses.replace(record.result, name=store.path.stem)
    found = result.identification[0]
    print(json.dumps({"store": result.name, "state": result.state, "pois": brief(found),
                      "pairs": brief(result.verification)}))  # fmt: skip
    return dataclasses.replace(record, result=result)


def brief(found: Any) -> dict[str, Any]:
    """The figures without lists and intervals."""
    values = dataclasses.asdict(found) if found is not None else {}
    plain = {name: value["value"] if isinstance(value, dict) and "value" in value else value
             for name, value in values.items()}  # fmt: skip
    return {name: value for name, value in plain.items() if isinstance(value, (int, float, str))}


if __name__ == "__main__":
    main()
