"""From nothing to the first answer: megabytes installed, and seconds from pip to neighbours."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from benchmarks.peers import PEERS, environment_of
from benchmarks.peers.making import make_environment, megabytes, pins_of, put_weights
from benchmarks.peers.running import PeerRunner
from benchmarks.photos import spread
from benchmarks.processes import Surroundings, run
from benchmarks.results import Figure, Measured
from benchmarks.workbench import ROOT, Options, Workbench

_PHOTOS = 20
_NO_CACHE = "--no-cache-dir"
"""What pip downloaded or compiled before would hide what a new machine waits for."""


def measure_setup(bench: Workbench) -> Measured:
    """Once each, for the network's speed is in it. Weights are downloaded for facesearch, and laid
    ready for deepface, which would download its own.
    """
    photos = spread(bench.photos, _PHOTOS)
    figures = _ours(bench, photos)
    for name, peer in PEERS.items():
        if peer.environment is not None:
            figures += _theirs(bench, name, photos)
    return Measured(tuple(figures), (), {"photos": len(photos)})


def _ours(bench: Workbench, photos: list[Path]) -> list[Figure]:
    """A wheel of this checkout is made first; it is what a person would have."""
    wheels, target = bench.new("wheels"), bench.new("ours")
    here = Surroundings(bench.scratch, os.environ)
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(wheels), str(ROOT)],
        here)  # fmt: skip
    (wheel,) = wheels.glob("*.whl")
    run([sys.executable, "-m", "venv", str(target)], here)
    python, store = str(target / "bin" / "python"), str(bench.new("first.npz"))
    home = bench.new("fresh-home")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    fresh = Surroundings(bench.scratch, {**environment, "FACESEARCH_HOME": str(home)})
    folder = str(bench.folder_of(photos))
    seconds = [
        run(command, fresh).seconds
        for command in (
            [python, "-m", "pip", "install", "-q", _NO_CACHE,
             "-c", str(ROOT / "constraints.txt"), str(wheel)],
            [python, "-m", "facesearch", "models", "pull"],
            [python, "-m", "facesearch", "index", folder, "--store", store],
            [python, "-m", "facesearch", "query", str(photos[0]), "--store", store],
        )
    ]  # fmt: skip
    return [
        *_figures("facesearch", target, sum(seconds), seconds[0]),
        Figure("weights", "facesearch", "MB", (megabytes(home),)),
    ]


def _theirs(bench: Workbench, name: str, photos: list[Path]) -> list[Figure]:
    peers = bench.new(f"{name}-peers")
    peers.mkdir()
    peer = PEERS[name]
    target = peers / str(peer.environment)
    put_weights(peers, lambda text: None)
    started = time.perf_counter()
    make_environment(target, pins_of(str(peer.environment)), _NO_CACHE)
    installed = time.perf_counter() - started
    fresh = Workbench(Options(bench.options.lfw, peers=peers), bench.new(f"{name}-scratch"))
    fresh.scratch.mkdir()
    runner = PeerRunner(fresh, peer)
    runner.gallery(photos)
    runner.query(photos, photos[0])
    whole = time.perf_counter() - started
    home = environment_of(peer, peers).get("DEEPFACE_HOME") if name == "deepface" else None
    weights = [Figure("weights", name, "MB", (megabytes(Path(home)),))] if home else []
    return [*_figures(name, target, whole, installed), *weights]


def _figures(side: str, environment: Path, whole: float, installing: float) -> list[Figure]:
    return [
        Figure("installed", side, "MB", (megabytes(environment),)),
        Figure("from pip install to the first answer", side, "s", (whole,)),
        Figure("of that, pip install", side, "s", (installing,)),
    ]
