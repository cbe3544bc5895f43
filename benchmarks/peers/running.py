"""Runs a peer's script over photos and says what it took."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import Peer, environment_of
from benchmarks.processes import BenchmarkError, Finished, Surroundings, run
from benchmarks.workbench import Workbench

_VERSIONS = (
    "import importlib.metadata as m, json; names = {names!r}; "
    "print(json.dumps({{n: m.version(n) for n in names}}))"
)
_PACKAGES = {
    "first-report": ("mtcnn", "keras-facenet", "tensorflow", "scikit-learn"),
    "deepface": ("deepface", "mtcnn", "tensorflow"),
    "face_recognition": ("face_recognition", "dlib"),
}


class PeerRunner:
    """A peer in its environment, and the galleries it has made in this run."""

    def __init__(self, bench: Workbench, peer: Peer) -> None:
        """Raises BenchmarkError where its environment has not been made."""
        python = peer.python(bench.options.peers)
        if python is None:
            raise BenchmarkError(
                f"{peer.name}: no environment; make it with python -m benchmarks peers make FOLDER"
            )
        self._bench = bench
        self._peer = peer
        self._python = python
        self._environment = environment_of(peer, bench.options.peers)
        self._galleries: dict[tuple[Path, ...], Path] = {}

    def versions(self) -> dict[str, str]:
        names = _PACKAGES[self._peer.name]
        done = self._run([str(self._python), "-c", _VERSIONS.format(names=names)])
        found: dict[str, str] = json.loads(done.output)
        return found

    def index(self, photos: Sequence[Path], processes: int = 1) -> tuple[Path, Finished]:
        """Finds and embeds all faces; where they were written, and what it took."""
        out = self._bench.new(f"{self._peer.name}.npz")
        done = self._script(
            "index", str(self._listed(photos)), str(out), "--processes", str(processes),
            watched=True,
        )  # fmt: skip
        return out, done

    def gallery(self, photos: Sequence[Path]) -> Path:
        """As ``index``, once for the same photos and on all cores."""
        key = tuple(photos)
        if key not in self._galleries:
            self._galleries[key] = self.index(photos, self._bench.jobs)[0]
        return self._galleries[key]

    def query(self, gallery: Sequence[Path], photo: Path) -> Finished:
        """One query in a new process."""
        return self._script("query", str(self.gallery(gallery)), str(photo))

    def warm(self, gallery: Sequence[Path], listed: Path) -> dict[str, Any]:
        """Queries one after the other in one process; see ``side.py``."""
        done = self._script("warm", str(self.gallery(gallery)), str(listed), watched=True)
        return {**json.loads(done.output.splitlines()[-1]), "peak_bytes": done.peak_bytes}

    def _listed(self, photos: Sequence[Path]) -> Path:
        listed = self._bench.new("photos.txt")
        listed.write_text("\n".join(map(str, photos)), encoding="utf-8")
        return listed

    def _script(self, *arguments: str, watched: bool = False) -> Finished:
        return self._run([*self._peer.command(self._python), *arguments], watched)

    def _run(self, command: Sequence[str], watched: bool = False) -> Finished:
        return run(command, Surroundings(self._bench.scratch, self._environment, watched))
