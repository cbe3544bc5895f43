"""Indexes Labeled Faces in the Wild and prints photos a second, peak memory and faces.

    python benchmarks/lfw_index.py [--lfw FOLDER] [--photos N] [--store FILE]

Peak memory is the proportional set size of all processes together, sampled every second, so
that pages shared between processes count once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil


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
            folder = Path(scratch) / "lfw"
            link_first(options.lfw, folder, options.photos)
        store = options.store or Path(scratch) / "faces.npz"
        command = [sys.executable, "-m", "facesearch", "index", str(folder), "--json"]
        command += ["--store", str(store)]
        if options.jobs:
            command += ["--jobs", str(options.jobs)]
        summary, peak = run(command)
    print(
        json.dumps(
            {
                "photos": summary["seen"],
                "faces": summary["faces"],
                "without_face": summary["without_face"],
                "seconds": summary["seconds"],
                "photos_per_second": summary["photos_per_second"],
                "peak_mb": round(peak / 1e6),
                "failed": len(summary["failures"]),
            }
        )
    )


def link_first(source: Path, target: Path, count: int) -> None:
    """The first photos in sorted order, copied as links into folders of the same names."""
    for photo in sorted(source.glob("*/*.jpg"))[:count]:
        (target / photo.parent.name).mkdir(parents=True, exist_ok=True)
        (target / photo.parent.name / photo.name).symlink_to(photo.resolve())


def run(command: list[str]) -> tuple[dict[str, object], int]:
    """The command's summary and the peak memory in bytes of all its processes together."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    peaks = [0]
    watcher = threading.Thread(target=watch, args=(process.pid, peaks), daemon=True)
    watcher.start()
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"exit code {process.returncode}")
    return json.loads(output), peaks[0]


def watch(pid: int, peaks: list[int]) -> None:
    """Samples memory until the process ends."""
    try:
        parent = psutil.Process(pid)
        while True:
            total = 0
            for process in [parent, *parent.children(recursive=True)]:
                try:
                    memory = process.memory_full_info()
                    total += getattr(memory, "pss", memory.uss)
                except psutil.NoSuchProcess:
                    continue
            peaks[0] = max(peaks[0], total)
            threading.Event().wait(1)
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    main()
