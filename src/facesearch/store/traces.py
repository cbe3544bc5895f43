"""Whether anything is left of what was forgotten: every file that the tool keeps is read for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import StoreError
from facesearch.store.archive import read_bytes
from facesearch.store.assembly import must_not_be
from facesearch.store.attached import rows_digest
from facesearch.store.derived import face_keys
from facesearch.store.forgotten import ENTERED, Forgotten
from facesearch.store.heads import heads_folder
from facesearch.store.reader import Store, derived_folder, parts_folder, real_location
from facesearch.store.sealing import Key
from facesearch.store.set_aside import set_aside
from facesearch.store.writer import rebuild_path

_AT_ONCE = 1 << 20
_WORD = 8
_HEX = 16  # digits of a hash that ids have


def traces(store: Store, elsewhere: Iterable[Path] = ()) -> Iterator[str]:
    """What is left of the photos and faces that a store has forgotten, a line each.

    A photo's hash is looked for in every byte, as bytes and as hexadecimal digits; only the list
    of what was forgotten may have it. Of its faces, paths and embeddings nothing else can be there:
    in a sound store every byte belongs to a row of a photo, and files that it does not name are
    traces themselves. What a repair has set aside is named, for it is damaged: nothing can be
    proven of it.

    Args:
        store: a snapshot, which ``check`` found sound.
        elsewhere: further files to read.

    Raises:
        StoreError: a file cannot be read.
    """
    forgotten = store.forgotten
    location = real_location(store.path)
    stores = [store, *_unfinished(location)]
    named = {path: None for each in stores for path in _named(each)}
    for path in _beside(location):
        if path not in named:
            yield f"{path}: no part of the store any more, and not yet removed"
    needles = Needles(forgotten.photos)
    allowed = {each.head_archive().path: _listed(each, needles) for each in stores}
    for path in (*named, *elsewhere):
        if needles.count_in(path, store.key) > allowed.get(path, 0):
            yield f"{path}: has the hash of a photo that was forgotten"
    for path in set_aside(location):
        yield (
            f"{path}: kept by facesearch repair, may hold what was forgotten since; delete it when "
            "you need it no more"
        )
    for each in stores:
        yield from _rows(each, forgotten)
        yield from _computed(each)


def _unfinished(location: Path) -> Iterator[Store]:
    """The rebuild that has not ended, which must not hold what was forgotten either."""
    try:
        yield Store.open(rebuild_path(location))
    except StoreError:
        return  # what there is of it no store names


def _rows(store: Store, forgotten: Forgotten) -> Iterator[str]:
    left = must_not_be(store.contents, forgotten)
    if len(left.contents):
        yield f"{store.path}: {_count(len(left.contents), 'photo')} forgotten and still there"
    if len(left.faces):
        yield f"{store.path}: {_count(len(left.faces), 'face')} forgotten and still there"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _computed(store: Store) -> Iterator[str]:
    """Derived data that may have been computed from what was forgotten."""
    faces = face_keys(store).digest
    current = {faces, *(rows_digest(segment) for segment in store.segments)}
    for name, entry in store.head.derived.items():
        # What grows was begun anew when something was forgotten, and has hashes to find.
        if entry.made_from not in current and not entry.grows:
            yield f"{derived_folder(real_location(store.path)) / entry.file}: {name} of other faces"


def _named(store: Store) -> list[Path]:
    """The files that the store's head names, and the lock's."""
    location = real_location(store.path)
    archives = [store.head_archive().path, *(each.archive.path for each in store.segments)]
    derived = [derived_folder(location) / entry.file for entry in store.head.derived.values()]
    lock = [location.with_name(location.name + end) for end in (".lock", ".lock.owner")]
    return [path for path in dict.fromkeys([*archives, *derived, *lock]) if path.exists()]


def _beside(location: Path) -> Iterator[Path]:
    """Every file that belongs to the store by its name or its folder."""
    for whole in (location, rebuild_path(location)):
        name = whole.name
        for folder in (parts_folder(whole), derived_folder(whole), heads_folder(whole)):
            if folder.is_dir():
                yield from sorted(folder.iterdir())
        own = (name, f".{name}.tmp", f"{name}.tmp", f"{name}.lock", f"{name}.lock.owner")
        yield from (path for each in own if (path := location.with_name(each)).exists())


def _listed(store: Store, needles: Needles) -> int:
    """How often the head's description has the hashes where they may be."""
    entered = {ENTERED: store.head.entered.get(ENTERED, {})}
    return needles.count(json.dumps(entered).encode("ascii"))


class Needles:
    """Hashes to look for, as bytes and as the digits that ids begin with; any number at once."""

    def __init__(self, hashes: Iterable[bytes]) -> None:
        self._all = {key[: 2 * _WORD] for key in hashes}
        self._all |= {key.hex()[:_HEX].encode("ascii") for key in hashes}
        starts = [int.from_bytes(needle[:_WORD], "little") for needle in self._all]
        self._starts = np.unique(np.array(starts, np.uint64))

    def count_in(self, path: Path, key: Key | None = None) -> int:
        """How often they occur in a file, whose key is tried where it is encrypted.

        Raises:
            StoreError: it cannot be read.
        """
        try:
            empty = not path.stat().st_size
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror})") from error
        return 0 if empty else self.count(read_bytes(path, key).plain)

    def count(self, data: bytes | memoryview) -> int:
        """How often they occur in these bytes."""
        found = 0
        for start in range(0, len(data), _AT_ONCE):
            # What begins here may end in the next piece.
            found += self._count_beginning(bytes(data[start : start + _AT_ONCE + 2 * _WORD - 1]))
        return found

    def _count_beginning(self, piece: bytes) -> int:
        """Those that begin in the first ``_AT_ONCE`` bytes of a piece."""
        found = 0
        for shift in range(_WORD):
            words = (len(piece) - shift) // _WORD
            if words <= 0:
                break
            here = np.frombuffer(piece, "<u8", words, shift)
            for place in np.flatnonzero(self._may_begin(here)).tolist():
                at = shift + place * _WORD
                found += at < _AT_ONCE and piece[at : at + 2 * _WORD] in self._all
        return found

    def _may_begin(self, words: NDArray[np.uint64]) -> NDArray[np.bool_]:
        if not len(self._starts):
            return np.zeros(len(words), np.bool_)
        place = np.searchsorted(self._starts, words)
        found: NDArray[np.bool_] = self._starts[np.minimum(place, len(self._starts) - 1)] == words
        return found
