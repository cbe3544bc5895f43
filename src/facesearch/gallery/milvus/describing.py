"""What a gallery in Milvus says of itself, and what is wrong in it."""

from __future__ import annotations

from collections import Counter

import numpy as np

from facesearch.addresses import EngineAddress
from facesearch.gallery.facts import RootFacts
from facesearch.gallery.milvus import schema
from facesearch.gallery.milvus.connection import Connection
from facesearch.gallery.milvus.gallery import coverage_of
from facesearch.gallery.milvus.head import GalleryHead, Totals, read_head
from facesearch.gallery.milvus.rows import FACE_COLUMNS, folder_token, split_key, stamp_of
from facesearch.gallery.milvus.tables import Table, quoted
from facesearch.gallery.opening import Description
from facesearch.gallery.places import is_away
from facesearch.store.forgotten import Forgotten

_TOLD = 20


def describe(address: EngineAddress) -> Description:
    """What the head says, and how many photos each root has."""
    connection = Connection(address)
    schema.require_collections(connection)
    head = read_head(Table(connection, schema.HEAD))
    files = Table(connection, schema.FILES)
    roots = []
    for number, (token, path) in enumerate(head.roots, start=1):
        photos = files.count(f"array_contains_any(folders, {quoted([folder_token(token, '')])})")
        roots.append(RootFacts(number, path, not is_away(path), photos))
    coverage = coverage_of(head)
    return Description(
        schema.VERSION,
        None,
        head.recipe,
        head.options,
        coverage,
        tuple(roots),
        Forgotten.of(head.entered),
    )


def problems_of(address: EngineAddress) -> list[str]:
    """What is wrong: rows that are not as they were written, faces that are missing or belong to no
    photo, totals that do not agree.
    """
    connection = Connection(address)
    schema.require_collections(connection)
    head = read_head(Table(connection, schema.HEAD))
    found: list[str] = []
    held = _checked_faces(Table(connection, schema.FACES), head, found)
    named: dict[str, int] = {}
    totals = Totals()
    roots = dict(head.roots)
    for rows in Table(connection, schema.FILES).scan(("content", "faces", "failed"), strong=True):
        totals = totals.plus(rows)
        for row in rows:
            if int(row[schema.KEY].partition(":")[0]) not in roots:
                found.append(f"file {row[schema.KEY]}: belongs to no folder")
            if row["content"] and row["faces"]:
                named[row["content"]] = row["faces"]
    for content in sorted(named.keys() | held.keys()):
        there, wanted = held[content], named.get(content, 0)
        if there != wanted:
            found.append(f"photo {content[:16]}: has {there} faces, not {wanted}")
    if head.run is None and totals != head.totals:
        found.append("its totals do not agree with its photos; index or push into it again")
    more = len(found) - _TOLD
    return [*found[:_TOLD], f"and {more:,} more"] if more > 0 else found


def _checked_faces(table: Table, head: GalleryHead, found: list[str]) -> Counter[str]:
    """How many faces each photo has; what is wrong with one goes to ``found``."""
    held: Counter[str] = Counter()
    columns = (*FACE_COLUMNS, schema.VECTOR, "stamp")
    for rows in table.scan(columns, strong=True):
        for row in rows:
            held[split_key(row[schema.KEY])[0]] += 1
            if stamp_of(row) != row["stamp"]:
                found.append(f"face {row[schema.KEY]}: is not as it was written")
            length = float(np.linalg.norm(np.asarray(row[schema.VECTOR], np.float64)))
            if head.recipe.extractor.unit and abs(length - 1) > 1e-3:
                found.append(f"face {row[schema.KEY]}: its embedding has the length {length:.3g}")
    return held
