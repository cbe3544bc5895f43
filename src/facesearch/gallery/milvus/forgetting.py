"""What a gallery has forgotten, and whether rows of it are there nevertheless."""

from __future__ import annotations

from collections.abc import Iterator

from facesearch.addresses import EngineAddress
from facesearch.gallery.milvus import schema
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.milvus.head import read_head
from facesearch.gallery.milvus.rows import face_key
from facesearch.gallery.milvus.tables import Table, in_batches, within
from facesearch.store.forgotten import Forgotten

_AT_ONCE = 100


def rows_of(faces: Table, files: Table, forgotten: Forgotten) -> tuple[list[str], list[str]]:
    """The keys of all faces and files that must not be there."""
    there: list[str] = []
    named: list[str] = []
    for some in in_batches((key.hex() for key in forgotten.photos), _AT_ONCE):
        theirs = " or ".join(f'{schema.KEY} like "{name}-%"' for name in some)
        there += _keys(faces, theirs)
        named += _keys(files, within("content", some))
    single = (
        face_key(key.hex(), number)
        for key, out in forgotten.faces.items()
        for number in out.numbers
    )
    there += faces.read(single, (), strong=True)
    return there, named


def traces_of(address: EngineAddress) -> list[str]:
    """What is left in a gallery of what it has forgotten, a line each.

    Raises:
        StoreMissingError: there is none.
        StoreError: the engine is away.
    """
    connection = Connection(address)
    schema.require_collections(connection)
    forgotten = Forgotten.of(read_head(Table(connection, schema.HEAD)).entered)
    faces, files = Table(connection, schema.FACES), Table(connection, schema.FILES)
    there, named = rows_of(faces, files, forgotten)
    return [f"face {key}: was forgotten" for key in there] + [
        f"file {key}: was forgotten" for key in named
    ]


def _keys(table: Table, where: str) -> Iterator[str]:
    for rows in table.scan((), where, strong=True):
        yield from (row[schema.KEY] for row in rows)
