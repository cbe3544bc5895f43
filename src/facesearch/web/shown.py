"""The photos of a store, found by their content: facts, views, crops of faces, whole files.

Nothing is shown but bytes that were indexed: a file is looked for where the store has it, has to
lie inside the store's folders, and must still have the content that the store knows.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from facesearch.errors import PhotoError
from facesearch.gallery.places import Place
from facesearch.locations import is_address
from facesearch.photos import (
    Patience,
    PhotoBytes,
    PhotoLimits,
    decode_photo,
    printable,
    read_bytes,
    sniff,
)
from facesearch.records import Box, Photo, Pixels
from facesearch.report.facts import box_facts, rounded
from facesearch.web.problems import HttpError, not_found
from facesearch.web.snapshot import Snapshot

_MARGIN = 0.3  # of a face's longer side, around it
_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Shown:
    """One photo of a snapshot."""

    now: Snapshot
    content: int

    @property
    def hash(self) -> bytes:
        """Of its bytes."""
        return self.now.store.contents.hash_of(self.content)

    @property
    def id(self) -> str:
        """What stands before the "-" in the ids of its faces."""
        return self.hash.hex()[:16]

    def places(self) -> list[Place]:
        """Where it lies, what is there first."""
        return self.now.places().of_content(self.content)

    def faces(self) -> Iterator[tuple[int, int, Box | None, float]]:
        """(id within the store, number, box, score) of each face."""
        table, whole = self.now.store.faces, self.now.store.recipe.subject == "photo"
        contents = self.now.store.contents
        for face in range(contents.face_start(self.content), contents.face_stop(self.content)):
            facts = table.facts(face)
            yield face, facts.number, None if whole else Box(*facts.box), facts.score


def find_photo(now: Snapshot, photo_id: str) -> Shown:
    """The photo of an id.

    Raises:
        HttpError: the store has none.
    """
    start = bytes.fromhex(photo_id)
    contents = now.store.contents
    if len(contents) and any(start):
        for row in contents.with_hash(start).tolist():
            if contents.live[row] and contents.failure(row) is None:
                return Shown(now, row)
    raise not_found(f"{photo_id}: the store has no such photo")


def find_face(photo: Shown, number: int) -> tuple[int, Box | None]:
    """(id within the store, box) of a face.

    Raises:
        HttpError: the photo has none of this number.
    """
    for face, found, box, _ in photo.faces():
        if found == number:
            return face, box
    raise not_found(f"{photo.id}: has no face {number}")


def facts_of(photo: Shown) -> dict[str, Any]:
    """What is known of a photo."""
    facts = photo.now.store.contents.facts(photo.content)
    return {
        "id": photo.id,
        "paths": [place.path for place in photo.places()],
        "width": facts.width,
        "height": facts.height,
        "taken": facts.taken,
        "camera": photo.now.store.contents.camera(photo.content),
        "faces": [
            {
                "number": number,
                "id": f"{photo.id}-{number}",
                "box": box_facts(box),
                "score": rounded(score, 4),
            }
            for _, number, box, score in photo.faces()
        ],
    }


def read_original(photo: Shown, seconds: float) -> PhotoBytes:
    """The photo's file, as it was indexed.

    Raises:
        HttpError: none of its files is there, inside the store's folders and unchanged.
    """
    patience = Patience(seconds)
    problem = not_found(f"{photo.id}: no file of the store has it")
    files = photo.now.store.files
    sizes = {int(files.size[row]) for row in files.of_content(photo.content)}
    for place in photo.places():
        try:
            file = patience.read(partial(_read_of_size, sizes=sizes), inside(place))
        except PhotoError as error:
            problem = HttpError(504 if error.reason == "timeout" else 404, error.reason, str(error))
        except HttpError as refused:
            problem = refused
        else:
            if file.content_hash == photo.hash:
                return file
            message = f"{printable(place.path)}: changed since it was indexed; index it again"
            problem = HttpError(409, "photo-changed", message)
    raise problem


def _read_of_size(path: str, sizes: set[int]) -> PhotoBytes:
    """A file; nothing of it where its size says already that it is another."""
    if not is_address(path):
        with suppress(OSError):  # reading says it better
            file = Path(path)
            if file.is_file() and file.stat().st_size not in sizes:
                return PhotoBytes(path, b"", b"")
    return read_bytes(path)


def inside(place: Place) -> str:
    """The file's real path.

    Raises:
        HttpError: it is a link that leads out of the store's folder.
    """
    if is_address(place.path):
        return place.path
    root, path = Path(os.path.realpath(place.root)), Path(os.path.realpath(place.path))
    if path.is_relative_to(root):
        return str(path)
    message = f"{printable(place.path)}: a link that leads out of the store's folders"
    raise HttpError(403, "outside-roots", message)


def view(file: PhotoBytes, side: int, pixels: int) -> bytes:
    """The photo as an upright JPEG, its longer side at most so long; nothing else is in it.

    Raises:
        PhotoError: it cannot be decoded.
    """
    return _jpeg(Image.fromarray(decode_photo(file, PhotoLimits(side, pixels)).pixels))


def jpeg_of(photo: Photo, side: int) -> bytes:
    """A decoded photo as a JPEG, its longer side at most so long."""
    picture = Image.fromarray(photo.pixels)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _jpeg(picture)


@dataclass(frozen=True, slots=True)
class Cut:
    """What is cut out of a photo: ``box`` with some margin (None: all of it), as a picture of at
    most ``side`` pixels square; ``longer`` is the longer side of the upright original.
    """

    box: Box | None
    side: int
    longer: int


def crop(file: PhotoBytes, cut: Cut, pixels: int) -> bytes:
    """A face as a JPEG.

    Raises:
        PhotoError: the photo cannot be decoded.
    """
    if cut.box is None:
        return view(file, cut.side, pixels)
    wanted = max(1.0, max(cut.box.width, cut.box.height) * (1 + 2 * _MARGIN))
    # No larger than needed: of a photo of 12 megapixels a large face needs an eighth.
    decoded = math.ceil(cut.longer * min(1.0, cut.side / wanted))
    photo = decode_photo(file, PhotoLimits(max(1, decoded), pixels))
    picture = Image.fromarray(_square(photo.pixels, cut.box, wanted, photo.facts.scale))
    if max(picture.size) > cut.side:
        picture.thumbnail((cut.side, cut.side), Image.Resampling.LANCZOS)
    return _jpeg(picture)


def _square(pixels: Pixels, box: Box, wanted: float, scale: float) -> Pixels:
    """The square around a face, moved into the photo where it reaches beyond."""
    height, width = pixels.shape[:2]
    side = max(1, round(wanted * scale))
    x, y = (middle * scale for middle in box.center)
    left = max(0, min(round(x - side / 2), width - side, width - 1))
    top = max(0, min(round(y - side / 2), height - side, height - 1))
    return pixels[top : top + side, left : left + side]


def _jpeg(picture: Image.Image) -> bytes:
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=_QUALITY)
    return target.getvalue()


def content_type(file: PhotoBytes) -> str:
    """The media type of a photo's file."""
    known = sniff(file.data)
    return f"image/{known.lower()}" if known else "application/octet-stream"


def etag_of(*parts: object) -> str:
    """One name for one picture."""
    return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'
