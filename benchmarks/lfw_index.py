"""Indexes Labeled Faces in the Wild and prints photos a second, peak memory and faces.

    python -m benchmarks.lfw_index [--lfw FOLDER] [--photos N] [--store FILE]

Peak memory is the proportional set size of all processes together, so that pages shared between
processes count once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.photos import all_photos, link
from benchmarks.processes import BenchmarkError, Surroundings, run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--lfw", type=Path, default=os.environ.get("FACESEARCH_LFW", "../shared/lfw")
    )
    parser.add_argument("--photos", type=int, help="only the first so many")
    parser.add_argument("--store", type=Path, help="keep the store here")
    parser.add_argument("--jobs", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.lfw
        if options.photos:
            folder = link(all_photos(options.lfw)[: options.photos], Path(scratch) / "lfw")
        store = options.store or Path(scratch) / "faces.npz"
        command = [sys.executable, "-m", "facesearch", "index", str(folder), "--json"]
        command += ["--store", str(store)]
        if options.jobs:
            command += ["--jobs", str(options.jobs)]
        try:
            done = run(command, Surroundings(Path.cwd(), os.environ, watched=True))
        except BenchmarkError as error:
            sys.exit(str(error))
    summary = json.loads(done.output)
    print(
        json.dumps(
            {
                "photos": summary["seen"],
                "faces": summary["faces"],
                "without_face": summary["without_face"],
                "seconds": summary["seconds"],
                "photos_per_second": summary["photos_per_second"],
                "peak_mb": round(done.peak_bytes / 1e6),
                "failed": len(summary["failures"]),
            }
        )
    )


if __name__ == "__main__":
    main()
