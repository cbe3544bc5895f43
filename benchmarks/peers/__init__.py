"""Other ways to search faces, each run in an environment of its own over the same photos."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Peer:
    """``script`` is run by the Python of its environment; ``environment`` is the name of its folder
    among the peers', None for this one. ``wanted`` is how many times as fast indexing should be.
    """

    name: str
    title: str
    script: str
    environment: str | None
    wanted: float

    def python(self, peers: Path | None) -> Path | None:
        """Its Python, None where its environment has not been made."""
        if self.environment is None:
            return Path(sys.executable)
        if peers is None:
            return None
        python = peers / self.environment / "bin" / "python"
        return python if python.exists() else None

    def command(self, python: Path) -> list[str]:
        return [str(python), str(FOLDER / self.script)]


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "first-report",
            "the first course report's way: mtcnn and FaceNet (TensorFlow) one by one, "
            "NearestNeighbors",
            "first_report.py",
            None,
            30.0,
        ),
        Peer(
            "deepface",
            "deepface: mtcnn, Facenet with its own normalization",
            "with_deepface.py",
            "deepface",
            40.0,
        ),
        Peer(
            "face_recognition",
            "face_recognition: dlib's HOG detector and ResNet",
            "with_face_recognition.py",
            "face_recognition",
            12.0,
        ),
    )
}


def available(peers: Path | None) -> dict[str, Peer]:
    """Those that can be run here."""
    return {name: peer for name, peer in PEERS.items() if peer.python(peers) is not None}


def environment_of(peer: Peer, peers: Path | None) -> Mapping[str, str]:
    """What its processes see; deepface looks for weights in a home of its own."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if peer.environment is None:
        kept["PYTHONPATH"] = str(FOLDER.parents[1])
    elif peers is not None:
        kept["DEEPFACE_HOME"] = str(peers.resolve() / "home")
    return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3"}
