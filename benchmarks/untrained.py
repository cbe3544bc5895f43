"""The ImageNet networks with seeded random weights, to try their whole path where the real ones
cannot be had.

    python -m benchmarks.untrained --home FOLDER

makes a cache folder of its own, so that random numbers never take the place of weights, and prints
the commands that run with it. Every file says in an attribute that it is not trained; so does every
result made with it, and none of them is an accuracy.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from facesearch.runtimes.keras_applications import APPLICATIONS
from facesearch.runtimes.untrained import write_untrained


def pull(name: str, file: Path, home: Path) -> None:
    """Bring the file in as a person would, with its SHA-256."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    subprocess.run(
        [sys.executable, "-m", "facesearch", "models", "pull", name,
         "--from", str(file), "--sha256", digest],
        env={**os.environ, "FACESEARCH_HOME": str(home)},
        check=True,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="cache folder to make")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=APPLICATIONS, default=list(APPLICATIONS))
    args = parser.parse_args()
    home = args.home.absolute()
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            file = Path(folder) / f"{name}.h5"
            write_untrained(name, args.seed, file)
            pull(name, file, home)
            file.unlink()
    print("\nRandom numbers: good for trying the path, no measure of any network.\n")
    systems = {"vgg16": ("vgg16-l2", "vgg16-neighbors", "vgg16-pca")}
    chosen = [system for name in args.only for system in systems.get(name, (name,))]
    options = " ".join(f"--system {system}" for system in chosen)
    print(f"FACESEARCH_HOME={home} facesearch models list")
    print(f"FACESEARCH_HOME={home} facesearch eval FOLDER --pois --limit 300 {options}")


if __name__ == "__main__":
    main()
