"""deepface with its settings that are most accurate here: the mtcnn detector, its alignment, and
Facenet's own normalization. ``represent`` rather than ``find``, so that nothing is timed besides
its networks and a search in plain numpy; see ``side.py``.
"""

from __future__ import annotations

import cv2
import numpy as np
from deepface import DeepFace
from side import Found, by_numpy, main

_DIM = 128


class WithDeepface:
    def __init__(self) -> None:
        DeepFace.build_model("Facenet")

    def find(self, path: str) -> Found:
        pixels = cv2.imread(path)
        found = DeepFace.represent(
            pixels,
            model_name="Facenet",
            detector_backend="mtcnn",
            normalization="Facenet",
            enforce_detection=False,
        )
        # Where it finds nothing it gives the whole photo, with no confidence.
        found = [face for face in found if face["face_confidence"] > 0]
        sides = [[face["facial_area"][side] for side in "xywh"] for face in found]
        rows = np.array([face["embedding"] for face in found], float).reshape(-1, _DIM)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        size = pixels.shape[1], pixels.shape[0]
        return Found(size, np.array(sides, float).reshape(-1, 4), rows)

    def nearest(self, rows: np.ndarray, row: np.ndarray, k: int) -> np.ndarray:
        return by_numpy(rows, row, k)


if __name__ == "__main__":
    main(WithDeepface)
