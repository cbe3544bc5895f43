"""Stores of photos with all that a gallery can hold, and what a query of both kinds must say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from facesearch.gallery import Search, Where
from facesearch.gallery.milvus.gallery import MilvusGallery
from facesearch.gallery.npz import NpzGallery
from facesearch.gallery.opening import open_gallery
from facesearch.records import Box, Face, Failure, PhotoEntry, PhotoResult
from facesearch.store import Root, Store, StoreWriter
from small_store import recipe, result_of_rows

ODD = "odd %41 \"quoted\" \\ 'name' \udce4\udcff\n ü 漢.jpg"


def rows(count: int, seed: int = 0) -> np.ndarray:
    """Unit rows."""
    made = np.random.default_rng(seed).normal(size=(count, 128))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def write_store(path: Path, photos: int = 60, seed: int = 0, skip: int = 0) -> Store:
    """Photos of several people in two roots, with copies, failures, photos without a face, faces
    without landmarks, odd names, and times; those numbered below ``skip`` are left out.
    """
    rng = np.random.default_rng(seed)
    with StoreWriter.open(path, recipe()) as writer:
        writer.set_roots([Root("/photos/People", "People"), Root("/photos/one.jpg", "one.jpg")])
        writer.set_options({"exclude": ["*.tmp"], "max_pixels": 1000})
        for number in range(photos):
            made = _result(number, rows(int(rng.integers(0, 4)), seed * 1000 + number), rng)
            folder = f"P{number % 7}/{number % 3}"
            keys = [f"{folder}/{number}.jpg"]
            if number % 10 == 3:
                keys.append(f"P{(number + 1) % 7}/copy of {number}.jpg")
            if number == 5:
                keys.append(ODD)
            for key in keys:
                if number >= skip:
                    writer.put((0, PhotoEntry(key, number + 1, (number << 40) + 7)), made)
        writer.put((1, PhotoEntry("", 9, 9)), result_of_rows("one", rows(2, 999)))
        writer.finish()
        return writer.store


def _result(number: int, own: np.ndarray, rng: np.random.Generator) -> PhotoResult:
    result = result_of_rows(f"photo {number}", own)
    if number % 9 == 8:
        failure = Failure("", "damaged", f"cannot be \udce4 decoded\n({number})")
        hashed = b"" if number % 2 else result.content_hash
        return PhotoResult(hashed, None, (), rows(0), failure)
    faces = tuple(
        Face(
            Box(*rng.uniform(0, 90, 4).tolist()),
            () if index else tuple((x, x / 3) for x in rng.uniform(0, 90, 5).tolist()),
            float(rng.uniform()),
            float(rng.uniform(0, 500)),
        )
        for index in range(len(own))
    )
    taken = f"20{number % 30:02d}-0{number % 9 + 1}-11T10:00:00" if number % 4 else ""
    facts = dataclasses.replace(
        result.facts, taken=taken, camera="a b\x00ü", scale=1 / 3, frames=number % 3 + 1
    )
    return dataclasses.replace(result, faces=faces, facts=facts)


def answers(name: object, asked: np.ndarray, search: Search) -> object:
    """All that a gallery says of a query."""
    gallery = name if isinstance(name, (MilvusGallery, NpzGallery)) else open_gallery(name)
    gallery.require(search.where)
    names = [f"query {number}" for number in range(len(asked))]
    return gallery.search(asked, names, search), gallery.size(search.where), gallery.undated()


SEARCHES = [
    Search(5),
    Search(5, "face"),
    Search(None),
    Search(None, "face"),
    Search(1),
    Search(500),
    Search(7, where=Where(max_distance=1.38)),
    Search(7, where=Where(under=("P1", "/photos/People/P2/0"))),
    Search(None, where=Where(under=("/photos/People/P3",))),
    Search(None, where=Where(under=("/photos/one.jpg",))),
    Search(None, where=Where(under=(ODD,))),
    Search(None, where=Where(since="2010", until="2019-05")),
    Search(None, where=Where(since="2019-05-11T10:00:00")),
    Search(None, where=Where(until="2003")),
    Search(None, where=Where(persons=("1", "P4"))),
    Search(None, where=Where(persons=("2",), under=("P2",), since="2001")),
    Search(6, where=Where(exclude=frozenset({bytes.fromhex("00" * 32)}))),
]
