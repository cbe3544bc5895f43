"""FaceNet: a face crop becomes a point on the unit sphere.

Source: Schroff et al. 2015, "FaceNet: A Unified Embedding for Face Recognition and Clustering".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError, UsageError
from facesearch.recipes import ExtractorOptions
from facesearch.records import Embeddings, Pixels
from facesearch.runtimes import Network, NetworkSpec, RuntimeOptions, load_network

MAX_CHUNK = 16
"""Crops in one call at most: 32 are no faster and take 80 MB more."""


def load_facenet(options: ExtractorOptions, runtime: RuntimeOptions) -> FaceNetExtractor:
    """Load the network. See ``facesearch.extractors.load_extractor``."""
    spec = NetworkSpec(
        options.model, runtime.runtime, runtime.device, runtime.threads, options.standardise
    )
    return FaceNetExtractor(options, load_network(spec))


class FaceNetExtractor:
    """Embeds crops with a FaceNet network."""

    subject = "face"

    def __init__(self, options: ExtractorOptions, network: Network) -> None:
        self._options = options
        self._network = network

    @property
    def input_size(self) -> int:
        """See ``facesearch.extractors.Extractor``."""
        return self._options.input_size

    @property
    def dim(self) -> int:
        """See ``facesearch.extractors.Extractor``."""
        return self._options.dim

    def embed(self, batch: Pixels) -> Embeddings:
        """See ``facesearch.extractors.Extractor``."""
        side = self.input_size
        if np.shape(batch)[1:] != (side, side, 3):
            raise UsageError(f"crops must be (n, {side}, {side}, 3), not {np.shape(batch)}")
        rows = np.empty((len(batch), self.dim), np.float32)
        for chunk in chunks(len(batch)):
            rows[chunk] = self._unit_rows(batch[chunk])
        return rows

    def _unit_rows(self, crops: Pixels) -> Embeddings:
        pixels = crops.astype(np.float32)
        rows = _unit(self._run(pixels))
        if self._options.flip:
            rows = _unit(rows + _unit(self._run(np.ascontiguousarray(pixels[:, :, ::-1]))))
        return rows

    def _run(self, pixels: NDArray[np.float32]) -> Embeddings:
        rows = self._network(pixels)["embedding"]
        if rows.shape != (len(pixels), self.dim):
            raise ModelError(
                f"the network {self._options.model} gave an array of shape {rows.shape} where "
                f"the recipe says {(len(pixels), self.dim)}"
            )
        return rows


def chunks(count: int) -> Iterator[slice]:
    """Split ``count`` crops into chunks whose sizes are powers of two.

    So only five shapes are ever compiled and nothing is computed for padding.
    """
    start = 0
    while start < count:
        size = min(MAX_CHUNK, 1 << ((count - start).bit_length() - 1))
        yield slice(start, start + size)
        start += size


def _unit(rows: Embeddings) -> Embeddings:
    """Rows of length 1.

    Raises:
        ModelError: a row has no length or no numbers in it, so it points nowhere.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ModelError(
            "the network gave an embedding without a direction; "
            "check its weights with: facesearch models verify"
        )
    return np.asarray(rows / lengths, np.float32)
