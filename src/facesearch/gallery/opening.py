"""Opens the gallery that a store's name means, whatever engine holds it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from facesearch.addresses import ENGINES, EngineAddress, StoreName
from facesearch.errors import UsageError
from facesearch.recipes import Recipe
from facesearch.records import Coverage
from facesearch.search import AUTO

if TYPE_CHECKING:
    from facesearch.gallery import Gallery
    from facesearch.gallery.expanded import Confirm
    from facesearch.gallery.facts import RootFacts
    from facesearch.gallery.transfers import Transfer, TransferOptions
    from facesearch.gallery.writing import EngineWriter
    from facesearch.store import Store
    from facesearch.store.forgotten import Forgotten


@dataclass(frozen=True, slots=True)
class Description:
    """What a store or gallery says of itself. ``version`` is of its format, ``bytes`` None where
    nobody counts them; ``encrypted``: its files are, a passphrase opens them.
    """

    version: int
    bytes: int | None
    recipe: Recipe
    options: dict[str, Any]
    coverage: Coverage
    roots: tuple[RootFacts, ...]
    forgotten: Forgotten
    encrypted: bool = False


class Engine(Protocol):
    """The module that knows a search engine."""

    def open_gallery(self, address: EngineAddress) -> Gallery:
        """The gallery to search."""

    def open_writer(self, address: EngineAddress, wait: bool) -> EngineWriter:
        """What an index run writes with."""

    def open_push(self, store: Store, address: EngineAddress, options: TransferOptions) -> Transfer:
        """A store on its way into the engine."""

    def open_pull(self, address: EngineAddress, target: Path, options: TransferOptions) -> Transfer:
        """A gallery on its way into a store file."""

    def describe(self, address: EngineAddress) -> Description:
        """What a gallery says of itself."""

    def problems_of(self, address: EngineAddress) -> list[str]:
        """What is wrong in a gallery, a line each."""

    def traces_of(self, address: EngineAddress) -> list[str]:
        """What is left in a gallery of what it has forgotten, a line each."""


def engine_of(address: EngineAddress) -> Engine:
    """The engine's module, imported when it is needed."""
    return cast(Engine, import_module(ENGINES[address.engine]))


def open_gallery(store: StoreName, backend: str = AUTO, confirm: Confirm | None = None) -> Gallery:
    """The gallery to search.

    Args:
        store: a file, or the address of an engine, which searches by itself.
        backend: what searches the rows of a file.
        confirm: asked before an expanded search compares very many faces; see ``NpzGallery``.

    Raises:
        StoreMissingError: there is none.
        StoreError: it cannot be read, or the engine is away.
        UsageError: a back end for an engine.
    """
    if isinstance(store, EngineAddress):
        if backend != AUTO:
            raise UsageError(f"--backend {backend}: is for store files; {store} searches by itself")
        return engine_of(store).open_gallery(store)
    from facesearch.gallery.npz import NpzGallery
    from facesearch.store import Store

    return NpzGallery(Store.open(store), backend, confirm)


def describe(store: StoreName) -> Description:
    """What a store or gallery says of itself.

    Raises:
        StoreMissingError, StoreError: as ``open_gallery``.
    """
    if isinstance(store, EngineAddress):
        return engine_of(store).describe(store)
    from facesearch.gallery.facts import coverage_of, roots_of
    from facesearch.store import Store

    held = Store.open(store)
    return Description(
        held.version,
        held.size,
        held.recipe,
        held.options,
        coverage_of(held),
        tuple(roots_of(held)),
        held.forgotten,
        held.key is not None,
    )


def problems_of(store: StoreName, deep: bool) -> list[str]:
    """What is wrong in a store or gallery, a line each; ``deep`` reads every photo again.

    Raises:
        StoreMissingError: there is none.
        StoreError: the engine is away.
        UsageError: ``deep`` for an engine.
    """
    if not isinstance(store, EngineAddress):
        from facesearch.store import check_path

        return check_path(store, deep)
    if deep:
        raise UsageError(
            f"{store}: --deep reads photos again for a store file; facesearch pull {store} FILE, "
            "then check that"
        )
    return engine_of(store).problems_of(store)
