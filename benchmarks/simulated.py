"""Galleries of any size, sampled from what the faces of a real store are like.

People lie around one mean as the people of the store do, and a person's photos around the person as
theirs do: some people are more alike from photo to photo than others, and most have few photos.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from benchmarks.processes import BenchmarkError
from facesearch.store import Store

_PEOPLE_AT_ONCE = 8192
_ENOUGH_PHOTOS = 4
"""Of people with fewer nothing is said about how much their photos differ."""


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """What was fitted. ``between`` and ``within`` are (dim, dim) square roots of the covariance of
    people and of the photos of one; ``counts`` are photos a person, ``scatter`` how much the photos
    of a person differ, over the mean of everybody's: both are drawn from as they are.
    """

    mean: np.ndarray
    between: np.ndarray
    within: np.ndarray
    counts: np.ndarray
    scatter: np.ndarray

    @property
    def dim(self) -> int:
        return len(self.mean)

    def sizes(self, faces: int, seed: int) -> np.ndarray:
        """Photos of each person, ``faces`` in all."""
        rng = np.random.default_rng((seed, 0))
        drawn = rng.choice(self.counts, faces)
        ends = np.minimum(np.cumsum(drawn), faces)
        people = int(np.searchsorted(ends, faces)) + 1
        return np.diff(ends[:people], prepend=0)

    def photos(self, sizes: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The rows of all photos, some people at a time, and one more photo of each of them."""
        rng = np.random.default_rng((seed, 1))
        for start in range(0, len(sizes), _PEOPLE_AT_ONCE):
            here = sizes[start : start + _PEOPLE_AT_ONCE]
            people = self.mean + _normal(rng, len(here), self.between)
            spread = np.sqrt(rng.choice(self.scatter, len(here)))[:, None].astype(np.float32)
            whose = np.repeat(np.arange(len(here)), here)
            rows = people[whose] + spread[whose] * _normal(rng, len(whose), self.within)
            yield _unit(rows), _unit(people + spread * _normal(rng, len(here), self.within))


def _normal(rng: np.random.Generator, count: int, root: np.ndarray) -> np.ndarray:
    return rng.standard_normal((count, len(root)), np.float32) @ root


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Rows (n, dim) and whose they are, (n,) numbers from 0."""

    rows: np.ndarray
    person: np.ndarray


def labelled(store: Store) -> Labelled:
    """The photos of a store that show one face each; people are their folders.

    Raises:
        BenchmarkError: nobody has several.
    """
    contents, files = store.contents, store.files
    faces, names = [], []
    for path, content in zip(files.paths(), files.content.tolist(), strict=True):
        if contents.face_stop(content) - contents.face_start(content) == 1:
            faces.append(contents.face_start(content))
            names.append(PurePosixPath(path).parent.as_posix())
    _, person = np.unique(names, return_inverse=True)
    if not len(person) or np.bincount(person).max() < _ENOUGH_PHOTOS:
        raise BenchmarkError(f"{store.path}: people need folders with several photos each")
    return Labelled(store.embeddings(faces), person)


def fit(known: Labelled) -> People:
    """Mean, covariance of people, covariance and scatter of the photos of one."""
    rows, person = known.rows.astype(np.float64), known.person
    counts = np.bincount(person)
    means = np.zeros((len(counts), rows.shape[1]))
    np.add.at(means, person, rows)
    means /= counts[:, None]
    off = rows - means[person]
    within = off.T @ off / (len(rows) - len(counts))
    # A mean of few photos is itself off by a share of what they differ.
    between = np.cov(means.T) - within * np.mean(1 / counts)
    enough = np.flatnonzero(counts >= _ENOUGH_PHOTOS)
    squares = np.bincount(person, np.square(off).sum(axis=1))[enough]
    scatter = squares / (counts[enough] - 1) / np.trace(within)
    return People(
        means.mean(axis=0).astype(np.float32), _root(between), _root(within), counts, scatter
    )


def _root(covariance: np.ndarray) -> np.ndarray:
    """(dim, dim) so that standard normal rows times it have the covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))).T, np.float32)
