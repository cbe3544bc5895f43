"""Stores gone wrong: seeded damage, and what a stranger could have made with every digest right.

A store is a mapping from the path of each of its files, below its folder, to its bytes.
"""

from __future__ import annotations

import copy
import hashlib
import io
import itertools
import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facesearch.store import schema
from facesearch.store.archive import Archive, Member, write_archive
from facesearch.store.head import derived_file
from facesearch.store.segments import block_checksum

Files = dict[str, bytes]
Arrays = dict[str, NDArray[Any]]
Mutator = Callable[[random.Random, Files], Files]

HEAD = "faces.npz"
_COMMENT = len(b"facesearch sha256:") + 64
_NUMBERS = (-1, 0, 1, 2, 7, 255, 1 << 15, (1 << 31) - 1, 1 << 31, 0xFFFFFFFF, 1 << 40, -(1 << 62))
_FLOATS = (np.nan, np.inf, -np.inf, 3e38, -1.0, 0.0, 1e-45, 1e19)

NAMES = (
    b"../../../../etc/passwd", b"..", b"a/../../b", b"/etc/passwd", b"//server/share", b"a\0b",
    b"\x1b]0;owned\x07.jpg", b"\x1b[2J", b"a\nb", b"a\rb", b"=1+1", b"\xff\xfe", b"\xed\xa0\x80",
    "\u202egpj.exe".encode(), "\u2066a\u2069".encode(), b"<script>alert(1)</script>", b"." * 4000,
    b"C:\\x", b"a//b", b".", b"", b"./a", b"-rf", b"~", b"s3://bucket/key", b"%s%n{0}",
)  # fmt: skip
"""What a stranger could call a file."""

TEXTS = (
    *NAMES, b"2020-13-99T99:99:99", b"\xff" * 19, b"0" * 19, b"9" * 19, b"2020-01-02T03:04:05Z",
    "２０２０-01-02T03".encode(),
)  # fmt: skip

VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 3, 10**9, 1 << 31, 1 << 63, 10**400, 0.5, 1e308, float("nan"),
    float("inf"), "", "x", "/", "../../x", "../" * 50, "\0", "a\0b", "\x1b[31mred", "\ud800",
    "\udcff", "\u202e", "a\nb", "x" * 100_000, "s3://bucket/key", "s3://", "ftp://x", "file://x",
    "file:///", "/proc/self/mem", "/dev/zero", "~", [], {}, [[]], [None], {"": None}, {"a": 1},
    [1, 2, 3], ["a", "b"], {"photos": [], "faces": 3}, 10**4299,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """A store and how it came to be. ``honest``: digests were not made right again, so that it
    must answer as before or not at all.
    """

    kind: str
    files: Files
    honest: bool


