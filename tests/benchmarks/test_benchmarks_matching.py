import numpy as np
import pytest
from benchmarks.matching import boxes_of_peer, found_too, matches, overlaps
from hypothesis import given
from hypothesis import strategies as st

sides = st.floats(1, 100)
boxes = st.lists(st.tuples(sides, sides, sides, sides), max_size=6).map(
    lambda rows: np.array(rows, float).reshape(-1, 4)
)


def test_overlap_over_union_by_hand():
    first = np.array([[0, 0, 10, 10.0]])
    second = np.array([[0, 0, 10, 10.0], [5, 0, 10, 10], [20, 20, 5, 5]])
    assert overlaps(first, second) == pytest.approx(np.array([[1.0, 50 / 150, 0.0]]))


def test_each_box_is_in_one_pair():
    wanted = np.array([[0, 0, 10, 10.0], [1, 0, 10, 10]])
    assert matches(wanted, wanted[:1]) == 1
    assert matches(wanted[:1], wanted) == 1
    assert matches(wanted, wanted) == 2


@given(boxes, boxes)
def test_matches_do_not_depend_on_who_is_asked(first, second):
    assert matches(first, second) == matches(second, first) <= min(len(first), len(second))
    assert matches(first, first) == len(first)


def test_a_photo_without_any_face_found_counts_its_faces_as_wanted():
    one = np.array([[0, 0, 10, 10.0]])
    assert found_too({"a": one, "b": one}, {"a": one, "c": one}) == (1, 2)


def test_a_peers_boxes_come_by_photo(tmp_path):
    np.savez(tmp_path / "p.npz", photo=[0, 0, 2], box=np.arange(12.0).reshape(3, 4),
             path=[str(tmp_path / "x" / name) for name in ("a", "b", "c")])  # fmt: skip
    found = boxes_of_peer(tmp_path / "p.npz", tmp_path / "x")
    assert {key: len(rows) for key, rows in found.items()} == {"a": 2, "b": 0, "c": 1}
    assert found["c"].tolist() == [[8.0, 9.0, 10.0, 11.0]]
