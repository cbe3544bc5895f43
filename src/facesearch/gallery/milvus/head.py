"""What a gallery says of itself: recipe, roots, options, totals; one document in its own table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from facesearch.errors import RecipeMismatchError, StoreError, StoreTooNewError
from facesearch.gallery.milvus import schema
from facesearch.gallery.milvus.lite import no_gallery
from facesearch.gallery.milvus.rows import NO_VECTOR
from facesearch.gallery.milvus.tables import Row, Table
from facesearch.recipes import Recipe
from facesearch.records import Coverage
from facesearch.store.head import RunMark

_FORMAT = "facesearch-gallery"
_PART = 60_000
_TRIES = 5


class Totals(NamedTuple):
    """What there is, counted by file: faces, photos with one, photos without, failed ones."""

    faces: int = 0
    photos: int = 0
    without_face: int = 0
    failed: int = 0

    def plus(self, files: Sequence[Row]) -> Totals:
        """The same with the rows of further files."""
        return Totals(
            self.faces + sum(row["faces"] for row in files),
            self.photos + sum(row["faces"] > 0 for row in files),
            self.without_face + sum(not row["faces"] and not row["failed"] for row in files),
            self.failed + sum(row["failed"] for row in files),
        )


@dataclass(frozen=True, slots=True)
class GalleryHead:
    """The document. ``roots`` are (number, absolute path) in the order in which they came;
    ``run`` is an index run that has not ended.
    """

    recipe: Recipe
    roots: tuple[tuple[int, str], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    entered: dict[str, Any] = field(default_factory=dict)
    indexed_at: str = ""
    run: RunMark | None = None
    totals: Totals = field(default_factory=Totals)

    def counted(self, coverage: Coverage) -> GalleryHead:
        """The same with the totals of a store."""
        totals = Totals(*(getattr(coverage, name) for name in Totals._fields))
        return replace(self, totals=totals)

    def encode(self) -> str:
        """Canonical JSON, ASCII."""
        data = {
            "format": _FORMAT,
            "version": schema.VERSION,
            "recipe": self.recipe.as_dict(),
            "recipe_digest": self.recipe.recipe_digest,
            "space_digest": self.recipe.space_digest,
            "roots": self.roots,
            "options": self.options,
            "entered": self.entered,
            "indexed_at": self.indexed_at,
            "run": self.run and asdict(self.run),
            "totals": self.totals._asdict(),
        }
        return json.dumps(data, sort_keys=True, separators=(",", ":"))


def totals_of(files: Table) -> Totals:
    """What a gallery holds, counted from the rows of its files."""
    totals = Totals()
    for rows in files.scan(("faces", "failed"), strong=True):
        totals = totals.plus(rows)
    return totals


def write_head(table: Table, head: GalleryHead) -> None:
    """Puts the document in the place of the one that was there."""
    text = head.encode()
    stamp = hashlib.sha256(text.encode()).hexdigest()
    parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
    table.upsert(
        [
            {
                schema.KEY: f"{number:04d}",
                schema.VECTOR: NO_VECTOR,
                "text": part,
                "parts": len(parts),
                "stamp": stamp,
            }
            for number, part in enumerate(parts)
        ]
    )


def read_head(table: Table) -> GalleryHead:
    """The document.

    Raises:
        StoreMissingError: there is none: whoever began the gallery got no further.
        StoreTooNewError: a newer version wrote it.
        StoreError: it makes no sense.
    """
    address = table.address
    for _ in range(_TRIES):
        rows = {
            row[schema.KEY]: row for row in table.select("parts > 0", ("text", "parts", "stamp"))
        }
        if not rows:
            raise no_gallery(address)
        first = rows.get("0000", {"parts": 0, "stamp": ""})
        keys = [f"{number:04d}" for number in range(first["parts"])]
        text = "".join(rows[key]["text"] for key in keys if key in rows)
        if hashlib.sha256(text.encode()).hexdigest() == first["stamp"]:
            return _decode(address, text)
    raise StoreError(f"{address}: its description is cut short; push the store again")


def _decode(address: object, text: str) -> GalleryHead:
    try:
        data = json.loads(text)
        if data["format"] != _FORMAT:
            raise ValueError(data["format"])
        if data["version"] > schema.VERSION:
            raise StoreTooNewError(
                f"{address}: made by a newer facesearch (format {data['version']}); update "
                "facesearch"
            )
        run = data["run"]
        return GalleryHead(
            recipe=Recipe.from_dict(data["recipe"]),
            roots=tuple((int(number), str(path)) for number, path in data["roots"]),
            options=dict(data["options"]),
            entered=dict(data["entered"]),
            indexed_at=str(data["indexed_at"]),
            run=None if run is None else RunMark(**run),
            totals=Totals(*(int(data["totals"][name]) for name in Totals._fields)),
        )
    except (ValueError, KeyError, TypeError, RecipeMismatchError) as error:
        raise StoreError(
            f"{address}: its description makes no sense ({error}); push the store again"
        ) from error
