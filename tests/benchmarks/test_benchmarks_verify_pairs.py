"""The pairs that ``verify`` is asked about, and how its answers are counted."""

from __future__ import annotations

from collections import Counter

import pytest
from benchmarks.verify_pairs import figures, sample, share

from facesearch.datasets import LfwPhoto, Pair


def test_half_of_a_sample_is_of_one_person_and_it_reaches_over_the_file():
    pairs = [
        Pair(LfwPhoto("A", 1), LfwPhoto("A" if same else "B", 2), fold)
        for fold in range(10)
        for same in [True] * 30 + [False] * 30
    ]
    found = sample(pairs, 60)
    assert Counter(pair.same for pair in found) == {True: 30, False: 30}
    assert {pair.fold for pair in found} == set(range(10))


def test_no_answer_counts_as_called_different():
    same = [True, True, True, False, False]
    found = figures(same, [True, None, False, True, None])
    assert (found["true_accepts"]["count"], found["true_accepts"]["of"]) == (1, 3)
    assert (found["false_accepts"]["count"], found["false_accepts"]["of"]) == (1, 2)
    assert found["without_answer"] == 2


def test_wilson_intervals():
    assert share(0, 300)["to"] == pytest.approx(0.01264, abs=1e-4)
    assert share(5, 10) == {"count": 5, "of": 10, "share": 0.5, "from": 0.23659, "to": 0.76341}
    assert share(0, 0) == {"count": 0, "of": 0}
