"""A photo's files and faces as rows of a gallery's collections, and back."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import numpy as np
from numpy.typing import NDArray

from facesearch.gallery.milvus import schema
from facesearch.gallery.milvus.tables import Row
from facesearch.records import Box, Face, Failure, PhotoEntry, PhotoFacts, PhotoResult
from facesearch.store import ContentTable, FaceTable
from facesearch.store.forgotten import Forgotten

# What would have to be escaped in a filter, and bytes that are no text.
_UNSAFE = re.compile(r'[%"\\\x00-\x1f\x7f\ud800-\udfff]')
_TIME_LENGTH = len("2019-05-04T12:33:11")
_PATHS_BYTES = 16_000  # of a row's JSON, which holds 64 kB
NO_VECTOR = [0.0] * 2
FACE_COLUMNS = ("folders", "persons", "facts", "taken")
FILE_COLUMNS = ("content", "faces", "failed", "facts")


class Placed(NamedTuple):
    """A file of a content: its root's number, the way from the root to it, whom it shows."""

    root: int
    key: str
    person: str


@dataclass(frozen=True, slots=True)
class Content:
    """A distinct photo without its faces; ``failure`` is (reason, message), or None.

    ``facts.content_hash`` is empty where its bytes could not be read.
    """

    facts: PhotoFacts
    faces: int
    failure: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """The hash as hexadecimal digits."""
        return self.facts.content_hash.hex()

    def keys(self, forgotten: Forgotten) -> list[str]:
        """The keys of its faces, of which some may have been forgotten."""
        numbers = forgotten.numbers(self.facts.content_hash, self.faces)
        return [face_key(self.name, number) for number in numbers]


def content_of(result: PhotoResult) -> Content:
    """What became of a photo, without its faces."""
    failure = result.failure
    facts = result.facts or PhotoFacts(result.content_hash, b"", 0, 0, 0.0, frames=0)
    why = (failure.reason, failure.message) if failure else None
    return Content(facts, len(result.faces), why)


def content_at(table: ContentTable, row: int) -> Content:
    """A content as a store has it."""
    facts = PhotoFacts(
        content_hash=table.hash[row].tobytes() if table.hash[row].any() else b"",
        pixel_hash=table.pixel_hash[row].tobytes(),
        width=int(table.width[row]),
        height=int(table.height[row]),
        scale=float(table.scale[row]),
        taken=table.taken(row),
        camera=table.camera(row),
        frames=int(table.frames[row]),
        format=table.format(row),
    )
    return Content(facts, int(table.face_counts[row]), table.failure(row))


def faces_at(table: FaceTable, ids: Sequence[int]) -> list[Face]:
    """Faces as a store has them."""
    faces = []
    for face in ids:
        sides, points = table.box[face].tolist(), table.landmarks[face].tolist()
        box = None if math.isnan(sides[0]) else Box(*sides)
        landmarks = () if math.isnan(points[0][0]) else tuple((x, y) for x, y in points)
        faces.append(Face(box, landmarks, float(table.score[face]), float(table.sharpness[face])))
    return faces


def face_key(content: str, number: int) -> str:
    """The key of a photo's face, counted from 1."""
    return f"{content}-{number}"


def split_key(key: str) -> tuple[str, int]:
    """Inverse of ``face_key``."""
    content, _, number = key.rpartition("-")
    return content, int(number)


def file_key(root: int, key: str) -> str:
    """The key of a file."""
    return f"{root}:{spelled(key)}"


def split_file_key(key: str) -> tuple[int, str]:
    """Inverse of ``file_key``."""
    root, _, rest = key.partition(":")
    return int(root), unspelled(rest)


def spelled(text: str) -> str:
    """A path or name in which nothing needs escaping: such characters stand as %XX."""
    return _UNSAFE.sub(_as_bytes, text)


def _as_bytes(match: re.Match[str]) -> str:
    raw = match.group().encode("utf-8", "surrogatepass")
    if len(raw) > 1 and 0xDC80 <= ord(match.group()) <= 0xDCFF:
        raw = bytes([ord(match.group()) - 0xDC00])
    return "".join(f"%{byte:02X}" for byte in raw)


def unspelled(text: str) -> str:
    """Inverse of ``spelled``."""
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def folder_tokens(root: int, key: str) -> list[str]:
    """How a row names every folder that a file is in, and the file itself."""
    parts = key.split("/") if key else []
    return [folder_token(root, "/".join(parts[:end])) for end in range(len(parts) + 1)]


def folder_token(root: int, key: str) -> str:
    """How rows name a folder of a root ("" for all of it)."""
    return f"{root}:{spelled(key)}"


def moment(taken: str) -> str:
    """The capture time as filters compare it; "" where it is not known to the second."""
    return taken if len(taken) == _TIME_LENGTH and taken.isascii() else ""


def face_rows(
    content: Content,
    faces: Mapping[str, Face],
    vectors: NDArray[np.float32],
    places: Sequence[Placed],
) -> list[Row]:
    """The rows of a photo's faces, which come by their keys, in order."""
    where = where_of(places)
    rows: list[Row] = []
    for (key, face), vector in zip(faces.items(), vectors, strict=True):
        facts = {
            "box": None if face.box is None else _sides(face.box),
            "landmarks": [[_single(x), _single(y)] for x, y in face.landmarks],
            "score": _single(face.score),
            "sharpness": _single(face.sharpness),
            "width": content.facts.width,
            "height": content.facts.height,
            "taken": _clean(content.facts.taken),
        }
        row: Row = {
            schema.KEY: key,
            schema.VECTOR: np.ascontiguousarray(vector, np.float32),
            "taken": moment(content.facts.taken),
            "facts": facts,
        }
        rows.append(placed_row(row, where))
    return rows


