"""The collections of a gallery as tables with keys: rows go in whole, and come out again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery.milvus import schema
from facesearch.gallery.milvus.connection import Connection

Row = dict[str, Any]

MOST = 16_384
"""Rows that Milvus gives in one answer."""
_BATCH_BYTES = 8_000_000  # a server takes 64 MB in one message
_KEYS_AT_ONCE = 1_000


class Table:
    """One collection. Writing a row again changes nothing.

    The first reading waits until whatever was acknowledged to anybody is there to be read, which
    takes Milvus a fifth of a second; later ones do not wait, unless they are ``strong``, and may
    miss what was written in the last seconds.
    """

    def __init__(self, connection: Connection, ending: str) -> None:
        self._connection = connection
        self._read = False
        self.address = connection.address
        self.name = connection.address.collection + ending

    def upsert(self, rows: Sequence[Row]) -> None:
        """Adds rows, or puts them in the place of those with their keys; on the disk of the server
        when this returns.
        """
        for batch in _batches(rows):
            self._connection.call("upsert", self.name, batch)

    def delete(self, keys: Iterable[str]) -> None:
        """Removes the rows with these keys; those that are not there are none."""
        for some in in_batches(keys, _KEYS_AT_ONCE):
            self._connection.call("delete", self.name, filter=within(schema.KEY, some))

    def read(
        self, keys: Iterable[str], columns: Sequence[str], strong: bool = False
    ) -> dict[str, Row]:
        """Those of the rows that are there, by key."""
        found: dict[str, Row] = {}
        for some in in_batches(keys, _KEYS_AT_ONCE):
            for row in self.select(within(schema.KEY, some), columns, strong):
                found[row[schema.KEY]] = row
        return found

    def select(self, where: str, columns: Sequence[str], strong: bool = False) -> list[Row]:
        """The rows that pass, at most as many as one answer holds."""
        fields = [schema.KEY, *columns]
        found = self._ask("query", strong, filter=where, output_fields=fields, limit=MOST)
        return list(found)

    def scan(
        self, columns: Sequence[str], where: str = "", strong: bool = False
    ) -> Iterator[list[Row]]:
        """All rows that pass, in batches, in order of their keys."""
        fields = [schema.KEY, *columns]
        iterator = self._ask(
            "query_iterator", strong, batch_size=_KEYS_AT_ONCE, filter=where, output_fields=fields
        )
        try:
            while rows := self._connection.each(iterator):
                yield list(rows)
        finally:
            iterator.close()

    def count(self, where: str = "", strong: bool = False) -> int:
        """How many rows pass."""
        found = self._ask("query", strong, filter=where, output_fields=["count(*)"])
        return int(found[0]["count(*)"])

    def nearest(
        self, rows: NDArray[np.float32], limit: int, where: str, columns: Sequence[str]
    ) -> list[list[Row]]:
        """The ``limit`` rows nearest to each of these, at most ``MOST``."""
        found = self._ask(
            "search",
            False,
            data=list(rows),
            limit=limit,
            filter=where,
            output_fields=[schema.VECTOR, *columns],
            search_params={"metric_type": "L2"},
        )
        return [
            [{**hit["entity"], schema.KEY: hit.get("id", hit.get(schema.KEY))} for hit in hits]
            for hits in found
        ]

    def _ask(self, name: str, strong: bool, **asked: Any) -> Any:
        level = "Bounded" if self._read and not strong else "Strong"
        found = self._connection.call(name, self.name, consistency_level=level, **asked)
        self._read = True
        return found


def within(field: str, values: Iterable[str]) -> str:
    """The filter: the field is one of these."""
    return f"{field} in {quoted(values)}"


def quoted(values: Iterable[str]) -> str:
    """Texts as a filter has them; they hold nothing that needs escaping."""
    return json.dumps(list(values), ensure_ascii=False)


def in_batches(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The values, ``size`` at a time."""
    batch: list[Any] = []
    for value in values:
        batch.append(value)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        size += 4 * len(row[schema.VECTOR]) + 1_000 + 40 * len(row.get("folders", ()))
        batch.append(row)
        if size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
