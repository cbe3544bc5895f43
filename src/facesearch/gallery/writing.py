"""What an index run writes with, whatever holds the gallery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

from facesearch.recipes import Recipe
from facesearch.records import PhotoEntry, PhotoResult
from facesearch.store import Root, Store
from facesearch.store.assembly import LeftOut


class GalleryWriter(Protocol):
    """Adds photos in batches that are kept whole or not at all; ``StoreWriter`` is one."""

    def __enter__(self) -> Self:
        """Begins nothing that ``close`` would not end."""

    def __exit__(self, *_: object) -> None:
        """Closes it."""

    def close(self) -> None:
        """Rows not committed are dropped."""

    @property
    def store(self) -> Store:
        """Files, photos and faces as of the last commit; of an engine without embeddings."""

    def set_roots(self, roots: Sequence[Root]) -> None:
        """Names the roots; other methods take an index into them."""

    def set_options(self, options: dict[str, Any]) -> None:
        """Remembers what ``index`` was told."""

    def content_id(self, content_hash: bytes) -> int | None:
        """The content with these bytes, committed or not."""

    def put(self, file: tuple[int, PhotoEntry], result: PhotoResult) -> int:
        """A file and what became of it; its content's id."""

    def link(self, root: int, entry: PhotoEntry, content_id: int) -> None:
        """A file has a content that is known."""

    def remove(self, root: int, key: str) -> None:
        """A file is gone."""

    def commit(self, progress: tuple[int, int] | None = None) -> None:
        """Everything given so far is kept when this returns."""

    def finish(self) -> None:
        """Ends a run."""


class EngineWriter(GalleryWriter, Protocol):
    """One that writes into a search engine."""

    @property
    def held(self) -> Store | None:
        """What is there before the run, without embeddings; None where there is no gallery yet."""

    def begin(self, recipe: Recipe) -> None:
        """Says how the rows to come are made.

        Raises:
            RecipeMismatchError: the gallery's rows were made in another way.
        """

    def settle(self) -> None:
        """Takes out what was to go when another was cut off."""

    def take_out(self, left_out: LeftOut, entered: dict[str, Any]) -> None:
        """Photos and faces go for good, by their numbers in ``store``; ``entered`` is what people
        entered, from now on.
        """
