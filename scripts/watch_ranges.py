"""Watches the values inside FaceNet on many faces; 8-bit arithmetic takes its steps from them.

    python scripts/watch_ranges.py --lfw FOLDER --pairs FILE > models/ranges/facenet-128.json

The faces are those of people in Labeled Faces in the Wild who are neither among the 55 with six
photos nor in the pairs, so that nobody who is measured took part. Run once; the result is kept with
the project, so that every machine makes the same network of it.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.datasets import unmeasured_people
from facesearch.index_options import default_recipe
from facesearch.photos import read_photo
from facesearch.processing import Pipeline, ProcessSpec
from facesearch.runtimes import Fetch, RuntimeOptions
from facesearch.runtimes.facenet_h5 import facenet_layers
from facesearch.runtimes.graphs.eight_bit import Watching
from facesearch.runtimes.graphs.facenet import draw_facenet
from facesearch.runtimes.onnx import import_runtime
from facesearch.weights import path_of

MODEL = "facenet-128"
BATCH = 16
TABLES = ("ranges", "means")
BEFORE_BLOCKS = ("Conv2d_", "MaxPool_3a")
SHARE = 0.95
"""Of the faces, whose extremes a range holds: on 256 held-out faces of the same people the mean
cosine to float32 is 0.99933; with all of them, whose outliers make the steps coarse, 0.99903."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    lfw = os.environ.get("FACESEARCH_LFW", "../shared/lfw")
    parser.add_argument("--lfw", type=Path, default=lfw)
    parser.add_argument("--pairs", type=Path, default=Path(lfw).parent / "lfw_pairs.txt")
    parser.add_argument("--faces", type=int, default=512)
    options = parser.parse_args()
    photos = unmeasured(options.lfw, options.pairs)
    crops = np.stack(list(faces_of(photos, options.faces)))
    text = {
        "model": MODEL,
        "faces": len(crops),
        "share": SHARE,
        "people": "of LFW, outside the 55 with six photos and outside the pairs",
        **watched(crops),
    }
    print(laid_out(text))


def unmeasured(lfw: Path, pairs: Path) -> list[Path]:
    """One photo of each person who takes part in no measurement."""
    return [photos[0] for photos in unmeasured_people(lfw, pairs).values()]


def faces_of(photos: list[Path], count: int) -> Iterator[NDArray[np.uint8]]:
    """The first face of each photo as the default recipe cuts it, so many."""
    spec = ProcessSpec(default_recipe(MODEL), 10**8, RuntimeOptions(precision="float32"))
    spec.make_ready(Fetch())
    pipeline = Pipeline(spec)
    step = max(1, len(photos) // count)
    for path in photos[::step][:count]:
        photo = read_photo(path, spec.limits)
        faces = pipeline.detect(photo)[:1]
        if faces:
            yield pipeline.crops(photo, faces)[0, 0]


def watched(crops: NDArray[np.uint8]) -> dict[str, Any]:
    """Value -> the range that holds its least and greatest on most crops; and the mean of each
    channel of the values before the blocks, whose convolutions have few inputs to average over.
    """
    import onnx

    watching = Watching()
    model = onnx.load_from_string(draw_facenet(facenet_layers(path_of(MODEL)), "face", watching))
    names = [*watching.watched, *watching.alike]
    for name in names:
        kind = onnx.TensorProto.FLOAT
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, kind, None))
    session = import_runtime().InferenceSession(model.SerializeToString())
    low: dict[str, list[float]] = {name: [] for name in names}
    high: dict[str, list[float]] = {name: [] for name in names}
    total: dict[str, NDArray[np.float64]] = {}
    for start in range(0, len(crops), BATCH):
        pixels = crops[start : start + BATCH].astype(np.float32)
        for name, array in zip(names, session.run(names, {"pixels": pixels}), strict=True):
            low[name].extend(array.reshape(len(array), -1).min(axis=1))
            high[name].extend(array.reshape(len(array), -1).max(axis=1))
            means = array.mean(axis=(2, 3), dtype=np.float64).sum(axis=0)
            total[name] = total.get(name, 0) + means
    stem = [name for name in names if name.startswith(BEFORE_BLOCKS)]
    return {
        "ranges": {
            name: [rounded(np.quantile(low[name], 1 - SHARE)),
                   rounded(np.quantile(high[name], SHARE))]
            for name in watching.watched
        },
        "means": {name: [rounded(mean) for mean in total[name] / len(crops)] for name in stem},
    }  # fmt: skip


def rounded(value: np.floating[Any]) -> float:
    """Five digits are far more than 256 steps can tell apart."""
    return float(f"{value:.5g}")


def laid_out(text: dict[str, Any]) -> str:
    """JSON with a line for each value."""
    parts = [f" {json.dumps(key)}: {json.dumps(text[key])}" for key in text if key not in TABLES]
    for table in TABLES:
        lines = [f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in text[table].items()]
        parts.append(f' "{table}": {{\n' + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}"


if __name__ == "__main__":
    main()
