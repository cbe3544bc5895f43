"""Crops through a network in chunks, each answer checked: what all extractors share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import ModelError, UsageError
from facesearch.recipes import ExtractorOptions
from facesearch.records import Embeddings, Pixels
from facesearch.runtimes import Network, NetworkSpec, RuntimeOptions, load_network


class NetworkExtractor:
    """Embeds crops by a network, chunk by chunk; ``largest_chunk`` of them in one call at most."""

    largest_chunk: int

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
        for chunk in chunks(len(batch), self.largest_chunk):
            rows[chunk] = self._rows(batch[chunk].astype(np.float32))
        return rows

    def _rows(self, pixels: NDArray[np.float32]) -> Embeddings:
        """(n, dim) rows of one chunk, (n, size, size, 3)."""
        raise NotImplementedError


def open_network(options: ExtractorOptions, runtime: RuntimeOptions) -> Network:
    """The network that ``options`` names. Raises as ``runtimes.load_network``."""
    spec = NetworkSpec(options.model, runtime, options.standardise, options.weights)
    return load_network(spec)


def check_crops(batch: Pixels, side: int) -> None:
    """Raises UsageError unless ``batch`` is (n, side, side, 3)."""
    if np.shape(batch)[1:] != (side, side, 3):
        raise UsageError(f"crops must be (n, {side}, {side}, 3), not {np.shape(batch)}")


def chunks(count: int, largest: int) -> Iterator[slice]:
    """Split ``count`` crops into as few chunks of at most ``largest`` as will do, of even sizes: a
    network is slower on one crop than on several.
    """
    parts = -(-count // largest)
    for part in range(parts):
        yield slice(count * part // parts, count * (part + 1) // parts)


def run(network: Network, pixels: NDArray[np.float32], options: ExtractorOptions) -> Embeddings:
    """The network's embeddings of one chunk, as it gave them.

    Raises:
        ModelError: it failed, or gave something else than the recipe says.
    """
    rows = network(pixels)["embedding"]
    if rows.shape != (len(pixels), options.dim):
        raise ModelError(
            f"the network {options.model} gave an array of shape {rows.shape} where "
            f"the recipe says {(len(pixels), options.dim)}"
        )
    return rows


def unit(rows: Embeddings) -> Embeddings:
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
