"""Which photos an evaluation is about, whom they show, and where their rows are in a store."""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facesearch import locations
from facesearch.datasets import Label, identity, identity_of
from facesearch.errors import DatasetError, PhotoError, StoreError
from facesearch.photos import hash_file
from facesearch.querying import most_prominent
from facesearch.records import Box, QueryFace
from facesearch.results import FourNumbers
from facesearch.sources import FolderSource
from facesearch.store import Store

Ints = NDArray[np.int64]
Order = Literal["path", "random"]


@dataclass(frozen=True, slots=True)
class Limit:
    """How many photos to take, the first by path or a random sample by ``seed``."""

    photos: int
    order: Order = "path"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Dataset:
    """Photos of known people. ``keys`` are paths relative to ``folder``, sorted; ``names`` says
    whom each shows, "" where nobody knows: such photos are strangers to everyone. ``groups`` maps
    people to a group.
    """

    folder: Path
    keys: tuple[str, ...]
    names: tuple[str, ...]
    groups: Mapping[str, str]
    limit: Limit | None = None

    @property
    def person(self) -> Ints:
        """(photos,) int64, a number for each name, -1 for nobody known."""
        codes = {name: code for code, name in enumerate(sorted(set(self.names) - {""}))}
        return np.array([codes.get(name, -1) for name in self.names], np.int64)

    @property
    def counts(self) -> Counter[str]:
        """Photos of each person."""
        return Counter(name for name in self.names if name)


