"""What a training takes is stated, and refused where it is not there."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.errors import FacesearchError
from facesearch.training import TrainHooks, TrainOptions, TrainPlan, make_plan, train

GIGABYTE = 1_000_000_000


def _plan_of(count: int, memory: int, batch: int = 100) -> TrainPlan:
    """A plan for so many people with two photos each, on a machine with so much memory."""
    with pytest.MonkeyPatch.context() as patch:
        photos = [Path("a"), Path("b")]
        names = {str(number): photos for number in range(count)}
        patch.setattr("facesearch.training.planning.choose_people", lambda *_: names)
        patch.setattr("facesearch.training.planning.digest", lambda *_: "")
        patch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": memory}))
        patch.setattr("shutil.disk_usage", lambda _: type("Disk", (), {"free": 10**15}))
        return make_plan(Path("lfw"), TrainOptions(batch=batch))


def test_all_of_lfw_takes_what_was_measured():
    plan = _plan_of(5_749, 23 * GIGABYTE)

    assert plan.weights == 618_967_349
    # 17.4 GB was the peak of the process: a batch and Adam's step are not at their peak together.
    assert 17.4e9 < plan.memory < 20e9
    assert plan.disk == 2 * 12 * 618_967_349
    assert plan.obstacle == ""


@pytest.mark.parametrize("memory", [8 * GIGABYTE, 16 * GIGABYTE])
def test_a_refusal_names_what_is_needed_what_there_is_and_what_fits(memory):
    told = _plan_of(5_749, memory).obstacle

    assert f"needs 19.1 GB of memory and {memory // GIGABYTE}.0 GB are available" in told
    assert re.search(r"--people \d+$", told)


@given(st.integers(9 * GIGABYTE, 15 * GIGABYTE), st.integers(1, 200))
def test_the_number_of_people_that_is_named_is_the_largest_that_fits(memory, batch):
    told = _plan_of(5_749, memory, batch).obstacle

    fitting = int(re.search(r"--people (\d+)$", told)[1])
    assert _plan_of(fitting, memory, batch).obstacle == ""
    assert _plan_of(fitting + 1, memory, batch).obstacle


def test_where_not_even_two_people_fit_a_smaller_batch_is_named():
    told = _plan_of(5_749, 2 * GIGABYTE).obstacle

    assert told.endswith("take a --batch smaller than 100")
    assert _plan_of(50, 2 * GIGABYTE, batch=10).obstacle == ""


def test_too_little_memory_stops_it_before_a_photo_is_read(people, network, machine):
    machine(memory=0.9 * GIGABYTE)

    with pytest.raises(FacesearchError, match=r"needs 1\.3 GB of memory and 0\.9 GB"):
        train(make_plan(people, TrainOptions()), TrainHooks())
    assert network.specs == []


def test_too_small_a_disk_is_told_and_an_old_checkpoint_is_not_in_the_way(
    people, network, machine, home
):
    need = make_plan(people, TrainOptions()).disk
    machine(disk=need - 1)
    with pytest.raises(FacesearchError, match=r"checkpoints need 0\.0 GB.*FACESEARCH_HOME"):
        train(make_plan(people, TrainOptions()), TrainHooks())
    folder = home / "models" / "small-cnn.training" / "epoch-0001"
    folder.mkdir(parents=True)
    (folder / "training.index").write_bytes(b"1")
    assert make_plan(people, TrainOptions()).obstacle == ""


def test_more_photos_and_people_take_longer_and_more(people, machine):
    all_of_them = make_plan(people, TrainOptions(batch=4))
    two = make_plan(people, TrainOptions(batch=4, people=2))
    smaller = make_plan(people, replace(TrainOptions(), batch=2))

    assert (all_of_them.photos, two.photos) == (18, 8)
    assert (all_of_them.batches, two.batches, smaller.batches) == (5, 2, 9)
    assert all_of_them.seconds > two.seconds
    assert all_of_them.memory > two.memory
    assert smaller.memory < all_of_them.memory
