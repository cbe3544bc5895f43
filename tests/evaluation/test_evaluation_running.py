"""Systems in turn: their stores, their rows, what is kept, and what becomes of one that fails."""

import json
import shutil

import pytest

from facesearch import weights
from facesearch.datasets import Label
from facesearch.errors import DatasetError, StoreError, UsageError
from facesearch.evaluation import Limit, read_dataset
from facesearch.evaluation.enrolment import enrol
from facesearch.forgetting import ForgetOptions, Targets, forget, traces_left
from facesearch.results import Evaluation
from facesearch.store import Store
from facesearch.store.entered import change_entered
from small_store import MIDDLE, RED, draw, enroll


def system(found: Evaluation, number: int = 0):
    return found.systems[number]


def test_people_of_clear_colours_are_all_found(color_people):
    found = color_people.evaluate(protocols=("pois", "all-identities", "open-set"))
    row = system(found)
    assert row.state == "done"
    pois, everybody = row.identification
    assert (pois.protocol, everybody.protocol) == ("pois", "all-identities")
    assert pois.rank_1.value == pois.map.value == 1
    assert (pois.people, pois.probes, pois.photos) == (4, 12, 12)
    assert row.open_set.photos_enrolled + row.open_set.mated_probes == 6
    assert found.dataset.photos == 12 and found.dataset.people == 4
    assert [answer.person for answer in pois.sheets] == ["ann", "bob", "cat", "dan"]
    assert pois.sheets[0].photos[0].path == "ann/ann_0001.png"
    assert pois.sheets[0].box == (30, 20, 40, 40)
    assert (
        row.cost.rows == 12
        and row.cost.dim == 128
        and row.cost.seconds_per_query > row.cost.search_seconds > 0
    )


def test_a_system_without_weights_says_so_and_the_others_go_on(color_people):
    found = color_people.evaluate("vgg16-l2", "facenet")
    lost, done = found.systems
    assert (lost.state, lost.remedy) == ("weights missing", "facesearch models pull vgg16")
    assert not lost.identification
    assert done.state == "done" and done.identification
    assert any("vgg16-l2" in line for line in color_people.said)


def test_a_system_that_fails_is_its_own_row(color_people, monkeypatch):
    from facesearch.evaluation import running

    def refuse(*_):
        raise DatasetError("too strange")

    monkeypatch.setattr(running, "search_open_set", refuse)
    found = color_people.evaluate("facenet", "mtcnn-facenet", protocols=("pois", "open-set"))
    assert [row.state for row in found.systems] == ["failed", "failed"]
    assert system(found).message == "too strange"


def test_whatever_a_library_raises_is_that_systems_failure(color_people, monkeypatch):
    from facesearch.evaluation import running

    def burst(*_):
        raise MemoryError("no room for 9 GB")

    monkeypatch.setattr(running, "search_of", burst)
    found = color_people.evaluate("facenet", "mtcnn-facenet")
    assert [row.state for row in found.systems] == ["failed", "failed"]
    assert "MemoryError: no room for 9 GB" in system(found).message


def test_what_no_system_can_do_is_told_before_anything_is_read(color_people, tmp_path):
    pairs = tmp_path / "pairs.txt"
    pairs.write_text("2\t1\nann 1 9\nann 1 bob 1\ncat 1 2\ncat 2 dan 2\n")
    with pytest.raises(DatasetError, match=r"lacks 1 photos.*ann_0009"):
        color_people.evaluate(protocols=("pois", "pairs"), pairs=pairs)
    alone = read_dataset(color_people.folder, limit=Limit(3))
    with pytest.raises(DatasetError, match="too few people for --open-set"):
        color_people.evaluate(dataset=alone, protocols=("pois", "open-set"))
    assert color_people.read == []


