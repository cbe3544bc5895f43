"""FaceNet: a face crop becomes a point on the unit sphere.

Source: Schroff et al. 2015, "FaceNet: A Unified Embedding for Face Recognition and Clustering".
"""

from __future__ import annotations

import numpy as np

from facesearch.extractors.rows import check_crops, chunks, open_network, run, unit
from facesearch.recipes import ExtractorOptions
from facesearch.records import Embeddings, Pixels
from facesearch.runtimes import Network, RuntimeOptions

MAX_CHUNK = 16
"""Crops in one call at most: 32 are no faster and take 80 MB more."""


def load_facenet(options: ExtractorOptions, runtime: RuntimeOptions) -> FaceNetExtractor:
    """Load the network. See ``facesearch.extractors.load_extractor``."""
    return FaceNetExtractor(options, open_network(options, runtime))


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
        check_crops(batch, self.input_size)
        rows = np.empty((len(batch), self.dim), np.float32)
        for chunk in chunks(len(batch), MAX_CHUNK):
            rows[chunk] = self._unit_rows(batch[chunk])
        return rows

    def _unit_rows(self, crops: Pixels) -> Embeddings:
        pixels = crops.astype(np.float32)
        rows = unit(run(self._network, pixels, self._options))
        if self._options.flip:
            mirrored = np.ascontiguousarray(pixels[:, :, ::-1])
            rows = unit(rows + unit(run(self._network, mirrored, self._options)))
        return rows
