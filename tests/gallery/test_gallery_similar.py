"""Photos of one moment become one line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.gallery import Look, Search
from facesearch.gallery.npz import NpzGallery
from facesearch.gallery.similar import COPY, NEAR, fold
from facesearch.records import Box, Neighbor
from small_store import store_of_rows

NOON = "2019-05-04T12:00:"


def near(rank, taken="", distance=0.5, **changes):
    facts = {
        "root": "/",
        "relative_path": "a",
        "also": (),
        "face": 1,
        "similarity": 0.8,
        "box": Box(1, 2, 3, 4),
        "width": 400,
        "height": 300,
        "score": 1.0,
        "example": "me.jpg",
        **changes,
    }
    return Neighbor(
        rank=rank, id=f"{rank:016x}-1", path=f"/{rank}", distance=distance, taken=taken, **facts
    )


def look(pixels, away=0.0):
    """A face at this distance from that of ``look(..., 0)``."""
    cosine = 1 - away**2 / 2
    row = np.array([cosine, np.sqrt(max(0, 1 - cosine**2))], np.float32)
    return Look(bytes([pixels]), row)


def lines(*answers):
    """(path, paths folded into it) of each line."""
    folded = fold([each for each, _ in answers], [each for _, each in answers])
    assert [each.rank for each in folded] == list(range(1, len(folded) + 1))
    return [(each.path, tuple(other.path for other in each.similar)) for each in folded]


def test_equal_pixels_are_one_line_whatever_else_is_known():
    other_time = near(2, "2001-01-01T00:00:00", box=None, similarity=None)
    assert lines((near(1, NOON + "00"), look(7)), (other_time, look(7, 1.9))) == [("/1", ("/2",))]


@pytest.mark.parametrize(
    ("second", "away", "together"),
    [
        ("10", NEAR - 0.01, True),
        ("11", 0.0, False),
        ("00", NEAR + 0.01, False),
    ],
)
def test_a_burst(second, away, together):
    found = lines((near(1, NOON + "00"), look(1)), (near(2, NOON + second), look(2, away)))
    assert found == ([("/1", ("/2",))] if together else [("/1", ()), ("/2", ())])


@pytest.mark.parametrize("times", [("", ""), (NOON + "00", ""), ("", NOON + "00")])
@pytest.mark.parametrize(
    ("away", "size", "together"),
    [
        (COPY - 0.01, (800, 600), True),
        (COPY - 0.01, (200, 151), True),
        (COPY - 0.01, (300, 400), False),
        (COPY + 0.01, (400, 300), False),
    ],
)
def test_a_copy_that_lost_its_time(times, away, size, together):
    copy = near(2, times[1], width=size[0], height=size[1])
    found = lines((near(1, times[0]), look(1)), (copy, look(2, away)))
    assert len(found) == (1 if together else 2)


def test_whole_photos_and_long_rows_join_by_pixels_alone():
    for changes in ({"box": None}, {"similarity": None}):
        pair = [near(rank, NOON + "00", **changes) for rank in (1, 2)]
        assert len(lines((pair[0], look(1)), (pair[1], look(2)))) == 2


def test_a_line_is_measured_by_its_first_photo():
    chain = [(near(rank, f"{NOON}{8 * rank:02}"), look(rank)) for rank in (1, 2, 3)]
    assert lines(*chain) == [("/1", ("/2",)), ("/3", ())]


def test_a_time_that_is_none_stands_for_nothing():
    odd = near(2, "yesterday")
    assert len(lines((near(1, NOON + "00"), look(1)), (odd, look(2, 0.1)))) == 1
    assert len(lines((near(1, NOON + "00"), look(1)), (odd, look(2, 0.5)))) == 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 59), st.floats(0, 1.2)), min_size=1, max_size=20
    )
)
def test_nothing_is_lost_and_nothing_comes_twice(photos):
    photos = sorted(photos, key=lambda each: each[2])
    answers = [
        (near(rank, f"{NOON}{second:02}", distance=away), look(pixels, away))
        for rank, (pixels, second, away) in enumerate(photos, start=1)
    ]
    found = [path for first, others in lines(*answers) for path in (first, *others)]
    assert sorted(found) == sorted(each.path for each, _ in answers)


def test_looks_of_a_store(tmp_path):
    rows = np.eye(4, dtype=np.float32)
    photos = [("a", rows[:2]), ("b", rows[2:3]), ("c=b", rows[2:3]), ("d", rows[3:])]
    gallery = NpzGallery(store_of_rows(tmp_path / "s.npz", photos, batch=2, finish=False))
    found = gallery.search(rows[1:2], ["q"], Search(k=None))
    looks = gallery.looks(found)
    assert len(found) == 3
    for neighbor, each in zip(found, looks, strict=True):
        assert each.row == pytest.approx(rows[{"a": 1, "b": 2, "d": 3}[neighbor.path[-1]]])
        assert neighbor.id.startswith(each.pixels.hex()[:16])
    assert gallery.looks(()) == []
