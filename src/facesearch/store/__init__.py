"""The store: one file with the faces of a person's photos, and how it is read and written."""

from facesearch.store.check import check_path, check_store
from facesearch.store.derived import FaceKeys, face_keys, load_derived, save_derived
from facesearch.store.head import Root
from facesearch.store.reader import Store
from facesearch.store.tables import ContentTable, FaceTable, FileTable
from facesearch.store.writer import SINGLE_FILE_BYTES, StoreWriter, rebuild_path

__all__ = [
    "SINGLE_FILE_BYTES",
    "ContentTable",
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
