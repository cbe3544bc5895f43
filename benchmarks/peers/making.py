"""Makes the peers' environments with pip, and puts the weights where deepface looks for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import FOLDER, PEERS
from benchmarks.processes import BenchmarkError, Surroundings, run
from facesearch import weights
from facesearch.weights import path_of

_WEIGHTS = Path("home", ".deepface", "weights", "facenet_weights.h5")


def make_peers(folder: Path, say: Callable[[str], None]) -> None:
    """Makes those environments that are missing; dlib is compiled, which takes ten minutes.

    Raises:
        BenchmarkError: pip failed.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for peer in PEERS.values():
        if peer.environment is not None and peer.python(folder) is None:
            say(f"making {folder / peer.environment}")
            make_environment(folder / peer.environment, pins_of(peer.environment))
    put_weights(folder, say)


def pins_of(environment: str) -> Path:
    return FOLDER / f"{environment}.txt"


def make_environment(target: Path, pins: Path, *options: str) -> None:
    """A virtual environment with exactly those packages; none is left where pip failed.

    ``options`` go to pip.
    """
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    here = Surroundings(target.parent, os.environ)
    try:
        run([sys.executable, "-m", "venv", str(partial)], here)
        python = str(partial / "bin" / "python")
        # What compiles its packages does so with the setuptools that is pinned.
        run([python, "-m", "pip", "install", "-q", *options, "-r", str(pins)], here)
    except BenchmarkError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    partial.rename(target)


def put_weights(folder: Path, say: Callable[[str], None]) -> None:
    """deepface's Facenet has the weights of our default model, under a name of its own."""
    target = folder / _WEIGHTS
    if target.exists():
        return
    weights.ensure("facenet-128", offline=False, report=say)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path_of("facenet-128"), target)


def megabytes(folder: Path) -> float:
    """What lies in a folder, links not followed."""
    done = subprocess.run(["du", "-sk", str(folder)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0]) * 1024 / 1e6
