"""A whole photo becomes a row: networks made for naming what a photo shows, without that last step.

Sources: Simonyan and Zisserman 2015 (VGG16), Szegedy et al. 2017 (InceptionResNetV2), Tan and Le
2021 (EfficientNetV2), and the course report that the small network is from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError
from facesearch.extractors.rows import NetworkExtractor, open_network, run, unit
from facesearch.recipes import ExtractorOptions
from facesearch.records import Embeddings
from facesearch.runtimes import RuntimeOptions

MAX_CHUNK = 4
"""Photos in one call at most: more are no faster on a processor, and take memory."""


def load_whole_photo(options: ExtractorOptions, runtime: RuntimeOptions) -> WholePhotoExtractor:
    """Load the network. See ``facesearch.extractors.load_extractor``."""
    return WholePhotoExtractor(options, open_network(options, runtime))


class WholePhotoExtractor(NetworkExtractor):
    """Embeds whole photos, stretched to the network's input; rows are as long as the network made
    them, unless the options say ``unit``.
    """

    subject = "photo"
    largest_chunk = MAX_CHUNK

    def _rows(self, pixels: NDArray[np.float32]) -> Embeddings:
        rows = run(self._network, pixels, self._options)
        return unit(rows) if self._options.unit else _finite(rows)


def _finite(rows: Embeddings) -> Embeddings:
    if not np.isfinite(rows).all():
        raise ModelError(
            "the network gave an embedding that is no numbers; "
            "check its weights with: facesearch models verify"
        )
    return rows
