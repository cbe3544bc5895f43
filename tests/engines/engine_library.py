"""A library of fake photos whose store is a gallery in a search engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facesearch.addresses import EngineAddress
from facesearch.gallery.opening import problems_of
from facesearch.gallery.transfers import TransferOptions
from facesearch.store import Store
from facesearch.transferring import pull
from photo_library import Library


class EngineLibrary(Library):
    """``path`` is the gallery's address; ``store`` is what a pull makes of it."""

    def __init__(self, home: Path, address: EngineAddress, **options: Any) -> None:
        super().__init__(home, **options)
        self.path = address  # type: ignore[assignment]
        self._home = home

    @property
    def store(self) -> Store:
        target = self._home / "pulled.npz"
        pull(self.path, target, TransferOptions(prune=True))  # type: ignore[arg-type]
        return Store.open(target)

    def problems(self) -> list[str]:
        return problems_of(self.path, False)
