"""Counting and fitting, on faces whose true answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facesearch.calibration import read_calibration
from facesearch.errors import DatasetError
from facesearch.evaluation.calibrating import (
    BINS,
    NEVER_SURER,
    REACH,
    Faces,
    PairCounts,
    calibration_error,
    count_pairs,
    false_matches,
    fit,
    halves,
    rates_of_people,
)

MIDDLES = (np.arange(BINS) + 0.5) * REACH / BINS


def gaussian(mean: float, deviation: float) -> np.ndarray:
    """The share of each bin; float64 (BINS,)."""
    edges = np.arange(BINS + 1) * REACH / BINS
    below = [0.5 * math.erfc((mean - edge) / deviation / math.sqrt(2)) for edge in edges]
    return np.diff(below)


def known_counts() -> PairCounts:
    """Mates around 0.8, strangers around 1.4, both with a deviation of 0.12."""
    others = 4_000_000 * gaussian(1.4, 0.12)
    return PairCounts(800 * gaussian(0.8, 0.12), others, 2_800, 100_000, 20_000_000)


def made_faces(people: int, photos: int, seed: int = 0) -> Faces:
    """Everybody a direction, each photo some way off it, dealt out in random order."""
    random = np.random.default_rng(seed)
    person = random.permutation(np.repeat(np.arange(people), photos))
    rows = random.normal(size=(people, 24))[person] + 0.4 * random.normal(size=(len(person), 24))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Faces(rows.astype(np.float32), person.astype(np.int64))


def test_probability_of_known_distributions():
    found = fit(known_counts(), "", {})
    # Equal deviations: the log odds are a straight line through 0 in the middle, at 1.1.
    for distance in (0.95, 1.05, 1.1, 1.15, 1.25):
        odds = (1.1 - distance) * 0.6 / 0.12**2
        assert float(found.probability(distance)) == pytest.approx(
            1 / (1 + math.exp(-odds)), abs=0.02
        )
    assert float(found.probability(0.0)) == NEVER_SURER
    assert float(found.probability(2.0)) == pytest.approx(1 - NEVER_SURER)


def test_rate_of_known_distributions_where_counted():
    found = fit(known_counts(), "", {})
    for deviations in (1, 2, 3, 3.8):
        distance = 1.4 - deviations * 0.12
        assert distance > found.counted_from
        truth = 0.5 * math.erfc(deviations / math.sqrt(2))
        assert float(found.false_match_rate(distance)) == pytest.approx(truth, rel=0.06)


def test_the_tail_goes_on_in_a_straight_line_over_the_cosine():
    density = np.exp(11 * (MIDDLES**2 / 2)) * MIDDLES  # the rate is exp(-11 cosine)
    others = 4_000_000 * density / density.sum()
    found = fit(PairCounts(gaussian(0.6, 0.1), others, 2_800, 1, 1), "", {})
    for near, far in ((0.2, 0.6), (0.6, 1.0)):
        assert far < found.counted_from
        ratio = float(found.false_match_rate(far) / found.false_match_rate(near))
        assert ratio == pytest.approx(math.exp(11 * (far**2 - near**2) / 2), rel=0.05)


def test_how_pairs_lie_below_what_is_counted_does_not_matter():
    counts = known_counts()
    found = fit(counts, "", {})
    moved = counts.others.copy()
    below = round(found.counted_from * BINS / REACH)
    moved[below - 1], moved[: below - 1] = moved[:below].sum(), 0
    assert fit(PairCounts(counts.mates, moved, 1, 1, 1), "", {}).false_match_rates == pytest.approx(
        found.false_match_rates
    )


def test_a_few_wrong_labels_do_not_move_the_tail():
    clean = known_counts()
    wrong = clean.others.copy()
    wrong[150:350] += 5 / 200  # five people under two names, 0.3 to 0.7 apart
    there = fit(clean, "", {})
    here = fit(PairCounts(clean.mates, wrong, 2_800, 1, 1), "", {})
    naive = wrong.cumsum()[250] / wrong.sum()
    for distance in (0.3, 0.5, 0.7):
        ratio = float(here.false_match_rate(distance) / there.false_match_rate(distance))
        assert 0.5 < ratio < 2
    assert float(here.false_match_rate(0.5)) < naive / 2


def test_every_pair_is_counted_and_people_weigh_the_same():
    faces = Faces(
        np.array([[1, 0], [0, 1], [0, 1], [-1, 0], [-1, 0], [-1, 0]], np.float32),
        np.array([7, 3, 3, 9, 9, 9]),
    )
    found = count_pairs(faces)
    assert (found.people, found.mate_pairs, found.other_pairs) == (3, 1 + 3, 2 + 3 + 6)
    assert found.mates.sum() == pytest.approx(2)  # two people with two photos or more
    assert found.mates[0] == pytest.approx(2)
    assert found.others.sum() == pytest.approx(3)  # pairs of people
    right_angle = int(math.sqrt(2) * BINS / REACH)
    assert found.others[right_angle] == pytest.approx(2)
    assert found.others[BINS - 1] == pytest.approx(1)


def test_blocks_give_what_a_plain_count_gives():
    faces = made_faces(200, 3)
    found = count_pairs(faces)
    rows = faces.rows.astype(np.float64)
    distances = np.sqrt(np.maximum(0, 2 - 2 * rows @ rows.T))
    upper = np.triu(np.ones(distances.shape, bool), 1)
    same = faces.person[:, None] == faces.person
    for counted, pairs, weight in (
        (found.mates, upper & same, 1 / 3),
        (found.others, upper & ~same, 1 / 9),
    ):
        plain, _ = np.histogram(distances[pairs], BINS, (0, REACH))
        # A distance on a bin's edge may fall either way.
        assert np.abs(np.cumsum(plain) * weight - np.cumsum(counted)).max() < 1


@pytest.mark.parametrize("people", [[], [1, 1, 1], [1, 2, 3]])
def test_too_few_people_are_refused(people):
    faces = Faces(np.ones((len(people), 2), np.float32), np.array(people, np.int64))
    with pytest.raises(DatasetError, match="a calibration needs both"):
        count_pairs(faces)


def test_too_few_pairs_of_people_are_refused():
    with pytest.raises(DatasetError, match="too few for a calibration"):
        fit(count_pairs(made_faces(20, 3)), "", {})


def test_halves_share_nobody_and_lose_nobody():
    faces = made_faces(101, 3)
    first, second = halves(faces, 4)
    assert not set(first.person) & set(second.person)
    assert len(first.person) + len(second.person) == 303
    assert len(set(first.person)) == 50
    assert halves(faces, 4)[0].person.tolist() == first.person.tolist()
    assert halves(faces, 5)[0].person.tolist() != first.person.tolist()


def test_on_people_of_its_kind_a_calibration_is_right():
    first, second = halves(made_faces(1_600, 2), 0)
    found = fit(count_pairs(first), "", {})
    assert calibration_error(found, count_pairs(second)) < 0.02
    for gallery in (300, 1_600):
        for expected in (1.0, 10.0):
            counted, foreseen = false_matches(found, second, gallery, expected, 0)
            assert counted >= 10
            assert 0.7 < counted / foreseen < 1.4


def test_a_wrong_calibration_shows():
    counts = known_counts()
    assert calibration_error(fit(counts, "", {}), counts) < 0.01
    shifted = PairCounts(gaussian(1.0, 0.12), counts.others, 2_800, 1, 1)
    assert calibration_error(fit(counts, "", {}), shifted) > 0.05


def test_false_matches_leave_out_the_own_person():
    faces = Faces(np.ones((6, 1), np.float32), np.array([1, 1, 1, 2, 2, 2]))
    found = fit(known_counts(), "", {})
    counted, foreseen = false_matches(found, faces, 6, 6.0, 0)
    assert counted == 18  # each of six searches meets the other's three
    assert foreseen == pytest.approx(18)


def test_the_same_faces_give_the_same_bytes():
    faces = made_faces(1_500, 2)
    text = fit(count_pairs(faces), "ab", {"seed": 0}).as_json()
    assert fit(count_pairs(faces), "ab", {"seed": 0}).as_json() == text
    assert read_calibration(text, "made").as_json() == text


def test_the_rates_of_people_average_to_the_common_one():
    faces = made_faces(300, 2)
    found = count_pairs(faces)
    rates = rates_of_people(faces, 1.2)
    assert rates.shape == (300,)
    common = found.others[: round(1.2 * BINS / REACH)].sum() / found.others.sum()
    assert rates.mean() == pytest.approx(common, rel=0.02)
    lookalikes = Faces(
        np.array([[1, 0], [1, 0], [-1, 0], [0, 1]], np.float32), np.array([4, 5, 6, 6])
    )
    assert rates_of_people(lookalikes, 0.5).tolist() == [0.5, 0.5, 0]
    assert rates_of_people(lookalikes, 1.5).tolist() == [0.75, 0.75, 0.5]
