"""The faces on photos: a table for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facesearch.records import Face, FoundFaces
from facesearch.report.facts import SCHEMA, as_json, box_facts, rounded
from facesearch.report.terminal import escape, pad
from facesearch.report.wording import count, message_with_path

Crops = Mapping[tuple[str, int], str]
"""(path, number of a face) -> the file that shows it."""
Pictures = Mapping[str, str]
"""Path -> the file with its faces numbered."""
_TITLES = ("face", "x", "y", "width", "height", "score", "sharpness", "eyes, nose, mouth corners")


def faces_table(photos: Sequence[FoundFaces]) -> bytes:
    """Each photo with its faces, in pixels of the upright original."""
    blocks = [_block(found) for found in photos]
    return ("\n\n".join("\n".join(block) for block in blocks) + "\n").encode()


def faces_json(photos: Sequence[FoundFaces], pictures: Pictures, crops: Crops) -> bytes:
    """The same facts, and where each was drawn."""
    facts = [_photo_facts(found, pictures, crops) for found in photos]
    return as_json({"schema": SCHEMA, "photos": facts}, indent=2)


def _block(found: FoundFaces) -> list[str]:
    name = "standard input" if found.path == "-" else escape(found.path)
    if found.error is not None:
        if found.path == "-":
            return [escape(found.error.message)]
        return [message_with_path(found.path, found.error.message)]
    head = f"{name}: {count(len(found.faces), 'face')}, {found.width} x {found.height} pixels"
    if not found.faces:
        return [f"{name}: no face, {found.width} x {found.height} pixels"]
    rows = [_TITLES, *(_cells(number, face) for number, face in enumerate(found.faces, start=1))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [head, *("  ".join(map(_right, row, widths)).rstrip() for row in rows)]


def _right(cell: str, width: int) -> str:
    return pad(cell, width, right=True)


def _cells(number: int, face: Face) -> tuple[str, ...]:
    box = face.box
    sides = ("-",) * 4 if box is None else (box.x, box.y, box.width, box.height)
    return (
        str(number),
        *(side if isinstance(side, str) else f"{side:.0f}" for side in sides),
        f"{face.score:.3f}",
        f"{face.sharpness:.0f}",
        " ".join(f"{x:.0f},{y:.0f}" for x, y in face.landmarks),
    )


def _photo_facts(found: FoundFaces, pictures: Pictures, crops: Crops) -> dict[str, Any]:
    if found.error is not None:
        error = {"code": found.error.code, "message": found.error.message}
        return {"path": found.path, "error": error}
    return {
        "path": found.path,
        "content": found.content,
        "width": int(found.width),
        "height": int(found.height),
        "faces": [
            _face_facts(found, number, face, crops)
            for number, face in enumerate(found.faces, start=1)
        ],
        "drawn": pictures.get(found.path),
    }


def _face_facts(found: FoundFaces, number: int, face: Face, crops: Crops) -> dict[str, Any]:
    return {
        "number": number,
        "id": f"{found.content[:16]}-{number}",
        "box": box_facts(face.box),
        "score": rounded(face.score, 4),
        "sharpness": rounded(face.sharpness, 2),
        "landmarks": [[rounded(x, 2), rounded(y, 2)] for x, y in face.landmarks],
        "crop": crops.get((found.path, number)),
    }