def where_of(places: Sequence[Placed]) -> Row:
    """The columns of a face that say where its photo lies."""
    placed = sorted(places)
    paths = [(place.root, spelled(place.key)) for place in placed]
    known = sum(len(path.encode()) + 12 for _, path in paths) <= _PATHS_BYTES
    return {
        "folders": _few(
            (token for place in placed for token in folder_tokens(place.root, place.key)),
            schema.FOLDERS,
        ),
        "persons": _few((spelled(place.person) for place in placed), schema.PERSONS),
        "paths": [list(path) for path in paths] if known else None,
    }


def placed_row(row: Row, where: Row) -> Row:
    """A face's row with these columns, stamped."""
    facts = {**row["facts"], "paths": where["paths"]}
    changed = {**row, "folders": where["folders"], "persons": where["persons"], "facts": facts}
    changed["stamp"] = stamp_of(changed)
    return changed


def file_row(place: Placed, entry: PhotoEntry, content: Content) -> Row:
    """The row of a file, with all that is known of its photo but its faces."""
    facts = content.facts
    reason, message = content.failure or ("", "")
    row: Row = {
        schema.KEY: file_key(place.root, place.key),
        schema.VECTOR: NO_VECTOR,
        "content": content.name,
        "faces": content.faces,
        "failed": content.failure is not None,
        "taken": moment(facts.taken),
        "folders": folder_tokens(place.root, place.key)[-schema.FOLDERS :],
        "persons": [spelled(place.person)],
        "facts": {
            "size": entry.size,
            "mtime_ns": entry.mtime_ns,
            "pixels": facts.pixel_hash.ljust(16, b"\0").hex(),
            "width": facts.width,
            "height": facts.height,
            "scale": _single(facts.scale),
            "frames": facts.frames,
            "taken": _clean(facts.taken),
            "camera": _clean(facts.camera),
            "format": _clean(facts.format),
            "reason": reason,
            "message": _clean(message)[:4_000],
        },
    }
    return {**row, "stamp": stamp_of(row)}


def entry_of(row: Row) -> tuple[int, PhotoEntry]:
    """The root's number and the file that a row stands for."""
    root, key = split_file_key(row[schema.KEY])
    return root, PhotoEntry(key, int(row["facts"]["size"]), int(row["facts"]["mtime_ns"]))


def content_in(row: Row) -> Content:
    """What a file's row knows of its photo."""
    facts = row["facts"]
    failure = (facts["reason"], facts["message"]) if row["failed"] else None
    photo = PhotoFacts(
        content_hash=bytes.fromhex(row["content"]),
        pixel_hash=bytes.fromhex(facts["pixels"]),
        width=facts["width"],
        height=facts["height"],
        scale=facts["scale"],
        taken=facts["taken"],
        camera=facts["camera"],
        frames=facts["frames"],
        format=facts["format"],
    )
    return Content(photo, int(row["faces"]), failure)


def face_in(row: Row) -> Face:
    """The face that a row stands for."""
    facts = row["facts"]
    landmarks = tuple((float(x), float(y)) for x, y in facts["landmarks"])
    box = None if facts["box"] is None else Box(*(float(side) for side in facts["box"]))
    return Face(box, landmarks, float(facts["score"]), float(facts["sharpness"]))


def result_of(content: Content, rows: Sequence[Row], dim: int) -> PhotoResult:
    """A photo as a store file takes it; ``rows`` are those of its faces, in order."""
    vectors = np.array([row[schema.VECTOR] for row in rows], np.float32).reshape(-1, dim)
    hashed = content.facts.content_hash
    if content.failure is not None:
        failure = Failure("", *content.failure)
        return PhotoResult(hashed, None, (), vectors, failure)
    return PhotoResult(hashed, content.facts, tuple(face_in(row) for row in rows), vectors)


def _few(values: Iterable[str], most: int) -> list[str]:
    """The distinct values; where there are too many, a part of them and the sign for that."""
    distinct = list(dict.fromkeys(values))
    return distinct if len(distinct) < most else [schema.MANY, *distinct[: most - 1]]


def stamp_of(row: Row) -> str:
    """A digest by which a row is known to be as it should, without its vector being read."""
    plain = {name: value for name, value in row.items() if name not in (schema.VECTOR, "stamp")}
    digest = hashlib.blake2b(digest_size=12)
    digest.update(json.dumps(plain, sort_keys=True).encode())
    digest.update(np.asarray(row[schema.VECTOR], np.float32).tobytes())
    return digest.hexdigest()


def _sides(box: Box) -> list[float]:
    return [_single(side) for side in (box.x, box.y, box.width, box.height)]


def _single(number: float) -> float:
    """The number as a store file keeps it."""
    return float(np.float32(number))


def _clean(text: str) -> str:
    """Text without halves of surrogate pairs, as a store file keeps it."""
    return text.encode("utf-8", "backslashreplace").decode()
