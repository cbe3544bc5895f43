"""Which collections a gallery has, with which fields (docs/engines.md)."""

from __future__ import annotations

from typing import Any

from facesearch.errors import StoreError
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.milvus.lite import no_gallery

VERSION = 1
KEY, VECTOR = "pk", "vector"
FOLDERS, PERSONS = 1024, 256
"""How many folders and persons a row may name; ``MANY`` stands for more."""
MANY = "*"
MAX_DIM = 32_768
_TEXT = 65_535
_PATH = 16_384
_NAME = 4_096
_NO_VECTOR = 2  # the length of the vector that a collection must have, where there is none

# (name, type of pymilvus.DataType, further parameters)
_FACES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("taken", "VARCHAR", {"max_length": 32}),
    ("folders", "ARRAY", {"element": "VARCHAR", "max_capacity": FOLDERS, "max_length": _PATH}),
    ("persons", "ARRAY", {"element": "VARCHAR", "max_capacity": PERSONS, "max_length": _NAME}),
    ("facts", "JSON", {}),
    ("stamp", "VARCHAR", {"max_length": 32}),
)
_FILES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("content", "VARCHAR", {"max_length": 64}),
    ("faces", "INT32", {}),
    ("failed", "BOOL", {}),
    *_FACES,
)
_HEAD: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("text", "VARCHAR", {"max_length": _TEXT}),
    ("parts", "INT32", {}),
    ("stamp", "VARCHAR", {"max_length": 64}),
)
TABLES = {"": _FACES, "_files": _FILES, "_head": _HEAD}
"""Fields beside key and vector, by what a collection's name ends with."""
FACES, FILES, HEAD = TABLES


def make_collections(connection: Connection, dim: int) -> None:
    """Makes those of the gallery's collections that are not there, and loads those that are; the
    faces come last, so a gallery whose making was cut off counts as not there.

    Raises:
        StoreError: a collection of that name is another kind, or it cannot be made.
    """
    if dim > MAX_DIM:
        raise StoreError(
            f"{connection.address}: rows of {dim:,} numbers are too long for Milvus, which takes "
            f"{MAX_DIM:,}; keep them in a store file"
        )
    there = set(connection.call("list_collections"))
    for ending in reversed(TABLES):
        name = connection.address.collection + ending
        width = dim if ending == FACES else _NO_VECTOR
        if name not in there:
            _make(connection, name, ending, width)
            continue
        _require_own(connection, ending, width)
        if not connection.call("list_indexes", name):
            connection.call("create_index", name, _index())
        connection.call("load_collection", name)


def require_collections(connection: Connection) -> None:
    """Makes sure that the collections are there and are a gallery's, and loads them.

    Raises:
        StoreMissingError: there is none.
        StoreError: they are something else.
    """
    address = connection.address
    there = set(connection.call("list_collections"))
    missing = [ending for ending in TABLES if address.collection + ending not in there]
    if FACES in missing or HEAD in missing:
        raise no_gallery(address)
    if missing:
        raise _foreign(address)
    for ending in TABLES:
        _require_own(connection, ending, None if ending == FACES else _NO_VECTOR)
        connection.call("load_collection", address.collection + ending)


def _require_own(connection: Connection, ending: str, width: int | None) -> None:
    found = connection.call("describe_collection", connection.address.collection + ending)
    fields = {field["name"]: field for field in found["fields"]}
    dim = int(fields.get(VECTOR, {}).get("params", {}).get("dim", 0))
    if set(fields) != {KEY, VECTOR, *(field[0] for field in TABLES[ending])} or (
        width is not None and dim != width
    ):
        raise _foreign(connection.address)


def _foreign(address: object) -> StoreError:
    return StoreError(
        f"{address}: a collection of that name is there and is no gallery of facesearch; choose "
        "another name"
    )


def _make(connection: Connection, name: str, ending: str, dim: int) -> None:
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    longest = _PATH if ending == FILES else 128
    schema.add_field(KEY, DataType.VARCHAR, is_primary=True, max_length=longest)
    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dim)
    for field, kind, parameters in TABLES[ending]:
        further = dict(parameters)
        if "element" in further:
            further["element_type"] = DataType[further.pop("element")]
        schema.add_field(field, DataType[kind], **further)
    connection.call(
        "create_collection", name, schema=schema, index_params=_index(), consistency_level="Strong"
    )


def _index() -> Any:
    """Exact: every row is compared."""
    from pymilvus import MilvusClient

    index = MilvusClient.prepare_index_params()
    index.add_index(VECTOR, index_type="FLAT", metric_type="L2")
    return index
