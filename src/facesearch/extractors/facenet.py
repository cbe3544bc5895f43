"""FaceNet: a face crop becomes a point on the unit sphere.

Source: Schroff et al. 2015, "FaceNet: A Unified Embedding for Face Recognition and Clustering".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facesearch.extractors.rows import NetworkExtractor, open_network, run, unit
from facesearch.recipes import ExtractorOptions
from facesearch.records import Embeddings
from facesearch.runtimes import RuntimeOptions

MAX_CHUNK = 16
"""Crops in one call at most: 32 are no faster and take 80 MB more."""


def load_facenet(options: ExtractorOptions, runtime: RuntimeOptions) -> FaceNetExtractor:
    """Load the network. See ``facesearch.extractors.load_extractor``."""
    return FaceNetExtractor(options, open_network(options, runtime))


class FaceNetExtractor(NetworkExtractor):
    """Embeds crops with a FaceNet network."""

    subject = "face"
    largest_chunk = MAX_CHUNK

    def _rows(self, pixels: NDArray[np.float32]) -> Embeddings:
        rows = unit(run(self._network, pixels, self._options))
        if self._options.flip:
            mirrored = np.ascontiguousarray(pixels[:, :, ::-1])
            rows = unit(rows + unit(run(self._network, mirrored, self._options)))
        return rows