def read_files(folder: Path) -> Files:
    """Every file below a folder but for locks."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".lock" not in path.name
    }


def damaged(source: random.Random, files: Files) -> Mutant:
    """The store after an accident."""
    return _made(source, files, DAMAGE, honest=True)


def _made(source: random.Random, files: Files, kinds: dict[str, Mutator], honest: bool) -> Mutant:
    while True:
        kind = source.choice(list(kinds))
        found = kinds[kind](source, files)
        if found != files:
            return Mutant(kind, found, honest)


# What happens to files.


def _of_one(change: Callable[[random.Random, bytearray], bytes]) -> Mutator:
    def mutate(source: random.Random, files: Files) -> Files:
        name = source.choice(list(files))
        return {**files, name: bytes(change(source, bytearray(files[name])))}

    return mutate


def _flip(source: random.Random, raw: bytearray) -> bytes:
    raw[source.randrange(len(raw))] ^= 1 << source.randrange(8)
    return raw


def _flips(source: random.Random, raw: bytearray) -> bytes:
    for _ in range(source.randint(2, 40)):
        raw[source.randrange(len(raw))] = source.randrange(256)
    return raw


def _truncate(source: random.Random, raw: bytearray) -> bytes:
    return raw[: source.randrange(len(raw))]


def _extend(source: random.Random, raw: bytearray) -> bytes:
    return raw + source.randbytes(source.choice((1, 64, 82, 4096)))


def _zeros(source: random.Random, raw: bytearray) -> bytes:
    start = source.randrange(len(raw))
    stop = min(len(raw), start + source.choice((1, 16, 512, 4096)))
    raw[start:stop] = bytes(stop - start)
    return raw


def _swap(source: random.Random, raw: bytearray) -> bytes:
    size = source.choice((16, 64, 512))
    first, second = (source.randrange(max(1, len(raw) // size)) * size for _ in range(2))
    here, there = raw[first : first + size], raw[second : second + size]
    if len(here) == len(there):
        raw[first : first + size], raw[second : second + size] = there, here
    return raw


def _cut_out(source: random.Random, raw: bytearray) -> bytes:
    start = source.randrange(len(raw))
    del raw[start : start + source.choice((1, 64, 700))]
    return raw


def _header_number(source: random.Random, raw: bytearray) -> bytes:
    """Another length, count, offset or size somewhere in the zip's or an array's header."""
    marks = (b"PK\3\4", b"PK\1\2", b"PK\5\6", b"\x93NUMPY")
    places = [at for mark in marks for at in _places(bytes(raw), mark)]
    at = source.choice(places) + source.randrange(4, 60)
    form = source.choice(("<H", "<I", "<Q"))
    size = struct.calcsize(form)
    if at + size <= len(raw):
        number = source.choice((*_NUMBERS, source.getrandbits(64)))
        raw[at : at + size] = struct.pack(form, number & ((1 << 8 * size) - 1))
    return raw


def _shape_text(source: random.Random, raw: bytearray) -> bytes:
    """Other digits in the shape that an array's header tells."""
    at = source.choice(_places(bytes(raw), b"'shape': ("))
    at += len(b"'shape': (") + source.randrange(6)
    raw[at] = source.choice(b"0123456789,- L)")
    return raw


def _places(raw: bytes, mark: bytes) -> list[int]:
    found, at = [], raw.find(mark)
    while at >= 0:
        found.append(at)
        at = raw.find(mark, at + 1)
    return found or [0]


def _lose(source: random.Random, files: Files) -> Files:
    gone = source.choice(list(files))
    return {name: raw for name, raw in files.items() if name != gone or len(files) == 1}


def _exchange(source: random.Random, files: Files) -> Files:
    first, second = source.choice(list(files)), source.choice(list(files))
    return {**files, first: files[second], second: files[first]}


DAMAGE: dict[str, Mutator] = {
    "a flipped bit": _of_one(_flip),
    "bytes overwritten": _of_one(_flips),
    "cut short": _of_one(_truncate),
    "made longer": _of_one(_extend),
    "a range of zeros": _of_one(_zeros),
    "blocks swapped": _of_one(_swap),
    "bytes left out": _of_one(_cut_out),
    "a number in a header": _of_one(_header_number),
    "a shape in a header": _of_one(_shape_text),
    "a file lost": _lose,
    "two files exchanged": _exchange,
}


# What a stranger makes.


@lru_cache(64)
def _arrays(raw: bytes, folder: Path) -> Arrays:
    path = folder / hashlib.sha256(raw).hexdigest()
    path.write_bytes(raw)
    opened = Archive.open(path)
    return {name: opened.array(name).copy() for name in opened.names}


def written(arrays: Arrays) -> bytes:
    """A store file of these arrays, every digest right."""
    file = io.BytesIO()
    write_archive(
        file,
        [Member(name, _kind(array), array.shape, (array,)) for name, array in arrays.items()],
    )
    return file.getvalue()


def _kind(array: NDArray[Any]) -> str:
    return array.dtype.newbyteorder("<").str


def resealed(raw: bytes) -> bytes:
    """The bytes with the digest at their end made right."""
    body = raw[:-_COMMENT]
    return body + b"facesearch sha256:" + hashlib.sha256(body).hexdigest().encode()


def meta_of(arrays: Arrays) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(arrays["meta"].tobytes())
    return found


def with_meta(arrays: Arrays, data: Any) -> Arrays:
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return {**arrays, "meta": np.frombuffer(text, np.uint8)}


