"""What a query asks for, as filters that the engine runs, and once more for single files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from facesearch.errors import UsageError
from facesearch.gallery import Where
from facesearch.gallery.filters import (
    first_moment,
    last_moment,
    nobody_of_name,
    nothing_taken,
)
from facesearch.gallery.milvus import schema
from facesearch.gallery.milvus.head import GalleryHead
from facesearch.gallery.milvus.rows import Placed, folder_token, folder_tokens, spelled
from facesearch.gallery.milvus.tables import Table, quoted
from facesearch.gallery.persons import labels_of, person_of
from facesearch.gallery.places import prefixes

MANY_OF_ONE = " or ".join(
    f'array_contains({field}, "{schema.MANY}")' for field in ("folders", "persons")
)
"""The filter for faces whose photo is in too many folders, or of too many persons, for a row."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What qualifies: ``faces`` is the engine's filter for faces, ``folders`` and ``persons`` are
    what a file must have one of (None: anything).
    """

    faces: str
    folders: frozenset[str] | None
    persons: frozenset[str] | None

    @property
    def by_file(self) -> bool:
        """Whether some files of a photo may qualify where others do not."""
        return self.folders is not None or self.persons is not None

    @property
    def is_doubtful(self) -> bool:
        """Whether a photo may pass because of two files of which neither does."""
        return self.folders is not None and self.persons is not None

    def passes(self, place: Placed) -> bool:
        """Whether a file qualifies, but for its time."""
        if self.folders is not None and self.folders.isdisjoint(
            folder_tokens(place.root, place.key)
        ):
            return False
        return self.persons is None or place.person in self.persons


def filter_of(where: Where, head: GalleryHead) -> Filter:
    """The filter for ``where``.

    Raises:
        UsageError: a time is none.
    """
    folders = [token for folder in where.under for token in _tokens(folder, head)]
    parts = [_span(where)]
    if where.under:
        parts.append(_any_of("folders", folders))
    if where.persons:
        parts.append(_any_of("persons", [spelled(name) for name in where.persons]))
    parts += [f'not ({schema.KEY} like "{left.hex()}-%")' for left in sorted(where.exclude)]
    return Filter(
        " and ".join(part for part in parts if part),
        frozenset(folders) if where.under else None,
        frozenset(where.persons) if where.persons else None,
    )


def require(where: Where, head: GalleryHead, files: Table) -> None:
    """Makes sure that there is something to search; see ``Gallery.require``.

    Raises:
        UsageError: there are no such photos, or a time is none.
    """
    for folder in where.under:
        if not files.count(_any_of("folders", _tokens(folder, head), strictly=True)):
            known = ", ".join(path for _, path in head.roots) or "none"
            raise UsageError(
                f"--under {folder}: the store has no photos there; its folders: {known}"
            )
    for name in where.persons:
        if not files.count(_any_of("persons", [spelled(name)], strictly=True)):
            raise nobody_of_name(name)
    span = _span(where)
    if span and not files.count(span):
        raise nothing_taken(where, undated(files), files.count(""))


def undated(files: Table) -> int:
    """Photo files whose capture time is not known."""
    return files.count('taken == ""')


class Placer:
    """Knows the person that each file shows."""

    def __init__(self, head: GalleryHead) -> None:
        self._roots = dict(head.roots)
        self._labels = labels_of(head.entered)

    def placed(self, root: int, key: str) -> Placed:
        """A file with the person it shows."""
        return Placed(root, key, person_of(self._roots.get(root, ""), key, self._labels))


def _tokens(folder: str, head: GalleryHead) -> list[str]:
    return [
        folder_token(number, os.fsdecode(prefix))
        for number, path in head.roots
        for prefix in prefixes(folder, path)
    ]


def _any_of(field: str, values: Sequence[str], strictly: bool = False) -> str:
    """The filter: one of these is among the field's; a row with too many of them qualifies for
    now, unless ``strictly``.
    """
    wanted = list(dict.fromkeys(values)) + ([] if strictly else [schema.MANY])
    # An empty list is no list to the engine; no folder has this name.
    return f"array_contains_any({field}, {quoted(wanted or ['/'])})"


def _span(where: Where) -> str:
    parts = []
    if where.since:
        parts.append(f'taken >= "{_iso(first_moment(where.since))}"')
    if where.until:
        parts.append(f'taken <= "{_iso(last_moment(where.until))}"')
    return " and ".join(['taken != ""', *parts]) if parts else ""


def _iso(moment: int) -> str:
    digits = f"{moment:014d}"
    year, month, day = digits[:4], digits[4:6], digits[6:8]
    return f"{year}-{month}-{day}T{digits[8:10]}:{digits[10:12]}:{digits[12:]}"
