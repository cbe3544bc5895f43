"""The store: one file with the faces of a person's photos, and how it is read and written."""

from facesearch.store.check import check_path, check_store
from facesearch.store.head import Root
from facesearch.store.reader import Store
from facesearch.store.tables import ContentTable, FaceTable, FileTable
from facesearch.store.writer import SINGLE_FILE_BYTES, StoreWriter, rebuild_path

__all__ = [
    "SINGLE_FILE_BYTES",
    "ContentTable",
    "FaceTable",
    "FileTable",
    "Root",
    "Store",
    "StoreWriter",
    "check_path",
    "check_store",
    "rebuild_path",
]