class Stranger:
    """Takes stores apart and puts them together again; needs a folder to read them in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def arrays(self, raw: bytes) -> Arrays:
        """What is in a file."""
        return _arrays(raw, self._folder)

    def put(self, files: Files, name: str, raw: bytes) -> Files:
        """The store with another file in place of one, and heads that name it."""
        old = files[name]
        new, kept = raw[-64:].decode("ascii", "replace"), old[-64:].decode()
        target, out = name, {key: value for key, value in files.items() if key != name}
        derived = ".derived/" in name
        if derived:
            folder, _, file = name.rpartition("/")
            entry = file.removesuffix(".npz").rpartition("-")[0]
            target = f"{folder}/{derived_file(entry, new)}"
        out[target] = raw
        if name == HEAD or ".heads/" in name:
            return out
        for head in [key for key in out if key == HEAD or ".heads/" in key]:
            arrays = self.arrays(out[head])
            data = meta_of(arrays)
            for entry in data["segments"] + list(data["derived"].values()):
                if entry["sha256"] == kept:
                    entry["sha256"] = new
                    if derived:
                        entry["file"] = target.rpartition("/")[2]
            out[head] = written(with_meta(arrays, data))
        return out

    def heads(self, files: Files) -> list[str]:
        """The files that describe a store; the one that counts comes last."""
        return sorted((name for name in files if name == HEAD or ".heads/" in name), key=len)

    def with_rows(self, files: Files) -> list[str]:
        """The files with tables."""
        return [name for name in files if "files.root" in self.arrays(files[name])]

    def derived(self, files: Files) -> list[str]:
        """The files of computed data."""
        return [name for name in files if ".derived/" in name]

    def hostile(self, source: random.Random, files: Files) -> Mutant:
        """The store in the hands of a stranger."""
        return _made(source, files, self.kinds(), honest=False)

    def kinds(self) -> dict[str, Mutator]:
        """All that this stranger does."""
        return {
            "a hostile array": self._array,
            "hostile arrays": self._several,
            "hostile paths": self._paths,
            "hostile texts": self._texts,
            "hostile rows": self._rows,
            "a hostile shape": self._shape,
            "hostile computed data": self._computed,
            "a hostile description": self._description,
            "hostile descriptions": self._descriptions,
            "a description of other bytes": self._text,
            "a hostile root": self._root,
            "hostile counts": self._counts,
            "hostile memory": self._memory,
            "resealed after damage": self._resealed,
            "arrays in another order": self._order,
        }

    def _changed(self, files: Files, name: str, change: Callable[[Arrays], Arrays]) -> Files:
        arrays = dict(self.arrays(files[name]))
        return self.put(files, name, written(change(arrays)))

    def _array(self, source: random.Random, files: Files, times: int = 1) -> Files:
        def change(arrays: Arrays) -> Arrays:
            for _ in range(times):
                key = source.choice([key for key in arrays if key != "meta"])
                arrays[key] = _spoiled(source, arrays[key])
                if key == "faces.embedding" and source.random() < 0.8:
                    _checksummed(arrays)
            return arrays

        return self._changed(files, source.choice(self.with_rows(files)), change)

    def _several(self, source: random.Random, files: Files) -> Files:
        return self._array(source, files, source.randint(2, 6))

    def _paths(self, source: random.Random, files: Files) -> Files:
        return self._text_column(source, files, "files.path", NAMES)

    def _texts(self, source: random.Random, files: Files) -> Files:
        column = f"contents.{source.choice(schema.TEXTS)}"
        return self._text_column(source, files, column, TEXTS)

    def _text_column(
        self, source: random.Random, files: Files, column: str, among: tuple[bytes, ...]
    ) -> Files:
        def change(arrays: Arrays) -> Arrays:
            offsets, blob = arrays[f"{column}_offsets"], arrays[f"{column}_blob"].tobytes()
            texts = [blob[a:b] for a, b in itertools.pairwise(offsets)]
            for at in range(len(texts)):
                if source.random() < 0.3:
                    texts[at] = source.choice(among)
            if source.random() < 0.5:
                texts.sort()
            ends = np.cumsum([0, *map(len, texts)])
            arrays[f"{column}_offsets"] = ends.astype("<i8")
            arrays[f"{column}_blob"] = np.frombuffer(b"".join(texts), np.uint8)
            return arrays

        return self._changed(files, source.choice(self.with_rows(files)), change)

    def _rows(self, source: random.Random, files: Files) -> Files:
        def change(arrays: Arrays) -> Arrays:
            rows = arrays["faces.embedding"].copy()
            for at in range(len(rows)):
                if source.random() < 0.4:
                    rows[at] = source.choice((*_FLOATS, rows[source.randrange(len(rows))]))
            arrays["faces.embedding"] = rows
            _checksummed(arrays)
            return arrays

        return self._changed(files, source.choice(self.with_rows(files)), change)

    def _shape(self, source: random.Random, files: Files) -> Files:
        """No bytes, and many of them."""

        def change(arrays: Arrays) -> Arrays:
            key = source.choice(list(arrays))
            shape = source.choice([(10**18, 0), (0, 10**18), (0,), (1 << 62, 0, 1 << 62), (0, 0)])
            file = io.BytesIO()
            kept = {**arrays}
            members = [
                Member(name, _kind(array), shape if name == key else array.shape,
                       () if name == key else (array,))
                for name, array in kept.items()
            ]  # fmt: skip
            write_archive(file, members)
            changed.append(file.getvalue())
            return arrays

        changed: list[bytes] = []
        name = source.choice(list(files))
        change(dict(self.arrays(files[name])))
        return self.put(files, name, changed[0])

    def _computed(self, source: random.Random, files: Files) -> Files:
        names = self.derived(files)
        if not names:
            return files

        def change(arrays: Arrays) -> Arrays:
            for _ in range(source.randint(1, 3)):
                key = source.choice([key for key in arrays if key != "meta"])
                arrays[key] = _spoiled(source, arrays[key])
            if source.random() < 0.1:
                del arrays[source.choice(list(arrays))]
            return arrays

        return self._changed(files, source.choice(names), change)

    def _description(self, source: random.Random, files: Files, times: int = 1) -> Files:
        def change(arrays: Arrays) -> Arrays:
            data = meta_of(arrays)
            for _ in range(times):
                _spoil_json(source, data)
            return with_meta(arrays, _canonical(source, data))

        return self._changed(files, self.heads(files)[-1], change)

    def _descriptions(self, source: random.Random, files: Files) -> Files:
        return self._description(source, files, source.randint(2, 5))

    def _text(self, source: random.Random, files: Files) -> Files:
        def change(arrays: Arrays) -> Arrays:
            raw = bytearray(arrays["meta"].tobytes())
            how = source.randrange(5)
            if how == 0:
                raw = bytearray(_flips(source, raw))
            elif how == 1:
                raw = raw[: source.randrange(len(raw))]
            elif how == 2:
                raw = bytearray(raw.decode().encode(source.choice(("utf-16", "utf-32-le"))))
            elif how == 3:
                deep = source.choice((b"[", b'{"a":')) * source.choice((100, 990, 5000, 100_000))
                raw = bytearray(raw.replace(b'"options":{', b'"options":{"x":' + deep, 1))
            else:
                raw = bytearray(raw.replace(b'"options":', b'"version":1,"options":', 1))
            return with_meta(arrays, bytes(raw))

        return self._changed(files, self.heads(files)[-1], change)

    def _root(self, source: random.Random, files: Files) -> Files:
        def change(arrays: Arrays) -> Arrays:
            data = meta_of(arrays)
            for root in data["roots"]:
                root["path"] = source.choice(
                    [*(value for value in VALUES if isinstance(value, str)), "/etc", "/root"]
                )
                root["relative"] = source.choice(["", "..", "../../..", "/", root["path"]])
                root["id"] = source.choice([root["id"], root["id"], 5, (1 << 31) - 1])
            return with_meta(arrays, _canonical(source, data))

        return self._changed(files, self.heads(files)[-1], change)

    def _counts(self, source: random.Random, files: Files) -> Files:
        def change(arrays: Arrays) -> Arrays:
            data = meta_of(arrays)
            for entry in data["segments"]:
                key = source.choice(("files", "contents", "faces"))
                entry[key] = source.choice((0, 10**9, 1 << 40, (1 << 40) + 1, -1, entry[key] + 1))
            if source.random() < 0.3:
                data["recipe"]["extractor"]["dim"] = source.choice((1, 2, 9, 1 << 20, 10**9))
            return with_meta(arrays, data)

        return self._changed(files, self.heads(files)[-1], change)

    def _memory(self, source: random.Random, files: Files) -> Files:
        """What was entered by hand: labels, and what was forgotten, of any size."""

        def change(arrays: Arrays) -> Arrays:
            data = meta_of(arrays)
            hashes = [row.tobytes().hex() for row in arrays.get("contents.hash", [])] or ["0" * 64]
            count = source.choice((1, 2, 3, 10**9, 10**18, 10**30))
            face = {"recipe": "x", "count": count, "numbers": [1]}
            _spoil_value(source, face)
            data["entered"] = {
                "labels": source.choice((*VALUES, {"a": "=1+1"}, {"\x1b[2J": "<b>"})),
                "forgotten": {
                    "photos": {source.choice(hashes): source.choice(VALUES)}
                    if source.random() < 0.5
                    else {},
                    "faces": {source.choice(hashes): face},
                },
            }
            return with_meta(arrays, _canonical(source, data))

        return self._changed(files, self.heads(files)[-1], change)

    def _resealed(self, source: random.Random, files: Files) -> Files:
        name = source.choice(list(files))
        change = source.choice((_flip, _flips, _header_number, _shape_text, _zeros, _swap))
        raw = bytes(change(source, bytearray(files[name])))
        return self.put(files, name, resealed(raw))

    def _order(self, source: random.Random, files: Files) -> Files:
        def change(arrays: Arrays) -> Arrays:
            keys = [key for key in arrays if key != "meta"] or ["meta"]
            first, second = source.choice(keys), source.choice(keys)
            how = source.randrange(3)
            if how == 0:
                return {key: arrays[key] for key in arrays if key != first}
            if how == 1:
                return {**arrays, first: arrays[second], second: arrays[first]}
            return {**arrays, "files.more": arrays[first]}

        return self._changed(files, source.choice(list(files)), change)


def _checksummed(arrays: Arrays) -> None:
    rows = arrays["faces.embedding"]
    if rows.ndim == 2 and rows.dtype == np.float32:
        starts = range(0, len(rows), schema.BLOCK_ROWS)
        sums = [block_checksum(rows[at : at + schema.BLOCK_ROWS]) for at in starts]
        arrays["faces.checksum"] = np.array(sums, np.uint32)


def _spoiled(source: random.Random, array: NDArray[Any]) -> NDArray[Any]:
    how = source.randrange(10)
    if how == 0:
        return array[:-1] if len(array) else array
    if how == 1:
        return np.concatenate([array, array[:1]])
    if how == 2:
        return array.astype(source.choice(("<f4", "<i4", "<i8", "<u4", "|u1")))
    if how == 3:
        return array.reshape(source.choice(((1, -1), (-1, 1), (-1,), (1, -1, 1))))
    found = array.copy()
    flat = found.reshape(-1)
    if not len(flat):
        return found
    places = [source.randrange(len(flat)) for _ in range(source.choice((1, 1, 3, len(flat))))]
    for place in places:
        flat[place] = _spoiled_value(source, flat)
    if how == 4:
        flat[:] = np.sort(flat)
    return found


def _spoiled_value(source: random.Random, flat: NDArray[Any]) -> Any:
    if flat.dtype.kind == "f":
        return np.float32(source.choice(_FLOATS))
    near = int(flat[source.randrange(len(flat))]) + source.choice((-1, 0, 1))
    number = source.choice((*_NUMBERS, len(flat), near, near, source.getrandbits(63)))
    size = 8 * flat.dtype.itemsize
    number &= (1 << size) - 1
    if flat.dtype.kind == "i" and number >> (size - 1):
        number -= 1 << size
    return number


def _canonical(source: random.Random, data: Any) -> Any:
    """Sometimes spelt exactly as a store spells it, so that ``check`` has no word to say."""
    if source.random() < 0.5:
        return data
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _spoil_json(source: random.Random, data: Any) -> None:
    holder = data
    while source.random() < 0.75:
        inner = holder.values() if isinstance(holder, dict) else holder
        deeper = [value for value in inner if isinstance(value, (dict, list)) and value]
        if not deeper:
            break
        holder = source.choice(deeper)
    _spoil_value(source, holder)


def _spoil_value(source: random.Random, holder: Any) -> None:
    keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    if not keys:
        return
    key = source.choice(keys)
    how = source.randrange(8)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[source.choice(("x", "", "../../x", "\x1b[0m", "\ud800", "x" * 1000))] = (
            copy.deepcopy(holder[key])
        )
    elif how == 1:
        holder.append(copy.deepcopy(holder[key]))
    else:
        holder[key] = copy.deepcopy(source.choice(VALUES))  # or what is put in later goes around