def test_what_was_found_is_kept_until_something_changes(color_people):
    first = color_people.evaluate()
    assert len(color_people.read) == 12
    color_people.said.clear()
    again = color_people.evaluate()
    assert again.systems == first.systems
    assert any("taken from the last run" in line for line in color_people.said)
    color_people.said.clear()
    color_people.evaluate(fresh=True)
    assert not any("taken from" in line for line in color_people.said)
    draw(color_people.folder / "ann" / "ann_0004.png", {RED: MIDDLE}, note=9)
    changed = color_people.evaluate(poi_photos=4)
    assert len(color_people.read) == 13
    assert system(changed).identification[0].people == 1


def test_a_damaged_result_is_computed_again(color_people):
    first = color_people.evaluate()
    for kept in (weights.home() / "eval").glob("*/results/*.json"):
        kept.write_text(kept.read_text()[:-30])
    again = color_people.evaluate()
    assert system(again).identification == system(first).identification


def test_a_store_that_fits_is_used_and_not_made_again(color_people):
    store = color_people.home / "faces.npz"
    enroll(store, [color_people.folder])
    found = color_people.evaluate(store=store)
    assert color_people.read == []
    assert system(found).cost.photos_per_second is None
    shutil.copy(color_people.folder / "ann/ann_0001.png", color_people.folder / "bob/new.png")
    color_people.evaluate(store=store, protocols=("all-identities",))
    assert color_people.read != []
    assert len(Store.open(store).files) == 12  # nobody asked to change it


def test_systems_of_one_recipe_share_a_store(color_people, monkeypatch):
    color_people.evaluate("facenet")
    stores = list((weights.home() / "eval").glob("*/*.npz"))
    color_people.evaluate("facenet", "mtcnn-facenet")
    assert len(stores) == 1
    assert len(list((weights.home() / "eval").glob("*/*.npz"))) == 2


def test_a_limit_reads_no_more_than_it_asks_for(color_people):
    dataset = read_dataset(color_people.folder, limit=Limit(6))
    found = color_people.evaluate(dataset=dataset)
    assert len(color_people.read) == 6
    assert found.dataset.limit == 6 and found.dataset.order == "path"
    assert {row.person for row in system(found).identification[0].per_person} == {"ann", "bob"}
    color_people.evaluate()
    assert len(color_people.read) == 12  # the six others besides


def test_a_random_limit_follows_its_seed(color_people):
    def keys(seed):
        return read_dataset(color_people.folder, limit=Limit(6, "random", seed)).keys

    assert keys(1) == keys(1) != keys(2)
    assert len(set(keys(1))) == 6


def test_a_second_system_is_compared_with_the_first(color_people):
    found = color_people.evaluate("facenet", "mtcnn-facenet")
    assert {(each.system, each.reference, each.measure) for each in found.comparisons} == {
        ("mtcnn-facenet", "facenet", "rank_1"),
        ("mtcnn-facenet", "facenet", "map"),
    }
    assert all(each.difference.value == 0 for each in found.comparisons)


def test_an_expanded_row_stands_beside_the_plain_one(color_people):
    found = color_people.evaluate(expand=True)
    assert [each.expanded for each in system(found).identification] == [False, True]
    assert {each.system for each in found.comparisons} == {"facenet --expand"}


def test_folders_that_cannot_be_evaluated_are_refused_before_anything_is_read(color_people):
    with pytest.raises(DatasetError, match="nobody has exactly 6 photos"):
        color_people.evaluate(poi_photos=6)
    assert color_people.read == []
    with pytest.raises(DatasetError, match="no such folder"):
        read_dataset(color_people.home / "nowhere")
    with pytest.raises(DatasetError, match="no photo in it shows a known person"):
        read_dataset(color_people.folder / "ann")
    with pytest.raises(DatasetError, match="none of the 1 labels names a photo in it, the first"):
        read_dataset(color_people.folder / "ann", {"nobody": Label("nobody")})
    with pytest.raises(UsageError, match="no system is named"):
        color_people.evaluate("no-such-system")


