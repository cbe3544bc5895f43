"""Writes simulated galleries as stores like any other, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facesearch.recipes import Recipe
from facesearch.store.head import Head, Root
from facesearch.store.layout import Layout
from facesearch.store.schema import Counts
from facesearch.store.segments import segment_members

_AT_ONCE = 1 << 18
_DIGITS = 8
_SIDE = 100
_INDEXED = "2026-01-01T00:00:00Z"
Blocks = tuple[int, Iterator[np.ndarray]]


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """``person`` (n,) whose photo each is, ascending; ``rows`` yields their embeddings in turn."""

    person: np.ndarray
    rows: Iterable[np.ndarray]


def write_store(path: Path, recipe: Recipe, faces: Faces) -> None:
    """A store in which each photo shows one face, photos lie in folders named after people, and
    nothing but the embeddings means anything.
    """
    count, dim = len(faces.person), recipe.extractor.dim
    counts = Counts(count, count, count, dim)
    layout = Layout(path)
    columns = _Columns(faces.person, np.random.default_rng(count))
    members = segment_members(columns, counts, _in_turn(faces.rows))
    entry, _ = layout.write_segment(members, counts, settled=True)
    root = Root(str(path.parent / "photos"), "photos", 0)
    layout.write_head(Head(recipe, (root,), 1, {}, _INDEXED, segments=(entry,)))


class _Columns:
    """Every array but the embeddings, by its name."""

    def __init__(self, person: np.ndarray, rng: np.random.Generator) -> None:
        self._person = person
        self._rng = rng

    def __call__(self, name: str) -> Blocks:
        count = len(self._person)
        made: dict[str, Callable[[slice], np.ndarray]] = {
            "files.path_blob": self._paths,
            "files.content": _numbers,
            "contents.hash": lambda rows: self._bytes(rows, 32),
            "contents.pixel_hash": lambda rows: self._bytes(rows, 16),
            "contents.width": lambda rows: _same(rows, np.int32(_SIDE)),
            "contents.height": lambda rows: _same(rows, np.int32(_SIDE)),
            "contents.scale": lambda rows: _same(rows, np.float32(1)),
            "contents.frames": lambda rows: _same(rows, np.int32(1)),
            "files.root": lambda rows: _same(rows, np.int32(0)),
            "files.size": lambda rows: _same(rows, np.int64(1)),
            "files.mtime_ns": lambda rows: _same(rows, np.int64(1)),
            "faces.box": lambda rows: _same(rows, np.full(4, _SIDE / 2, np.float32)),
            "faces.landmarks": lambda rows: _same(rows, np.zeros((5, 2), np.float32)),
            "faces.score": lambda rows: _same(rows, np.float32(1)),
            "faces.sharpness": lambda rows: _same(rows, np.float32(1)),
        }
        if name in made:
            width = 2 * _DIGITS + 5 if name.endswith("_blob") else 1
            return width * count, _pieces(count, made[name])
        if name.endswith("_blob"):
            return 0, iter(())
        step = {"files.path_offsets": 2 * _DIGITS + 5, "contents.face_offsets": 1}.get(name, 0)
        return count + 1, _pieces(count + 1, lambda rows: _numbers(rows) * step)

    def _paths(self, rows: slice) -> np.ndarray:
        """PERSON/PHOTO.jpg, in order."""
        numbers = _numbers(rows)
        text = np.empty((len(numbers), 2 * _DIGITS + 5), np.uint8)
        text[:, :_DIGITS] = _digits(self._person[rows])
        text[:, _DIGITS] = ord("/")
        text[:, _DIGITS + 1 : -4] = _digits(numbers)
        text[:, -4:] = np.frombuffer(b".jpg", np.uint8)
        return text.reshape(-1)

    def _bytes(self, rows: slice, width: int) -> np.ndarray:
        return self._rng.integers(0, 256, (rows.stop - rows.start, width), np.uint8)


def _digits(numbers: np.ndarray) -> np.ndarray:
    powers = 10 ** np.arange(_DIGITS - 1, -1, -1)
    return (numbers[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def _numbers(rows: slice) -> np.ndarray:
    return np.arange(rows.start, rows.stop)


def _same(rows: slice, value: Any) -> np.ndarray:
    return np.broadcast_to(value, (rows.stop - rows.start, *np.shape(value)))


def _pieces(count: int, make: Callable[[slice], np.ndarray]) -> Iterator[np.ndarray]:
    for start in range(0, count, _AT_ONCE):
        yield make(slice(start, min(start + _AT_ONCE, count)))


def _in_turn(rows: Iterable[np.ndarray]) -> Callable[[int, int], np.ndarray]:
    """What is asked for from the front, a block after the other."""
    source = iter(rows)
    held: list[np.ndarray] = [np.zeros((0, 0), np.float32)]

    def take(start: int, stop: int) -> np.ndarray:
        while len(held[0]) < stop - start:
            more = next(source)
            held[0] = np.concatenate([held[0], more]) if len(held[0]) else more
        found, held[0] = held[0][: stop - start], held[0][stop - start :]
        return found

    return take
