"""Rows of one moment, and rows in order of time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from facesearch import querying
from facesearch.errors import UsageError
from facesearch.gallery import Look
from facesearch.querying import QueryOptions
from facesearch.recipes import Recipe
from facesearch.records import Box, Coverage, Neighbor, StoreSummary
from small_store import RED, ColorEmbedder, draw, recipe

BURST = 12


class Bursts:
    """A gallery of moments, ``BURST`` photos each, ever farther away."""

    recipe: Recipe = recipe()

    def __init__(self, moments=20):
        self.fetched = []
        self._all = [
            Neighbor(
                rank=0,
                id=f"{n:016x}-1",
                path=f"/{n // BURST}-{n % BURST}",
                root="/",
                relative_path=f"{n}",
                also=(),
                face=1,
                distance=n / 100,
                similarity=0.5,
                box=Box(0, 0, 5, 5),
                width=9,
                height=9,
                taken=f"2019-05-04T12:{59 - n // BURST:02}:00" if n // BURST else "",
                score=1.0,
                example="q",
            )
            for n in range(moments * BURST)
        ]

    def summary(self):
        return StoreSummary("s", "facenet", "a", "b", 128)

    def coverage(self):
        return Coverage(1, 1, 0, 0, 0, "")

    def require(self, where):
        pass

    def warm_up(self):
        pass

    def undated(self):
        return 0

    def size(self, where):
        return len(self._all)

    def looks(self, neighbors):
        rows = np.eye(64, dtype=np.float32)
        return [
            Look(near.id.encode(), rows[int(near.path[1:].split("-")[0])]) for near in neighbors
        ]

    def search(self, embeddings, examples, search):
        self.fetched.append(search.k)
        found = self._all[: search.k]
        return tuple(dataclasses.replace(near, rank=n) for n, near in enumerate(found, start=1))


def ask(gallery, photo, **options):
    report = querying.query(gallery, ColorEmbedder(), [("me.png", photo)], QueryOptions(**options))
    return report.results[0]


@pytest.fixture
def photo(tmp_path):
    return str(draw(tmp_path / "me.png", {RED: (30, 20, 40, 40)}))


def test_k_counts_rows(photo):
    found = ask(Bursts(), photo, k=3, group="similar").neighbors
    assert [near.path for near in found] == ["/0-0", "/1-0", "/2-0"]
    assert [near.rank for near in found] == [1, 2, 3]
    # As many as were looked for: of the last one too.
    assert [len(near.similar) for near in found] == [BURST - 1] * 3


def test_no_more_is_fetched_than_needed(photo):
    gallery = Bursts(moments=40)
    ask(gallery, photo, k=3, group="similar")
    assert gallery.fetched == [3, 12, 48]
    gallery.fetched.clear()
    assert len(ask(gallery, photo, k=None, group="similar").neighbors) == 40
    assert gallery.fetched == [None]


def test_fewer_rows_than_asked_for(photo):
    assert len(ask(Bursts(moments=2), photo, k=9, group="similar").neighbors) == 2


def test_by_date_the_undated_come_last_and_ranks_stay(photo):
    result = ask(Bursts(moments=4), photo, k=9, group="similar", sort="date")
    assert result.by_date
    assert [near.path for near in result.neighbors] == ["/3-0", "/2-0", "/1-0", "/0-0"]
    assert [near.rank for near in result.neighbors] == [4, 3, 2, 1]


def test_faces_are_not_grouped(photo):
    with pytest.raises(UsageError, match="--by face"):
        ask(Bursts(), photo, by="face", group="similar")


def test_a_gallery_that_cannot_group_says_so_first(photo):
    class Engine(Bursts):
        def looks(self, neighbors):
            raise UsageError("needs a store file")

    gallery = Engine()
    with pytest.raises(UsageError, match="store file"):
        ask(gallery, photo, group="similar")
    assert gallery.fetched == []