def test_labels_replace_folders(color_people):
    labels = {
        f"{name}_{number:04d}": Label("twins", "adult")
        for name in ("ann", "bob")
        for number in (1, 2, 3)
    }
    dataset = read_dataset(color_people.folder, labels)
    assert dataset.counts == {"twins": 6} and dataset.groups == {"twins": "adult"}
    found = color_people.evaluate(dataset=dataset, poi_photos=6)
    assert system(found).identification[0].photos == 12
    assert system(found).identification[0].groups["adult"]["rank_1"].value == 1


def test_unreadable_photos_are_counted_and_miss(color_people):
    broken = color_people.folder / "ann" / "ann_0003.png"
    broken.write_bytes(broken.read_bytes()[:60])
    found = color_people.evaluate()
    assert found.dataset.failed == 1
    assert system(found).identification[0].misses == 1
    assert system(found).identification[0].rank_1.value == pytest.approx(11 / 12)


def test_identical_files_are_named(color_people):
    shutil.copy(color_people.folder / "ann/ann_0001.png", color_people.folder / "bob/bob_0004.png")
    found = color_people.evaluate(protocols=("all-identities",))
    assert found.dataset.identical == (("ann/ann_0001.png", "bob/bob_0004.png"),)


def test_a_store_that_lacks_photos_is_refused_by_name(color_people):
    store = enroll(color_people.home / "some.npz", [color_people.folder / "ann"])
    with pytest.raises(StoreError, match=r"lacks 9 photos.*bob_0001"):
        enrol(store, color_people.dataset())


def test_what_a_build_took_is_remembered(color_people):
    shutil.copy(color_people.folder / "ann/ann_0001.png", color_people.folder / "bob/bob_0004.png")
    color_people.evaluate(protocols=("all-identities",))
    (cost,) = (weights.home() / "eval").glob("*/*.cost.json")
    assert json.loads(cost.read_text())["photos_per_second"] > 0
    again = color_people.evaluate(fresh=True, protocols=("all-identities",))
    assert system(again).cost.photos_per_second > 0


@pytest.mark.parametrize("face", [None, 1])
def test_what_a_store_has_forgotten_no_evaluation_brings_back(color_people, face):
    store, gone = color_people.home / "faces.npz", color_people.folder / "ann" / "ann_0001.png"
    enroll(store, [color_people.folder])
    forget(store, Targets((str(gone),), face), ForgetOptions(), lambda summary: True)
    copy = str(shutil.copy(gone, color_people.folder / "bob" / "copy.png"))
    for found in (
        color_people.evaluate(store=store, protocols=("all-identities",)),
        color_people.evaluate("mtcnn-facenet", store=store, protocols=("all-identities",)),
    ):
        assert system(found).state == "done"
        assert system(found).identification[0].probes == found.dataset.photos == 11
    assert {str(gone), copy}.isdisjoint(color_people.read)
    assert traces_left(store) == []
    assert any("left out 2 photos that" in line for line in color_people.said)
    color_people.evaluate("mtcnn-facenet")
    assert not {str(gone), copy}.isdisjoint(color_people.read)


def test_a_photo_of_the_size_of_a_forgotten_one_stays(color_people):
    store, gone = color_people.home / "faces.npz", color_people.folder / "ann" / "ann_0001.png"
    enroll(store, [color_people.folder])
    size = gone.stat().st_size
    other = color_people.folder / "bob" / "bob_0001.png"
    other.write_bytes(other.read_bytes().ljust(size, b"x")[:size])
    forget(store, Targets((str(gone),)), ForgetOptions(), lambda summary: True)
    found = color_people.evaluate(store=store, protocols=("all-identities",))
    assert found.dataset.photos == 11


def test_a_memory_that_cannot_be_read_ends_all(color_people):
    store = color_people.home / "faces.npz"
    enroll(store, [color_people.folder])
    change_entered(store, lambda held: {"forgotten": 7}, False)
    with pytest.raises(StoreError, match="what was forgotten is not to be read"):
        color_people.evaluate("mtcnn-facenet", store=store)
    assert color_people.read == []
