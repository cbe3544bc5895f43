"""Files of several segments in one order, however they are cut and wherever they are looked up."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.errors import StoreError
from facesearch.store import ordering
from facesearch.store.columns import Joined, take_ranges
from facesearch.store.files import _ByContent
from facesearch.store.ordering import find_rows, first_disorder, newest_first

PATHS = st.one_of(
    st.sampled_from([b"", b"a", b"a/b", b"a.b", b"\xff", b"a" * 9, b"a" * 300]),
    st.binary(max_size=6).map(lambda raw: raw.replace(b"\0", b"1")),
)
KEYS = st.tuples(st.sampled_from([0, 1, 255, 256, 70_000]), PATHS)
RUNS = st.lists(st.sets(KEYS, max_size=40).map(sorted), min_size=1, max_size=4)


@dataclass
class Listed:
    """A run of plain keys."""

    held: Sequence[tuple[int, bytes]]

    def __len__(self) -> int:
        return len(self.held)

    def key(self, row: int) -> tuple[int, bytes]:
        return self.held[row]

    def keys(self, start: int, stop: int):
        part = self.held[start:stop]
        text = np.frombuffer(b"".join(path for _, path in part), np.uint8)
        lengths = np.array([len(path) for _, path in part], np.int64)
        return np.array([root for root, _ in part], np.int32), lengths, text

    def disorder(self) -> StoreError:
        return StoreError("out of order")


@pytest.fixture(params=[(3, 1 << 20, 256), (5, 8, 256), (4, 1 << 20, 1), (1 << 15, 1 << 20, 256)])
def _sizes(request, monkeypatch):
    """Short stretches, keys too long to pad, and rows looked up one by one."""
    for name, value in zip(("_STRETCH", "_KEY_BYTES", "_FEW"), request.param, strict=True):
        monkeypatch.setattr(ordering, name, value)


@pytest.mark.usefixtures("_sizes")
def test_the_first_run_that_has_a_file_gives_it():
    @settings(max_examples=120, deadline=None)
    @given(RUNS)
    def check(runs):
        expected = {}
        number = 0
        for run in runs:
            for key in run:
                expected.setdefault(key, number)
                number += 1
        found = newest_first([Listed(run) for run in runs])
        assert found.tolist() == [expected[key] for key in sorted(expected)]

    check()


@pytest.mark.usefixtures("_sizes")
def test_rows_are_found_where_they_are():
    @settings(max_examples=120, deadline=None)
    @given(st.sets(KEYS, max_size=60).map(sorted), st.sets(KEYS, max_size=60).map(sorted))
    def check(wanted, held):
        places = {key: row for row, key in enumerate(held)}
        found = find_rows(Listed(wanted), Listed(held))
        assert found.tolist() == [places.get(key, -1) for key in wanted]

    check()


def test_many_files_of_one_run_and_few_of_another():
    large = [(0, b"%06d" % number) for number in range(0, 200_000, 2)]
    small = [(0, b"%06d" % number) for number in (0, 1, 99_999, 100_000, 199_999)] + [(1, b"")]
    found = newest_first([Listed(small), Listed(large)])
    joined = [*small, *large]
    assert [joined[number] for number in found.tolist()] == sorted({*small, *large})
    assert found[0] == 0  # the small one came first
    places = find_rows(Listed(small), Listed(large)).tolist()
    assert places == [0, -1, -1, 50_000, -1, -1]


def test_what_is_not_sorted_is_damaged(monkeypatch):
    right = [(0, b"%03d" % number) for number in range(50)]
    with pytest.raises(StoreError, match="out of order"):
        newest_first([Listed(right), Listed([*right[:20], right[40], *right[21:40]])])
    monkeypatch.setattr(ordering, "_STRETCH", 8)
    with pytest.raises(StoreError, match="out of order"):
        newest_first([Listed(right[::-1]), Listed(right[::-1])])


@pytest.mark.usefixtures("_sizes")
@pytest.mark.parametrize("row", [1, 2, 3, 4, 7, 48])
def test_the_first_row_out_of_order(row):
    right = [(0, b"%03d" % number) for number in range(50)]
    assert first_disorder(Listed(right)) is None
    assert first_disorder(Listed([*right[:row], right[row - 1], *right[row:]])) == row
    assert first_disorder(Listed([])) is None


@given(st.lists(st.integers(0, 12), max_size=40), st.integers(0, 13))
def test_files_by_content_whatever_the_order(values, ordered):
    content = np.array(values, np.int64)
    table = _ByContent(content, ordered)
    for value in range(-1, 14):
        assert table.rows(value).tolist() == np.flatnonzero(content == value).tolist()


@pytest.mark.parametrize("step", [1, 7])
def test_files_by_content_over_several_pieces(monkeypatch, step):
    monkeypatch.setattr("facesearch.store.columns.ROWS_AT_ONCE", step)
    content = np.array([0, 1, 1, 3, 0, 4, 90, 5, 91, 3, 6], np.int64)
    for ordered in (7, 100):
        table = _ByContent(content, ordered)
        for value in (0, 1, 2, 3, 4, 5, 6, 7, 90, 91):
            assert table.rows(value).tolist() == np.flatnonzero(content == value).tolist()


def test_what_is_asked_of_few_rows_is_what_the_columns_say(photos, tmp_path):
    keys = [f"{number:02}" for number in range(30)]
    store = photos.build(tmp_path / "s.npz", keys, single_file_bytes=64)
    with photos.open(tmp_path / "s.npz", single_file_bytes=64) as writer:
        photos.fill(writer, ["new 1", "new 2", "05"])
        writer.link(0, photos.entry("zz"), 3)
        writer.finish()
        store = writer.store
    assert len(store.segments) > 1
    contents, faces, files = store.contents, store.faces, store.files
    for content in range(len(contents)):
        facts = contents.facts(content)
        assert facts.hash == contents.hash[content].tobytes()
        assert (facts.width, facts.height) == (contents.width[content], contents.height[content])
        assert facts.taken == contents.taken(content)
        assert contents.face_start(content) == contents.face_offsets[content]
        assert contents.face_stop(content) == contents.face_offsets[content + 1]
        expected = np.flatnonzero(files.content == content)
        assert files.of_content(content).tolist() == expected.tolist()
    assert faces.content_of(range(len(faces))).tolist() == faces.content.tolist()
    assert faces.spread(contents.live).tolist() == contents.live[faces.content].tolist()
    for face in range(len(faces)):
        told = faces.facts(face)
        assert told.content == faces.content[face]
        assert told.number == faces.number(face) == face - contents.face_start(told.content) + 1
        assert list(told.box) == faces.box[face].tolist()
        assert told.score == faces.score[face]
    with pytest.raises(IndexError):
        Joined(store.segments, "faces").place(len(faces))
    paths = list(files.paths())
    assert [files.path(row) for row in range(len(files))] == paths
    numbers = files.numbers(np.arange(len(files)))
    lengths, text = files.table.texts("path", numbers)
    ends = np.cumsum(lengths)
    pieces = [text[b - n : b].tobytes() for n, b in zip(lengths, ends, strict=True)]
    assert [os.fsdecode(piece) for piece in pieces] == paths


def test_ranges():
    taken = take_ranges(np.array([5, 0, 9]), np.array([2, 0, 3]))
    assert taken.tolist() == [5, 6, 9, 10, 11]
    assert take_ranges(np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []
