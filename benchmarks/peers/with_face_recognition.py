"""face_recognition as its documentation shows it: the HOG detector, one encoding a face. Its own
command encodes all known photos anew for every query, which this does not; see ``side.py``.
"""

from __future__ import annotations

import face_recognition
import numpy as np
from side import Found, by_numpy, main


class WithFaceRecognition:
    def find(self, path: str) -> Found:
        pixels = face_recognition.load_image_file(path)
        places = face_recognition.face_locations(pixels, model="hog")
        rows = face_recognition.face_encodings(pixels, places)
        boxes = [(left, top, right - left, bottom - top) for top, right, bottom, left in places]
        size = pixels.shape[1], pixels.shape[0]
        return Found(size, np.array(boxes, float).reshape(-1, 4), np.array(rows).reshape(-1, 128))

    def nearest(self, rows: np.ndarray, row: np.ndarray, k: int) -> np.ndarray:
        return by_numpy(rows, row, k)


if __name__ == "__main__":
    main(WithFaceRecognition)
