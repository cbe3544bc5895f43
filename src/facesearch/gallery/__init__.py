"""The enrolled faces as something to search, whatever engine holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from facesearch.recipes import Recipe
from facesearch.records import Coverage, Embeddings, Neighbor, StoreSummary

By = Literal["photo", "face"]


@dataclass(frozen=True, slots=True)
class Where:
    """Which faces may be answers.

    ``under`` are folders (a photo below any of them qualifies; none: all), in full, or relative to
    the current folder or to a root. ``since`` and ``until`` bound the capture time, both inclusive,
    as "2019", "2019-05", "2019-05-04" or with a time of day; "" for no bound; with one of them a
    photo of which the time is not known does not qualify. ``persons`` are names (a photo of any of
    them qualifies; none: all), by label or folder. ``exclude`` are hashes of contents to leave out,
    ``max_distance`` is the largest Euclidean distance.
    """

    under: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    persons: tuple[str, ...] = ()
    exclude: frozenset[bytes] = frozenset()
    max_distance: float | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: ``k`` photos, each by its nearest face, or ``k`` faces; None for all.

    With ``expand`` every row, of the gallery and of the query, is averaged with its neighbours in
    the gallery first, and distances are those between the averages. ``own`` are hashes of the
    contents that the query comes from: their faces take no part in any average but their own.
    """

    k: int | None = 25
    by: By = "photo"
    where: Where = Where()
    expand: bool = False
    own: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What says whether two answers show the same moment: ``pixels`` is the hash of the photo's
    upright pixels, ``row`` the (dim,) embedding of the face.
    """

    pixels: bytes
    row: NDArray[np.float32]


class Gallery(Protocol):
    """Faces with their photos, comparable with embeddings of the same recipe."""

    @property
    def recipe(self) -> Recipe:
        """How its rows were made."""

    @property
    def options(self) -> dict[str, Any]:
        """What ``index`` was told and remembers."""

    def summary(self) -> StoreSummary:
        """Which store this is."""

    def coverage(self) -> Coverage:
        """What a search looks through."""

    def require(self, where: Where) -> None:
        """Makes sure that there is something to search, before anything is made ready for it.

        Raises:
            UsageError: no photo is below one of the folders, of that time or of one of the persons,
                or a time is none.
        """

    def undated(self) -> int:
        """How many photos have no capture time, which ``since`` and ``until`` leave out."""

    def warm_up(self) -> None:
        """Begins what the first search without ``expand`` needs, beside whatever comes meanwhile.

        That search waits for it, and raises what went wrong.
        """

    def size(self, where: Where) -> int:
        """How many faces (or whole photos) a search looks through; a copy counts once.

        Raises:
            UsageError: as ``require``.
        """

    def distance_at(self, fmr: float) -> float:
        """The distance up to which a share ``fmr`` of the faces of other people lie.

        Raises:
            UsageError: the distances of this gallery are not calibrated.
        """

    def prepare_expansion(self) -> None:
        """Makes searches with ``expand`` ready, which may take long the first time.

        Raises:
            UsageError: the gallery holds no faces, or so many that somebody must agree first.
            StoreError: the rows are damaged.
        """

    def looks(self, neighbors: Sequence[Neighbor]) -> list[Look]:
        """How each of these answers looks, for ``facesearch.gallery.similar``.

        Raises:
            UsageError: this gallery cannot say it.
            StoreError: the rows are damaged.
        """

    def search(
        self, embeddings: Embeddings, examples: Sequence[str], search: Search
    ) -> tuple[Neighbor, ...]:
        """The nearest faces, closest first; ties by path and face.

        Args:
            embeddings: (n, dim) rows, n >= 1, all of the same person; the nearest wins.
            examples: the path of each row's photo.
            search: how many and among which.

        Raises:
            UsageError: as ``require``.
            StoreError: the rows are damaged.
        """