def read_dataset(
    folder: Path, labels: Mapping[str, Label] | None = None, limit: Limit | None = None
) -> Dataset:
    """The photos of a folder with their identities: from labels, else the folder each is in.

    Raises:
        DatasetError: the folder is not there, or no photo in it has an identity.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; give one with a folder for each person")
    source = FolderSource(folder)
    keys = sorted(entry.key for entry in source.entries() if source.probe(entry) != "not-read")
    if limit is not None:
        keys = _limited(keys, limit)
    found = [_label(key, labels) for key in keys]
    groups = {label.name: label.group for label in found if label.group}
    names = tuple(label.name for label in found)
    if labels and not any(names):
        raise DatasetError(
            f"{folder}: none of the {len(labels):,} labels names a photo in it, the first is "
            f"{next(iter(labels))!r}; a label's path counts from the folder"
        )
    if not any(names):
        raise DatasetError(
            f"{folder}: no photo in it shows a known person; put each person's photos into a "
            "folder of their name, or give --labels FILE.csv"
        )
    return Dataset(folder, tuple(keys), names, groups, limit)


def without_forgotten(dataset: Dataset, store: Store) -> Dataset:
    """The data set without the photos that a store has forgotten, whole or faces on them: another
    system numbers faces otherwise, so which face it was cannot be told there.

    Raises:
        StoreError: what the store has forgotten makes no sense.
    """
    forgotten = store.forgotten
    hashes = {*forgotten.photos, *forgotten.faces}
    sizes = {*forgotten.photos.values(), *_sizes(store, forgotten.faces)}
    kept = [
        number
        for number, key in enumerate(dataset.keys)
        if not hashes or not _is_among(dataset.folder / key, hashes, sizes)
    ]
    if len(kept) == len(dataset.keys):
        return dataset
    keys = tuple(dataset.keys[number] for number in kept)
    return replace(dataset, keys=keys, names=tuple(dataset.names[number] for number in kept))


def _sizes(store: Store, hashes: Collection[bytes]) -> Iterator[int]:
    """In bytes, of the photos with these hashes; 0 for one that the store does not have."""
    for each in hashes:
        rows = [store.files.of_content(row) for row in store.contents.with_hashes([each]).tolist()]
        yield next((int(store.files.size[files[0]]) for files in rows if len(files)), 0)


def _is_among(path: Path, hashes: Collection[bytes], sizes: Collection[int]) -> bool:
    """Whether a photo has one of the hashes; 0 among the sizes is any size."""
    try:
        return (0 in sizes or path.stat().st_size in sizes) and hash_file(path) in hashes
    except (OSError, PhotoError):
        return False  # nobody can embed it either, and who tries will say why


def _limited(keys: list[str], limit: Limit) -> list[str]:
    if limit.photos >= len(keys):
        return keys
    if limit.order == "path":
        return keys[: limit.photos]
    return sorted(random.Random(limit.seed).sample(keys, limit.photos))


def _label(key: str, labels: Mapping[str, Label] | None) -> Label:
    if labels is None:
        return Label(identity_of(PurePosixPath(key)))
    return identity(key, labels) or Label("")


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """A data set's photos in a store, in the data set's order.

    Attributes:
        keys: relative paths.
        names: whom each photo shows, "" for nobody known.
        person: (photos,) int64, a number for each name, -1 for nobody known.
        content: (photos,) int64, row of the store's content table; files with equal bytes share it.
        central: (photos,) int64, id of the most prominent face (or the whole photo's row), -1 where
            there is none.
        boxes: (faces, 4) float64, x, y, width, height; NaN for whole photos.
        first, last: (photos,) int64, the photo's faces have the ids ``first .. last - 1``.
        failed: (photos,) bool, whether the photo could not be read.
    """

    keys: tuple[str, ...]
    names: tuple[str, ...]
    person: Ints
    content: Ints
    central: Ints
    boxes: NDArray[np.float64]
    first: Ints
    last: Ints
    failed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def faces(self) -> Ints:
        """Ids of all faces of these photos, ascending."""
        ranges = [np.arange(a, b) for a, b in zip(self.first, self.last, strict=True)]
        return np.unique(np.concatenate([*ranges, np.zeros(0, np.int64)]))

    def box(self, face: int) -> FourNumbers | None:
        """(x, y, width, height) of a face, None for a whole photo or for no face."""
        if face < 0 or np.isnan(self.boxes[face]).any():
            return None
        x, y, width, height = (round(float(side), 2) for side in self.boxes[face])
        return x, y, width, height

    def identical(self) -> tuple[tuple[str, ...], ...]:
        """Groups of files with the same bytes, by path."""
        groups: dict[int, list[str]] = defaultdict(list)
        for key, content in zip(self.keys, self.content.tolist(), strict=True):
            groups[content].append(key)
        return tuple(sorted(tuple(group) for group in groups.values() if len(group) > 1))

    def select(self, photos: NDArray[np.bool_]) -> Enrolled:
        """The same store with those photos alone."""
        rows = np.flatnonzero(photos)
        return replace(
            self,
            keys=tuple(self.keys[row] for row in rows),
            names=tuple(self.names[row] for row in rows),
            **{
                name: getattr(self, name)[rows]
                for name in ("person", "content", "central", "first", "last", "failed")
            },
        )


def held_files(store: Store, folder: Path) -> dict[str, int]:
    """The store's files below ``folder``, by path relative to it -> row of the file table."""
    whole = os.path.abspath(folder)
    roots = [str(locations.whole(root.resolve(store.folder))) for root in store.roots]
    found = {}
    for row, (root, key) in enumerate(
        zip(store.files.root.tolist(), store.files.paths(), strict=True)
    ):
        path = PurePosixPath(roots[root], key)
        if path.is_relative_to(whole):
            found[path.relative_to(whole).as_posix()] = row
    return found


def enrol(store: Store, dataset: Dataset) -> Enrolled:
    """Finds the data set's photos in the store.

    Raises:
        StoreError: the store lacks some of them.
    """
    held = held_files(store, dataset.folder)
    lacking = [key for key in dataset.keys if key not in held]
    if lacking:
        raise StoreError(
            f"{store.path}: lacks {len(lacking):,} photos of {dataset.folder}, the first is "
            f"{lacking[0]}; index the folder again"
        )
    rows = np.array([held[key] for key in dataset.keys], np.int64)
    content = np.asarray(store.files.content)[rows]
    return Enrolled(
        keys=dataset.keys,
        names=dataset.names,
        person=dataset.person,
        content=content,
        central=_central(store)[content],
        boxes=np.asarray(store.faces.box, np.float64),
        first=store.contents.face_offsets[content],
        last=store.contents.face_offsets[content + 1],
        failed=np.asarray(store.contents.failed)[content],
    )


def _central(store: Store) -> Ints:
    """(contents,) id of each content's most prominent face, -1 where there is none."""
    contents, boxes = store.contents, np.asarray(store.faces.box, np.float64)
    central = np.full(len(contents), -1, np.int64)
    for row in np.flatnonzero(contents.face_counts):
        start, stop = contents.face_start(int(row)), contents.face_stop(int(row))
        central[row] = start
        if stop - start > 1:
            faces = _as_faces(boxes[start:stop])
            size = int(contents.width[row]), int(contents.height[row])
            central[row] += most_prominent(faces, *size)
    return central


def _as_faces(boxes: NDArray[np.float64]) -> Sequence[QueryFace]:
    return [QueryFace(number, Box(*map(float, box)), 1.0) for number, box in enumerate(boxes)]
