"""What a store says of itself: recipe, roots, options, progress, and its segments."""

from __future__ import annotations

import json
import math
import os
import platform
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facesearch.errors import (
    PhotoError,
    RecipeMismatchError,
    StoreError,
    StoreTooNewError,
    UsageError,
)
from facesearch.locations import Address, Location, as_location
from facesearch.photos import Patience
from facesearch.recipes import Recipe
from facesearch.records import Progress
from facesearch.store import archive, schema

INLINE = ""
"""Name of a segment whose arrays are in the head itself."""

_SEGMENT_NAME = re.compile(r"[0-9a-f-]{1,64}\.npz")
_DERIVED_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAX_DIM = 1 << 20
_MAX_ROWS = 1 << 40
_MAX_SIDE = 1 << 12  # of what a network sees
_MAX_SCALE_FACTOR = 0.99  # nearer to 1 a photo is searched at very many sizes
_MAX_CROPS = 16
_SENSELESS = (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError)
_SAME_BIRTH_SECONDS = 10.0
_PATIENCE = 20.0  # seconds for a root's disk, also where nothing is read


@dataclass(frozen=True, slots=True)
class Root:
    """A folder (or file) that was indexed.

    ``path`` is absolute, undecodable bytes as surrogates; ``relative`` is the way there from the
    store's folder. Of a place in object storage both are its address. ``id`` ties it to its files
    and is given by the store; keep it (with ``dataclasses.replace``) when the folder has moved.
    """

    path: str
    relative: str
    id: int = field(default=-1, compare=False)

    @classmethod
    def at(cls, path: Location, store_folder: Path) -> Root:
        """A root for a folder, as a store in ``store_folder`` remembers it."""
        if isinstance(path, Address):
            return cls(str(path), str(path))
        absolute = Path(os.path.abspath(path))
        try:
            relative = os.path.relpath(absolute, store_folder)
        except ValueError:  # another drive of Windows
            relative = str(absolute)
        return cls(str(absolute), relative)

    def resolve(self, store_folder: Path) -> Location:
        """Where the root is now.

        Its absolute path if that exists, else the relative one if that exists, else the absolute;
        or its address, of which nothing is asked. A disk that gives no answer counts as there.
        """
        absolute = as_location(self.path)
        if isinstance(absolute, Address):
            return absolute
        relative = store_folder / self.relative
        ask = Patience(_PATIENCE).read
        try:
            if ask(os.path.lexists, absolute):
                return absolute
            return relative if ask(os.path.lexists, relative) else absolute
        except PhotoError:
            return absolute


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A segment as the head names it.

    ``settled`` ones came out of a finished run and keep their rows while later runs add others.
    """

    name: str
    files: int
    contents: int
    faces: int
    sha256: str
    settled: bool

    def counts(self, dim: int) -> schema.Counts:
        """The lengths that its arrays must have."""
        return schema.Counts(self.files, self.contents, self.faces, dim)


@dataclass(frozen=True, slots=True)
class DerivedEntry:
    """Data computed from the store, as the head names it.

    ``file`` lies in the derived folder, ``sha256`` is its digest, ``made_from`` says which faces it
    was computed from. One that ``grows`` can be brought up to date, and is kept when faces change.
    """

    file: str
    sha256: str
    made_from: str
    grows: bool


@dataclass(frozen=True, slots=True)
class RunMark:
    """A run under way: ``done`` of ``total`` photos, by process ``pid`` of ``host``.

    ``born`` is when the process started (seconds since 1970), to know it from a later one of its
    number.
    """

    done: int
    total: int
    pid: int
    host: str
    born: float

    @classmethod
    def here(cls, done: int, total: int) -> RunMark:
        """The mark of this process."""
        import psutil

        return cls(done, total, os.getpid(), platform.node(), psutil.Process().create_time())

    def progress(self) -> Progress:
        """What a reader says of it; a run on another host counts as not running."""
        return Progress(self.done, self.total, self._alive())

    def _alive(self) -> bool:
        if self.host != platform.node():
            return False
        import psutil

        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return abs(process.create_time() - self.born) < _SAME_BIRTH_SECONDS
        except psutil.Error:
            return False


@dataclass(frozen=True, slots=True)
class Head:
    """The ``meta`` member.

    ``next_root`` is the id of the next new root; ``derived`` is what was computed from the store,
    by name; ``entered`` is kept for what people entered by hand.
    """

    recipe: Recipe
    roots: tuple[Root, ...] = ()
    next_root: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    indexed_at: str = ""
    run: RunMark | None = None
    segments: tuple[SegmentEntry, ...] = ()
    derived: dict[str, DerivedEntry] = field(default_factory=dict)
    entered: dict[str, Any] = field(default_factory=dict)

    @property
    def inline(self) -> bool:
        """Whether the arrays are in the head's own file."""
        return any(entry.name == INLINE for entry in self.segments)

    def encode(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, ASCII.

        Undecodable bytes of a path stand as lone surrogate escapes.
        """
        run = self.run
        data = {
            "format": schema.FORMAT,
            "version": schema.VERSION,
            "recipe": self.recipe.as_dict(),
            "recipe_digest": self.recipe.recipe_digest,
            "space_digest": self.recipe.space_digest,
            "roots": [
                {"id": root.id, "path": root.path, "relative": root.relative} for root in self.roots
            ],
            "next_root": self.next_root,
            "options": self.options,
            "indexed_at": self.indexed_at,
            "progress": run
            and {
                "done": run.done,
                "total": run.total,
                "pid": run.pid,
                "host": run.host,
                "born": run.born,
            },
            "segments": [
                {
                    "name": entry.name,
                    "files": entry.files,
                    "contents": entry.contents,
                    "faces": entry.faces,
                    "sha256": entry.sha256,
                    "settled": entry.settled,
                }
                for entry in self.segments
            ],
            "derived": {
                name: {
                    "file": entry.file,
                    "sha256": entry.sha256,
                    "made_from": entry.made_from,
                    "grows": entry.grows,
                }
                for name, entry in self.derived.items()
            },
            "entered": self.entered,
        }
        return encode_json(data)


def derived_file(name: str, digest: str) -> str:
    """What the file of derived data is called."""
    return f"{name}-{digest[:32]}.npz"


def encode_json(data: dict[str, Any]) -> bytes:
    """The one way in which the store writes JSON.

    Raises:
        ValueError: a number is not finite.
        TypeError: a value is no JSON.
    """
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def decode(raw: bytes, path: Path) -> Head:
    """Inverse of ``Head.encode`` for a file that may be anything.

    Raises:
        StoreError: not a store's head, of a newer version, or senseless.
    """
    try:
        data = json.loads(raw, parse_float=_finite, parse_constant=_finite)
        named = data["format"]
        version = data["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise archive.foreign(path) from None
    if named == schema.SEGMENT_FORMAT:
        raise StoreError(
            f"{path}: one segment of a store; name the store itself, the file beside this folder"
        )
    if named != schema.FORMAT or type(version) is not int or version < 1:
        raise archive.foreign(path)
    if version > schema.VERSION:
        raise StoreTooNewError(
            f"{path}: made by a newer facesearch (format {archive.in_short(str(version))}); "
            "update facesearch"
        )
    try:
        return _decode(data)
    except RecipeMismatchError as error:
        told = archive.in_short(str(error))
        raise StoreError(f"{path}: {told}; update facesearch") from error
    except _SENSELESS as error:
        raise archive.damaged(path, f"its description makes no sense: {error}") from error


def _decode(data: dict[str, Any]) -> Head:
    recipe = Recipe.from_dict(data["recipe"])
    _require_bounds(recipe)
    hash(recipe)
    roots = tuple(
        Root(_place(root["path"]), _place(root["relative"]), _integer(root["id"], 0, 1 << 31))
        for root in data["roots"]
    )
    if len({root.id for root in roots}) != len(roots):
        raise ValueError("two roots with one id")
    segments = tuple(_decode_segment(entry) for entry in data["segments"])
    if any(entry.name == INLINE for entry in segments) and len(segments) > 1:
        raise ValueError("its arrays are in two places")
    run = data["progress"]
    return Head(
        recipe=recipe,
        roots=roots,
        next_root=_integer(data["next_root"], 0, 1 << 31),
        options=dict(data["options"]),
        indexed_at=_text(data["indexed_at"]),
        run=None if run is None else _decode_run(run),
        segments=segments,
        derived={
            name: _decode_derived(name, entry) for name, entry in dict(data["derived"]).items()
        },
        entered=dict(data["entered"]),
    )


def _require_bounds(recipe: Recipe) -> None:
    """Raise where a query by this recipe would take any time or memory."""
    _integer(recipe.extractor.dim, 1, _MAX_DIM)
    _integer(recipe.extractor.input_size, 1, _MAX_SIDE)
    if recipe.max_side is not None:
        _integer(recipe.max_side, 1, 1 << 31)
    if recipe.subject == "face":
        _integer(recipe.detector.min_face, 1, 1 << 31)
        if not 0 < recipe.detector.scale_factor < _MAX_SCALE_FACTOR:
            raise ValueError(f"a scale factor of {recipe.detector.scale_factor}")
    if len(recipe.further_crops) > _MAX_CROPS:
        raise ValueError(f"{len(recipe.further_crops)} further crops")


def _decode_segment(entry: dict[str, Any]) -> SegmentEntry:
    name, digest = _text(entry["name"]), _text(entry["sha256"])
    if name != INLINE and not (_SEGMENT_NAME.fullmatch(name) and _DIGEST.fullmatch(digest)):
        raise ValueError("a segment's name")
    files, contents, faces = (
        _integer(entry[key], 0, _MAX_ROWS) for key in ("files", "contents", "faces")
    )
    return SegmentEntry(name, files, contents, faces, digest, entry["settled"] is True)


def _decode_derived(name: str, entry: dict[str, Any]) -> DerivedEntry:
    file, digest, made_from = (_text(entry[key]) for key in ("file", "sha256", "made_from"))
    sound = _DERIVED_NAME.fullmatch(name) and _DIGEST.fullmatch(digest)
    if not sound or file != derived_file(name, digest):
        raise ValueError("the name of derived data")
    return DerivedEntry(file, digest, made_from, entry["grows"] is True)


def _decode_run(run: dict[str, Any]) -> RunMark:
    done, total, pid = (_integer(run[key], 0, 1 << 53) for key in ("done", "total", "pid"))
    return RunMark(done, total, pid, _text(run["host"]), float(run["born"]))


def _integer(value: Any, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{value!r} is no number from {low} to {high}")
    return value


def _finite(text: str) -> float:
    """A number as JSON spells it; Python would also take those that JSON has no words for."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number")
    return value


def _place(value: Any) -> str:
    """The path or address of a root, one that the system can be asked for."""
    text = _text(value)
    if "\0" in text:
        raise ValueError(f"{text!r} is no path")
    os.fsencode(text)  # raises where no file can be called so
    try:
        as_location(text)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
