"""From crops or photos to embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from facesearch.errors import UsageError
from facesearch.recipes import ExtractorOptions
from facesearch.records import Embeddings, Pixels
from facesearch.runtimes import RuntimeOptions


class Extractor(Protocol):
    """Turns crops into rows that can be compared."""

    @property
    def subject(self) -> str:
        """What a row stands for: "face" or "photo"."""
        ...

    @property
    def input_size(self) -> int:
        """Side of a crop in pixels."""
        ...

    @property
    def dim(self) -> int:
        """Length of a row."""
        ...

    def embed(self, batch: Pixels) -> Embeddings:
        """Embed ``batch``, (n, input_size, input_size, 3) uint8 RGB, n >= 0.

        Returns:
            (n, dim) float32, rows of unit length where the options say so. A crop's row does not
            depend on the other crops of the batch by more than 1e-5 of its length.

        Raises:
            UsageError: the batch has another shape.
            ModelError: the network failed.
        """
        ...


def load_extractor(options: ExtractorOptions, runtime: RuntimeOptions) -> Extractor:
    """Build the extractor that ``options`` names and load its weights.

    Raises:
        UsageError: no extractor has that model.
        WeightsError, DeviceError, ModelError: as ``runtimes.load_network``.
    """
    if options.model not in EXTRACTORS:
        known = ", ".join(EXTRACTORS)
        raise UsageError(f"there is no model {options.model!r}; choose one of {known}")
    return EXTRACTORS[options.model](options, runtime)


def _facenet(options: ExtractorOptions, runtime: RuntimeOptions) -> Extractor:
    from facesearch.extractors.facenet import load_facenet

    return load_facenet(options, runtime)


def _whole_photo(options: ExtractorOptions, runtime: RuntimeOptions) -> Extractor:
    from facesearch.extractors.whole_photo import load_whole_photo

    return load_whole_photo(options, runtime)


EXTRACTORS: dict[str, Callable[[ExtractorOptions, RuntimeOptions], Extractor]] = {
    "facenet-128": _facenet,
    "facenet-512": _facenet,
    "vgg16": _whole_photo,
    "inception-resnet-v2": _whole_photo,
    "efficientnet-v2l": _whole_photo,
    "small-cnn": _whole_photo,
    "small-cnn-without-pois": _whole_photo,
}
"""Model -> loader; a further extractor is one line here."""
