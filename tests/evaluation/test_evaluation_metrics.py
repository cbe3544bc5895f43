"""Measures against cases computed by hand and against their plain definitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import average_precision_score

from facesearch.evaluation import metrics
from facesearch.results import Curve

bools = arrays.arrays(np.bool_, st.integers(1, 40))
distances = st.integers(0, 12).map(lambda number: number / 4)


def test_average_precision_by_hand():
    # Mates at ranks 1 and 4, of three: (1/1 + 2/4) / 3.
    assert metrics.average_precision(np.array([1, 0, 0, 1, 0], bool), 3) == pytest.approx(0.5)


def test_average_precision_of_nothing_found_is_zero():
    assert metrics.average_precision(np.zeros(5, bool), 2) == 0
    assert metrics.average_precision(np.zeros(0, bool), 2) == 0


@given(bools, st.integers(0, 3))
def test_average_precision_is_the_mean_of_precisions_at_mates(hits, lost):
    mates = max(1, int(hits.sum()) + lost)
    plain = sum(hits[: rank + 1].mean() for rank in np.flatnonzero(hits)) / mates
    assert metrics.average_precision(hits, mates) == pytest.approx(plain)
    if hits.any() and not lost:
        whole = average_precision_score(hits, -np.arange(len(hits)))
        assert metrics.average_precision(hits, mates) == pytest.approx(whole)


def test_recall_counts_mates_that_cannot_be_found():
    hits = np.array([1, 0, 1, 1], bool)
    assert metrics.recall_at(hits, 5, 3) == pytest.approx(2 / 5)


def test_cumulative_match_by_hand():
    assert metrics.cumulative_match([1, 3, None, 2], 3) == (0.25, 0.5, 0.75)


def test_interval_over_people_draws_people_and_not_probes():
    # One person of a hundred right probes, one of a single wrong one.
    values = np.array([1.0] * 100 + [0.0])
    person = np.array([0] * 100 + [1])
    measure = metrics.by_people(values, person, 0)
    assert measure.value == pytest.approx(100 / 101)
    assert measure.low == 0 and measure.high == 1


def test_a_single_person_has_no_interval():
    measure = metrics.by_people(np.array([1.0, 0.0]), np.array([3, 3]), 0)
    assert (measure.value, measure.low, measure.high) == (0.5, None, None)


def test_equal_systems_do_not_differ():
    values = np.random.default_rng(0).random(30)
    same = metrics.paired_by_people(values, values, np.arange(30), 0)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_a_small_but_steady_difference_is_told_from_chance():
    draws = np.random.default_rng(0)
    first = draws.random(200)
    better = metrics.paired_by_people(first, first + 0.01, np.arange(200), 0)
    assert better.low > 0
    alone = metrics.by_people(first, np.arange(200), 0)
    assert alone.high - alone.low > 0.05


def test_roc_and_area_by_hand():
    far = np.array([0.1, 0.2, 0.3, 0.4])
    same = np.array([True, False, True, False])
    # Of the four (mate, stranger) couples three are in order.
    assert metrics.area_under(far, same) == pytest.approx(0.75)
    curve = metrics.roc(far, same)
    assert (curve.x, curve.y) == ((0, 0, 0.5, 0.5, 1), (0, 0.5, 0.5, 1, 1))


def test_a_face_that_was_not_found_is_the_farthest_of_all():
    same = np.array([True, True, False, False])
    with_missing = np.array([0.1, np.inf, 0.5, 0.6])
    # The missing mate ranks after both strangers: 2 of 4 couples are in order.
    assert metrics.area_under(with_missing, same) == pytest.approx(0.5)


def test_equal_error_rate_by_hand():
    assert metrics.equal_error_rate(Curve((0, 0, 1), (0, 1, 1))) == 0
    assert metrics.equal_error_rate(Curve((0, 1), (0, 1))) == pytest.approx(0.5)
    assert metrics.equal_error_rate(Curve((0, 0.2, 1), (0, 0.8, 1))) == pytest.approx(0.2)


@given(st.lists(st.tuples(distances, st.booleans()), min_size=2, max_size=40))
def test_true_accepts_are_the_best_that_a_false_accept_rate_allows(pairs):
    far = np.array([distance for distance, _ in pairs])
    same = np.array([mate for _, mate in pairs])
    if same.all() or not same.any():
        return
    for rate in (0.0, 0.1, 0.5):
        best = 0.0
        for threshold in [-1.0, *far]:
            if (far[~same] <= threshold).mean() <= rate:
                best = max(best, float((far[same] <= threshold).mean()))
        assert metrics.true_accepts_at(metrics.roc(far, same), rate) == pytest.approx(best)


@given(st.lists(st.tuples(distances, st.booleans()), min_size=1, max_size=40))
def test_no_threshold_is_right_more_often_than_the_best(pairs):
    far = np.array([distance for distance, _ in pairs])
    same = np.array([mate for _, mate in pairs])

    def right(threshold):
        return ((far <= threshold) == same).mean()

    best = metrics.best_threshold(far, same)
    assert right(best) == pytest.approx(max(right(t) for t in [-1.0, *far, *(far + 0.01)]))


def test_a_threshold_lies_halfway_and_is_finite():
    assert metrics.best_threshold(np.array([0.2, 0.6]), np.array([True, False])) == 0.4
    assert metrics.best_threshold(np.array([0.2, np.inf]), np.array([True, False])) == 0.2


@given(st.lists(distances, min_size=1, max_size=40), st.sampled_from([0.0, 0.05, 0.1, 0.5, 1.0]))
def test_strangers_below_the_threshold_are_as_few_as_allowed(strangers, share):
    far = np.array(strangers)
    threshold = metrics.threshold_at(far, share)
    assert (far < threshold).mean() <= share + 1e-9
    larger = [other for other in [*far, np.inf] if other > threshold]
    if larger:  # the next threshold would let too many in
        assert (far < min(larger)).mean() > share


def test_missed_and_det_by_hand():
    mated = np.array([0.1, 0.3, 0.9, np.inf])
    strangers = np.array([0.2, 0.5, 0.8, 1.0, np.inf])
    assert metrics.missed_at(mated, 0.5) == 0.5
    curve = metrics.detection_error_tradeoff(mated, strangers)
    assert curve.x == (0, 0.2, 0.4, pytest.approx(0.6))
    assert curve.y == (0.75, 0.5, 0.5, 0.25)


@settings(max_examples=50)
@given(st.lists(distances, min_size=1, max_size=30), st.lists(distances, min_size=1, max_size=30))
def test_det_follows_its_definition(mated, strangers):
    mates, others = np.array(mated), np.array(strangers)
    curve = metrics.detection_error_tradeoff(mates, others)
    for threshold, false, missed in zip(np.unique(others), curve.x, curve.y, strict=True):
        assert false == pytest.approx((others < threshold).mean())
        assert missed == pytest.approx((~(mates < threshold)).mean())


@given(st.lists(st.tuples(distances, st.booleans()), min_size=2, max_size=40))
def test_a_thinned_curve_is_the_same_line(pairs):
    far = np.array([distance for distance, _ in pairs])
    same = np.array([mate for _, mate in pairs])
    if same.all() or not same.any():
        return
    whole = metrics.roc(far, same)
    thin = metrics.thinned(whole)
    line = list(zip(thin.x, thin.y, strict=True))
    for point in zip(whole.x, whole.y, strict=True):
        assert any(between(start, point, end) for start, end in itertools.pairwise(line))


def between(start, point, end):
    """Whether a point lies on the way from start to end."""
    along = [np.subtract(each, start) for each in (point, end)]
    cross = along[0][0] * along[1][1] - along[0][1] * along[1][0]
    low, high = np.minimum(start, end) - 1e-6, np.maximum(start, end) + 1e-6
    return bool(abs(cross) < 1e-6 and (low <= point).all() and (point <= high).all())


def test_thinning_keeps_both_ends():
    many = Curve(tuple(np.linspace(0, 1, 6001).tolist()), tuple(np.linspace(0, 1, 6001).tolist()))
    thin = metrics.thinned(many)
    assert len(thin.x) < 500
    assert (thin.x[0], thin.x[-1], thin.y[-1]) == (0, 1, 1)
