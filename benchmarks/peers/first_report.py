"""The first course report's way: the mtcnn package and FaceNet on TensorFlow, photo by photo and
face by face, the tight box stretched, scikit-learn's NearestNeighbors. Runs in this project's own
environment and with its weights; see ``side.py``.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from side import Found, main

_INPUT = 160


class FirstReport:
    def __init__(self) -> None:
        from keras_facenet.inception_resnet_v1 import InceptionResNetV1
        from mtcnn import MTCNN

        from facesearch.runtimes.facenet_h5 import facenet_layers
        from facesearch.weights import path_of

        self._detector = MTCNN()
        self._network = InceptionResNetV1(input_shape=(_INPUT, _INPUT, 3), classes=128)
        layers = facenet_layers(path_of("facenet-128"))
        for layer in self._network.layers:
            if layer.weights:
                layer.set_weights(layers[layer.name])

    def find(self, path: str) -> Found:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        boxes = [face["box"] for face in self._detector.detect_faces(pixels)]
        rows = [self._embed(pixels, box) for box in boxes]
        size = pixels.shape[1], pixels.shape[0]
        return Found(size, np.array(boxes, float).reshape(-1, 4), np.array(rows).reshape(-1, 128))

    def _embed(self, pixels: np.ndarray, box: list[int]) -> np.ndarray:
        x, y, width, height = box
        x, y = max(0, x), max(0, y)
        cut = Image.fromarray(pixels[y : y + height, x : x + width]).resize((_INPUT, _INPUT))
        crop = np.asarray(cut, np.float32)
        crop = (crop - crop.mean()) / crop.std()
        row = self._network.predict(crop[None], verbose=0)[0]
        return row / np.linalg.norm(row)

    def nearest(self, rows: np.ndarray, row: np.ndarray, k: int) -> np.ndarray:
        from sklearn.neighbors import NearestNeighbors

        index = NearestNeighbors(n_neighbors=min(k, len(rows))).fit(rows)
        return index.kneighbors(row[None], return_distance=False)[0]


if __name__ == "__main__":
    main(FirstReport)
