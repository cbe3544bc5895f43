"""The store: one file with the faces of a person's photos, and how it is read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facesearch.store.files import FileTable
from facesearch.store.head import Root
from facesearch.store.reader import Store
from facesearch.store.tables import ContentFacts, ContentTable, FaceFacts, FaceTable

if TYPE_CHECKING:
    from facesearch.store.check import check_path, check_store
    from facesearch.store.derived import FaceKeys, face_keys, load_derived, save_derived
    from facesearch.store.writer import SINGLE_FILE_BYTES, StoreWriter, rebuild_path

__all__ = [
    "SINGLE_FILE_BYTES",
    "ContentFacts",
    "ContentTable",
    "FaceFacts",
    "FaceKeys",
    "FaceTable",
    "FileTable",
    "Root",
    "Store",
    "StoreWriter",
    "check_path",
    "check_store",
    "face_keys",
    "load_derived",
    "rebuild_path",
    "save_derived",
]

if not TYPE_CHECKING:
    _HOMES = {
        "FaceKeys": "derived",
        "SINGLE_FILE_BYTES": "writer",
        "StoreWriter": "writer",
        "check_path": "check",
        "check_store": "check",
        "face_keys": "derived",
        "load_derived": "derived",
        "rebuild_path": "writer",
        "save_derived": "derived",
    }

    def __getattr__(name: str) -> Any:
        """Loads what writes and checks when it is first used: who only reads need not wait."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
