"""Identification, pairs and open set on galleries small enough to count by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facesearch.datasets import LfwPhoto, Pair
from facesearch.errors import DatasetError
from facesearch.evaluation.enrolment import Enrolled
from facesearch.evaluation.identification import (
    IdentificationOptions,
    identify,
    people_named,
    people_with,
    people_with_mates,
    photo_distances,
)
from facesearch.evaluation.open_set import search_open_set, split
from facesearch.evaluation.scoring import CosineScorer, EuclideanScorer
from facesearch.evaluation.verification import verify


def gallery(photos, rows):
    """Photos as (key, faces): a face is a row number; the first face is the central one."""
    keys = tuple(key for key, _ in photos)
    names = tuple(key.split("/")[0] if "/" in key else "" for key in keys)
    codes = {name: code for code, name in enumerate(sorted(set(names) - {""}))}
    first = np.array([faces[0] if faces else 0 for _, faces in photos])
    enrolled = Enrolled(
        keys,
        names,
        np.array([codes.get(name, -1) for name in names]),
        first,
        np.array([faces[0] if faces else -1 for _, faces in photos]),
        np.full((len(rows), 4), 1.0),
        first,
        np.array([faces[-1] + 1 if faces else 0 for _, faces in photos]),
        np.zeros(len(photos), bool),
    )
    points = np.array([[float(row)] for row in rows], np.float32)
    return enrolled, EuclideanScorer([points])


def pois(enrolled, scorer, number, **options):
    people = people_with(enrolled.names, number)
    return identify(enrolled, scorer, people, IdentificationOptions(**options))[0]


def test_ranks_by_hand():
    # Ann at 0, 1 and 10; Bob at 2.5 and 11.
    enrolled, scorer = gallery(
        [("ann/1", [0]), ("ann/2", [1]), ("ann/3", [2]), ("bob/1", [3]), ("bob/2", [4])],
        [0, 1, 10, 2.5, 11],
    )
    found = pois(enrolled, scorer, 3)
    assert (found.people, found.probes, found.photos, found.misses) == (1, 3, 5, 0)
    # ann/1 finds ann/2, bob/1, ann/3; ann/2 finds ann/1, bob/1, ann/3;
    # ann/3 finds bob/2, bob/1, ann/2, ann/1.
    assert found.rank_1.value == pytest.approx(2 / 3)
    assert found.rank_5.value == 1
    precisions = [(1 + 2 / 3) / 2, (1 + 2 / 3) / 2, (1 / 3 + 2 / 4) / 2]
    assert found.map.value == pytest.approx(np.mean(precisions))
    assert found.cmc[:3] == (pytest.approx(2 / 3), pytest.approx(2 / 3), 1)
    assert found.same_in_first[20].value == 3  # the probe's own photo is one of them
    assert found.others_in_first[20].value == 2


def test_a_photo_without_a_face_is_a_miss_and_cannot_be_found():
    enrolled, scorer = gallery(
        [("ann/1", [0]), ("ann/2", [1]), ("ann/3", []), ("bob/1", [2])], [0, 1, 5]
    )
    found = pois(enrolled, scorer, 3)
    assert (found.misses, found.unfindable) == (1, 1)
    assert found.rank_1.value == pytest.approx(2 / 3)
    # Each of the two found probes has one of its two mates at rank 1.
    assert found.map.value == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert found.recall_at_k[20].value == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert found.per_person[0].misses == 1


def test_identical_files_under_two_names_are_ranked_each():
    enrolled, scorer = gallery(
        [("ann/1", [0]), ("ann/2", [1]), ("bob/1", [0]), ("cat/1", [2])], [0, 1, 9]
    )
    assert enrolled.identical() == (("ann/1", "bob/1"),)
    found = pois(enrolled, scorer, 2)
    # ann/1 finds its copy under bob's name first; ann/2 has both at distance 1, ann/1 by path.
    assert found.rank_1.value == 0.5
    assert found.sheets == ()
    pictured = pois(enrolled, scorer, 2, sheets=True)
    assert [answer.path for answer in pictured.hardest] == ["ann/1"]
    assert pictured.hardest[0].photos[0].path == "bob/1"
    assert pictured.hardest[0].first_mate == 2
    assert [photo.path for photo in pictured.sheets[0].photos][:2] == ["ann/1", "bob/1"]


def test_all_faces_rank_a_photo_by_its_nearest():
    # bob/1 has ann's face beside bob's own, which is central.
    enrolled, scorer = gallery(
        [("ann/1", [0]), ("ann/2", [1]), ("bob/1", [2, 3]), ("bob/2", [4])], [0, 2, 9, 0.5, 8]
    )
    assert pois(enrolled, scorer, 2).rank_1.value == 1
    everyone = identify(
        enrolled, scorer, people_named(enrolled.names, ["ann"]), IdentificationOptions("all")
    )[0]
    assert everyone.rank_1.value == 0
    assert everyone.gallery == "all"


def test_groups_and_people_have_their_own_figures():
    enrolled, scorer = gallery(
        [("ann/1", [0]), ("ann/2", [1]), ("bob/1", [2]), ("bob/2", [3]), ("cat/1", [4])],
        [0, 1, 20, 30, 21],
    )
    found = pois(enrolled, scorer, 2, groups={"ann": "young", "bob": "old"})
    assert {person.person: person.rank_1 for person in found.per_person} == {"ann": 1, "bob": 0}
    assert found.groups["young"]["rank_1"].value == 1
    assert found.groups["old"]["rank_1"].value == 0


def test_photos_of_nobody_known_are_strangers_to_each_other():
    enrolled, scorer = gallery(
        [("x", [0]), ("y", [1]), ("ann/1", [2]), ("ann/2", [3])], [0, 0, 1, 2]
    )
    assert people_with_mates(enrolled.names).names == ("ann",)
    assert pois(enrolled, scorer, 2).probes == 2


def test_people_who_cannot_be_searched_for_are_named():
    with pytest.raises(DatasetError, match="nobody has exactly 6 photos"):
        people_with(["ann"] * 5, 6)
    with pytest.raises(DatasetError, match="bob has 1 photos here"):
        people_named(["ann", "ann", "bob"], ["ann", "bob"])
    with pytest.raises(DatasetError, match="nobody has two photos"):
        people_with_mates(["ann", "", ""])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 15)), min_size=2, max_size=14),
    st.sampled_from(["central", "all"]),
)
def test_every_measure_follows_its_plain_definition(photos, enrolment):
    named = [(f"p{person}/{number:02d}", [number]) for number, (person, _) in enumerate(photos)]
    enrolled, scorer = gallery(named, [place for _, place in photos])
    names = enrolled.names
    try:
        people = people_with_mates(names)
    except DatasetError:
        return
    found, scores = identify(enrolled, scorer, people, IdentificationOptions(enrolment))
    rank_1, precisions, shares = [], [], []
    for probe, name in enumerate(names):
        others = [n for n in range(len(names)) if n != probe]
        others.sort(key=lambda n: (abs(photos[n][1] - photos[probe][1]), n))
        hits = [names[n] == name for n in others]
        if not any(hits):
            continue
        rank_1.append(hits[0])
        at = [rank for rank, hit in enumerate(hits, start=1) if hit]
        precisions.append(np.mean([(i + 1) / rank for i, rank in enumerate(at)]))
        shares.append(sum(hits[:20]) / sum(hits))
    assert found.rank_1.value == pytest.approx(np.mean(rank_1))
    assert found.map.value == pytest.approx(np.mean(precisions))
    assert found.recall_at_k[20].value == pytest.approx(np.mean(shares))
    assert scores.average_precision == pytest.approx(precisions)


def test_photo_distances_of_every_face():
    enrolled, _ = gallery([("a", [0]), ("b", [1, 2]), ("c", []), ("d", [1, 2])], [0, 1, 2])
    found = photo_distances(enrolled, np.array([[5.0, 7.0, 6.0]]), "all")
    assert found.tolist() == [[5, 6, np.inf, 6]]
    assert photo_distances(enrolled, np.array([[5.0, 7.0, 6.0]]), "central").tolist() == [
        [5, 7, np.inf, 7]
    ]


def pair(first, second, fold):
    return Pair(LfwPhoto(first[0], first[1]), LfwPhoto(second[0], second[1]), fold)


def faces_of(places):
    """Photos "ann/ann_0001.jpg" at given places, None for no face."""
    photos, rows = [], []
    for (name, number), place in places.items():
        photos.append((f"{name}/{name}_{number:04d}.jpg", [] if place is None else [len(rows)]))
        if place is not None:
            rows.append(place)
    return gallery(photos, rows)


def test_pairs_take_each_threshold_from_the_other_folds():
    enrolled, scorer = faces_of(
        {("ann", 1): 0, ("ann", 2): 1, ("bob", 1): 10, ("bob", 2): 16, ("cat", 1): 13}
    )
    pairs = [
        pair(("ann", 1), ("ann", 2), 0),  # 1 apart, the same person
        pair(("ann", 1), ("bob", 1), 0),  # 10 apart
        pair(("bob", 1), ("bob", 2), 1),  # 6 apart, the same person
        pair(("bob", 1), ("cat", 1), 1),  # 3 apart
    ]
    found, right = verify(enrolled, scorer, pairs, 0)
    # Fold 0's own threshold is 5.5; fold 1 alone says: nobody is the same (or at 6 both).
    assert found.thresholds[1] == 5.5
    assert found.fold_accuracies[1] == 0
    assert right.tolist()[2:] == [0, 0]
    assert found.accuracy.value == pytest.approx(np.mean(found.fold_accuracies))
    assert found.auc.value == pytest.approx(3 / 4)


def test_a_pair_without_a_face_is_called_different_and_counted():
    enrolled, scorer = faces_of({("ann", 1): 0, ("ann", 2): None, ("bob", 1): 10, ("bob", 2): 10.5})
    pairs = [
        pair(("ann", 1), ("ann", 2), 0),
        pair(("ann", 2), ("bob", 1), 0),
        pair(("bob", 1), ("bob", 2), 1),
        pair(("ann", 1), ("bob", 2), 1),
    ]
    found, right = verify(enrolled, scorer, pairs, 0)
    assert found.missing == 2
    assert right.tolist()[:2] == [0, 1]


def test_pairs_of_photos_that_are_not_there_are_named():
    enrolled, scorer = faces_of({("ann", 1): 0, ("ann", 2): 1})
    lost = [pair(("ann", 1), ("ann", 3), 0), pair(("ann", 1), ("bob", 1), 1)]
    with pytest.raises(DatasetError, match=r"lacks 2 photos.*ann_0003"):
        verify(enrolled, scorer, lost, 0)
    with pytest.raises(DatasetError, match="single fold"):
        verify(enrolled, scorer, [pair(("ann", 1), ("ann", 2), 0)], 0)


def crowd(people=20, photos=3, spread=0.4):
    draws = np.random.default_rng(1)
    places = {
        (f"p{person:02d}", number): 10 * person + spread * draws.standard_normal()
        for person in range(people)
        for number in range(1, photos + 1)
    }
    return faces_of(places)


def test_open_set_splits_people_and_repeats_itself():
    enrolled, _ = crowd()
    parts = split(enrolled.person, 7)
    kept = set(enrolled.person[parts.enrolled])
    assert kept == set(enrolled.person[parts.mated])
    assert not kept & set(enrolled.person[parts.strangers])
    assert not set(parts.enrolled) & set(parts.mated)
    assert len(parts.enrolled) + len(parts.mated) + len(parts.strangers) == len(enrolled)
    again = split(enrolled.person, 7)
    assert (again.enrolled == parts.enrolled).all()
    assert (split(enrolled.person, 8).enrolled[:20] != parts.enrolled[:20]).any()


def test_open_set_of_people_far_apart_misses_nobody():
    enrolled, scorer = crowd()
    found = search_open_set(enrolled, scorer, "central", 0)
    assert found.fnir_at_fpir["0.1"].value == 0
    assert found.mated_probes == 10 and found.stranger_probes == 30
    assert found.photos_enrolled == 20 and found.people_enrolled == 10
    assert found.thresholds["0.1"] > 5


def test_open_set_of_people_who_look_alike_misses_many():
    enrolled, scorer = crowd(spread=30.0)
    found = search_open_set(enrolled, scorer, "central", 0)
    assert found.fnir_at_fpir["0.1"].value > 0.5
    # Fewer false alarms cost more misses.
    rates = [found.fnir_at_fpir[rate].value for rate in ("0.1", "0.01", "0.001")]
    assert rates == sorted(rates)


def test_open_set_needs_strangers_and_second_photos():
    enrolled, scorer = faces_of({("ann", 1): 0, ("bob", 1): 1})
    with pytest.raises(DatasetError, match="too few people"):
        search_open_set(enrolled, scorer, "central", 0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 300), st.booleans())
def test_scorers_agree_with_plain_arithmetic(seed, blocks, cosine):
    draws = np.random.default_rng(seed)
    rows = draws.standard_normal((blocks % 17 + 2, 5)).astype(np.float32) * 50
    cut = len(rows) // 2
    probes = np.arange(len(rows))
    if cosine:
        scorer = CosineScorer(rows)
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        plain = 1 - unit.astype(np.float64) @ unit.T
    else:
        scorer = EuclideanScorer([rows[:cut], rows[cut:]])
        plain = np.linalg.norm(rows[:, None].astype(np.float64) - rows[None], axis=2)
    assert scorer.distances(probes) == pytest.approx(plain, abs=1e-6 * float(plain.max()))
    assert scorer.between(probes, probes[::-1]) == pytest.approx(
        plain[probes, probes[::-1]], abs=1e-6
    )


@pytest.mark.parametrize("size", [1.0, 1e4])
def test_equal_rows_tie_however_long_they_are(size):
    draws = np.random.default_rng(2)
    rows = (draws.random((40, 5000)) * size).astype(np.float32)
    rows[20:] = rows[:20]
    found = EuclideanScorer([rows[:13], rows[13:]]).distances(np.arange(40))
    assert (np.diag(found) == 0).all()
    assert (found[:, :20] == found[:, 20:]).all()
