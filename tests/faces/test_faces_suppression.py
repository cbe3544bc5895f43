import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from facesearch.faces.suppression import BLOCK, best_first, suppress


def _overlap(a: np.ndarray, b: np.ndarray, of_smaller: bool) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    one, other = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return float(shared / (min(one, other) if of_smaller else one + other - shared))


def _plainly(rows: np.ndarray, threshold: float, of_smaller: bool) -> list[list[float]]:
    order = np.argsort(rows[:, 4])[::-1]
    kept = []
    for place, index in enumerate(order):
        overlaps = [_overlap(rows[better], rows[index], of_smaller) for better in order[:place]]
        assume(all(abs(overlap - threshold) > 1e-4 for overlap in overlaps))
        if all(overlap <= threshold for overlap in overlaps):
            kept.append(rows[index].tolist())
    return kept


_boxes = st.tuples(
    st.integers(0, 40), st.integers(0, 40), st.integers(1, 30), st.integers(1, 30),
    st.floats(0.6, 1),
).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3], b[4]))  # fmt: skip


@given(
    st.lists(_boxes, max_size=12, unique_by=lambda box: box[4]),
    st.sampled_from([0.3, 0.5, 0.7]),
    st.booleans(),
)
def test_it_keeps_what_the_definition_keeps(
    boxes: list[tuple[float, ...]], threshold: float, of_smaller: bool
) -> None:
    rows = np.array(boxes, float).reshape(-1, 5)

    kept = suppress(best_first(rows), threshold, of_smaller=of_smaller)

    assert kept.tolist() == _plainly(rows, threshold, of_smaller)


def test_a_dropped_box_still_drops_others() -> None:
    chain = np.array([[0, 0, 10, 10, 0.9], [3, 0, 13, 10, 0.8], [6, 0, 16, 10, 0.7]])

    assert suppress(chain, 0.5).tolist() == chain[:1].tolist()


@given(
    st.lists(st.tuples(_boxes, st.integers(0, 3)), max_size=15, unique_by=lambda item: item[0][4]),
    st.sampled_from([0.3, 0.5, 0.7]),
)
def test_boxes_apart_are_taken_as_if_each_lot_were_alone(
    boxes: list[tuple[tuple[float, ...], int]], threshold: float
) -> None:
    rows = best_first(np.array([(*box, lot) for box, lot in boxes], float).reshape(-1, 6))

    together = suppress(rows, threshold, apart=rows[:, 5])

    alone = [suppress(rows[rows[:, 5] == lot], threshold) for lot in range(4)]
    assert together.tolist() == best_first(np.concatenate(alone)).tolist()


@pytest.mark.parametrize("of_smaller", [False, True])
@pytest.mark.parametrize("equal", [False, True])
def test_many_boxes_and_equal_scores_are_taken_as_by_the_package(
    of_smaller: bool, equal: bool
) -> None:
    random = np.random.default_rng(3)
    corners = random.uniform(0, 300, (2 * BLOCK + 7, 2))
    rows = np.column_stack([corners, corners + random.uniform(10, 60, corners.shape)])
    scores = random.uniform(0.6, 1, len(rows))
    rows = np.column_stack([rows, scores.round(1) if equal else scores])

    from mtcnn.utils.bboxes import smart_nms_from_bboxes

    method = "min" if of_smaller else "union"
    package = smart_nms_from_bboxes(np.insert(rows, 0, 0, axis=1), 0.4, method=method)

    kept = suppress(best_first(rows), 0.4, of_smaller=of_smaller)
    np.testing.assert_array_equal(kept, package[:, 1:])
