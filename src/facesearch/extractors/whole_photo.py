"""A whole photo becomes a row: networks made for naming what a photo shows, without that last step.

Sources: Simonyan and Zisserman 2015 (VGG16), Szegedy et al. 2017 (InceptionResNetV2), Tan and Le
2021 (EfficientNetV2), and the course report that the small network is from.
"""

from __future__ import annotations

import numpy as np

from facesearch.errors import ModelError
from facesearch.extractors.rows import check_crops, chunks, open_network, run, unit
from facesearch.recipes import ExtractorOptions
from facesearch.records import Embeddings, Pixels
from facesearch.runtimes import Network, RuntimeOptions

MAX_CHUNK = 4
"""Photos in one call at most: more are no faster on a processor, and take memory."""


def load_whole_photo(options: ExtractorOptions, runtime: RuntimeOptions) -> WholePhotoExtractor:
    """Load the network. See ``facesearch.extractors.load_extractor``."""
    return WholePhotoExtractor(options, open_network(options, runtime))


class WholePhotoExtractor:
    """Embeds whole photos, stretched to the network's input."""

    subject = "photo"

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
        """See ``facesearch.extractors.Extractor``; rows as long as the network made them, unless
        the options say ``unit``.
        """
        check_crops(batch, self.input_size)
        rows = np.empty((len(batch), self.dim), np.float32)
        for chunk in chunks(len(batch), MAX_CHUNK):
            raw = run(self._network, batch[chunk].astype(np.float32), self._options)
            rows[chunk] = unit(raw) if self._options.unit else _finite(raw)
        return rows


def _finite(rows: Embeddings) -> Embeddings:
    if not np.isfinite(rows).all():
        raise ModelError(
            "the network gave an embedding that is no numbers; "
            "check its weights with: facesearch models verify"
        )
    return rows
