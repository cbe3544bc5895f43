"""The search of the first course report's PCA: cosine distance between projections."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import RecipeMismatchError, StoreError
from facesearch.records import Embeddings
from facesearch.search.shapes import require_dim, require_finite

COMPONENTS = 400


@dataclass(frozen=True, slots=True, eq=False)
class PcaFit:
    """A projection: ``mean`` (dim,), ``components`` (n, dim), both float32, and ``sha256`` (hex) of
    their bytes.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    sha256: str

    @classmethod
    def of(cls, mean: NDArray[Any], components: NDArray[Any]) -> PcaFit:
        """A fit of these arrays with its hash."""
        mean = np.ascontiguousarray(mean, np.float32)
        components = np.ascontiguousarray(components, np.float32)
        digest = hashlib.sha256(np.array(components.shape, "<i8").tobytes())
        for array in (mean, components):
            digest.update(array.astype("<f4", copy=False).tobytes())
        return cls(mean, components, digest.hexdigest())

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> PcaFit:
        """Inverse of ``arrays``.

        Raises:
            StoreError: they are not those of a fit.
        """
        mean, components = arrays.get("mean"), arrays.get("components")
        if mean is None or components is None or components.shape[1:] != mean.shape:
            raise StoreError("the arrays are not those of a PCA; fit it again")
        return cls.of(mean, components)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """What is to be saved."""
        return {"mean": self.mean, "components": self.components}

    def project(self, rows: Embeddings) -> Embeddings:
        """(n, components) float32 coordinates of (n, dim) rows.

        Raises:
            RecipeMismatchError: the rows are of another length.
        """
        require_dim(rows, len(self.mean))
        return np.asarray((rows - self.mean) @ self.components.T, np.float32)


def fit_pca(rows: Embeddings, components: int = COMPONENTS) -> PcaFit:
    """Fit scikit-learn's PCA, with a fixed seed: equal rows on one machine give an equal fit.

    Args:
        rows: (n, dim) float32.
        components: how many to keep; never more than n - 1 or dim.

    Raises:
        StoreError: a row holds a value that is not finite.
    """
    require_finite(rows)
    count, dim = rows.shape
    kept = max(0, min(components, count - 1, dim))
    if not kept:
        mean = rows.mean(axis=0) if count else np.zeros(dim)
        return PcaFit.of(mean, np.zeros((0, dim)))
    from sklearn.decomposition import PCA

    fitted = PCA(n_components=kept, random_state=0).fit(rows)
    return PcaFit.of(fitted.mean_, fitted.components_)


class PcaBackend:
    """Nearest by the cosine distance of projections.

    Attributes:
        fit: the projection.
        note: a sentence for people where fewer components are kept than were asked for, else "".
    """

    def __init__(
        self, rows: Embeddings, components: int = COMPONENTS, fit: PcaFit | None = None
    ) -> None:
        """Project ``rows``, (n, dim) float32, by ``fit``, or by one made from the rows themselves.

        Raises:
            StoreError: a row holds a value that is not finite.
            RecipeMismatchError: the fit belongs to rows of another length.
        """
        if fit is not None and len(fit.mean) != rows.shape[1]:
            raise RecipeMismatchError(
                f"the PCA is of rows of {len(fit.mean)} numbers, these have {rows.shape[1]}; fit "
                "it again"
            )
        self.fit = fit_pca(rows, components) if fit is None else fit
        self.note = _note(self.components, components, len(rows))
        self._count = len(rows)
        self._index = _cosine_index(self.fit.project(rows)) if self._searchable else None

    @property
    def components(self) -> int:
        """How many components are kept."""
        return len(self.fit.components)

    @property
    def _searchable(self) -> bool:
        return bool(self._count and self.components)

    def search(self, queries: Embeddings, k: int) -> NDArray[np.int64]:
        """See ``SearchBackend.search``; nearest by cosine here."""
        projected = self.fit.project(queries)
        k = max(0, min(k, self._count))
        if self._index is None or not k or not len(queries):
            # Without a component all rows are equally far.
            return np.tile(np.arange(k, dtype=np.int64), (len(queries), 1))
        found = self._index.kneighbors(projected, n_neighbors=k, return_distance=False)
        return np.asarray(found, dtype=np.int64)


def _note(kept: int, asked: int, rows: int) -> str:
    if kept >= asked:
        return ""
    return f"PCA keeps {kept} components in place of {asked}: there are {rows} rows"


def _cosine_index(projected: Embeddings) -> Any:
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(algorithm="brute", metric="cosine").fit(projected)
