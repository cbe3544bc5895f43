"""tensorflow: a matrix product and its largest values, on a GPU where there is one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.cores import cores
from facesearch.records import Embeddings
from facesearch.search.blocks import blocks
from facesearch.search.reranking import Found, exact_nearest, rounding, vanishing
from facesearch.search.shapes import require_dim, require_finite
from facesearch.search.trusted import PlainRows

_BLOCK_BYTES = 256 << 20
_AT_ONCE = 64
_SHORT_FLOATS = 2.0**-9
"""What GPUs lose that multiply in 10 bits, as Nvidia's do unless they are told not to."""


class TensorflowBackend:
    """Distances by dot products, whose digits are few; ``exact_nearest`` makes up for them.

    The rows are copied to the device as they are: 512 bytes for one of 128 numbers.
    """

    def __init__(self, rows: Embeddings) -> None:
        """Copy ``rows``, (n, dim) float32; n may be 0.

        Raises:
            ModelError: TensorFlow cannot be loaded.
            StoreError: a row holds a value that is not finite.
        """
        from facesearch.runtimes.tensorflow_start import import_tensorflow

        self._tensorflow = tensorflow = import_tensorflow(cores())
        require_finite(rows)
        self._rows = PlainRows(rows)
        self._largest = 0.0
        self._blocks: list[tuple[int, Any, Any]] = []
        for block in blocks(*self._rows.shape, _BLOCK_BYTES):
            halves = np.einsum("ij,ij->i", rows[block], rows[block], dtype=np.float64) / 2
            self._largest = max(self._largest, float(np.sqrt(2 * halves.max())))
            on_device = tensorflow.constant(rows[block])
            self._blocks.append(
                (block.start, on_device, tensorflow.constant(halves.astype(np.float32)))
            )

    def search(self, queries: Embeddings, k: int) -> NDArray[np.int64]:
        """See ``SearchBackend.search``."""
        require_dim(queries, self._rows.shape[1])
        return exact_nearest(self, self._rows, queries, k)

    def nearest(self, queries: Embeddings, count: int) -> Found:
        """See ``Candidates.nearest``."""
        starts = range(0, len(queries), _AT_ONCE)
        found = [self._nearest(queries[start : start + _AT_ONCE], count) for start in starts]
        return np.concatenate([one[0] for one in found]), np.concatenate([one[1] for one in found])

    def _nearest(self, queries: Embeddings, count: int) -> Found:
        # A row's closeness is its product with the query less half its own square.
        closeness, numbers = [], []
        asked = self._tensorflow.constant(queries)
        for start, rows, halves in self._blocks:
            products = self._tensorflow.linalg.matmul(asked, rows, transpose_b=True) - halves
            values, places = self._tensorflow.math.top_k(
                products, min(count, len(halves)), sorted=False
            )
            closeness.append(values.numpy())
            numbers.append(places.numpy().astype(np.int64) + start)
        near, rows_of = np.concatenate(closeness, axis=1), np.concatenate(numbers, axis=1)
        best = np.argpartition(-near, count - 1, axis=1)[:, :count]
        last = np.take_along_axis(near, best, 1).min(axis=1).astype(np.float64)
        lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
        squares = np.square(lengths) - 2 * last - self._error(lengths, queries.shape[1])
        # Beyond what float32 holds nothing is known.
        squares[~np.isfinite(squares)] = 0.0
        return np.take_along_axis(rows_of, best, 1), np.sqrt(np.maximum(squares, 0.0))

    def _error(self, lengths: NDArray[np.float64], dim: int) -> NDArray[np.float64]:
        """How far a squared distance can be off."""
        share = _SHORT_FLOATS if self._tensorflow.config.list_physical_devices("GPU") else 0.0
        products = lengths * self._largest + self._largest**2
        return np.asarray(2 * (share + 4 * rounding(dim)) * products + 4 * vanishing(dim))
