"""Times queries, or embeddings alone, through an open gallery."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

import facesearch
from facesearch.errors import FacesearchError

_WARMING = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, help="a file with a path in each line")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--embed", action="store_true", help="find and embed all faces instead")
    options = parser.parse_args()
    photos = options.photos.read_text(encoding="utf-8").splitlines()
    gallery = facesearch.open(options.store, device="cpu")
    ask = gallery.embed if options.embed else gallery.query
    for photo in photos[:_WARMING]:
        try:
            ask(photo)
        except FacesearchError:
            continue
    seconds, faces, without = [], 0, 0
    for photo in photos:
        started = time.perf_counter()
        try:
            found = ask(photo)
        except FacesearchError:
            without += 1
            continue
        seconds.append(time.perf_counter() - started)
        faces += len(found) if options.embed else 1
    times = 1000 * np.array(seconds)
    result = {
        "median_ms": float(np.median(times)),
        "p90_ms": float(np.percentile(times, 90)),
        "without": without,
        "faces": faces,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
