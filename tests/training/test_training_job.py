"""A training from the folder to the kept weights: what it does, refuses, survives and tells."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from facesearch import weights
from facesearch.errors import (
    DatasetError,
    FacesearchError,
    InterruptedRunError,
    UsageError,
)
from facesearch.training import TrainHooks, TrainOptions, TrainState, make_plan, train

OPTIONS = TrainOptions(epochs=3, batch=4)


def _train(folder: Path, options: TrainOptions = OPTIONS, hooks: TrainHooks | None = None) -> Any:
    return train(make_plan(folder, options), hooks or TrainHooks())


def _stop(network: Any, folder: Path, epoch: int = 2) -> None:
    network.stop_in = epoch
    with pytest.raises(InterruptedRunError):
        _train(folder)
    network.stop_in = 0


def test_weights_are_kept_with_what_they_were_made_from(people, network, home):
    summary = _train(people)

    kept = weights.kept("small-cnn")
    assert (kept.path, kept.sha256) == (summary.path, summary.sha256)
    assert (summary.people, summary.photos, summary.failures) == (5, 18, ())
    assert [epoch.epoch for epoch in summary.epochs] == [1, 2, 3]
    wanted = {"people": 5, "photos": 18, "without_pois": False, "epochs": 3, "batch": 4, "seed": 0}
    assert {key: kept.facts[key] for key in wanted} == wanted
    assert kept.facts["accuracy"] == 0.53
    assert kept.facts["folder_digest"] == make_plan(people, OPTIONS).digest
    assert {"tensorflow", "keras", "numpy", "facesearch"} <= kept.facts["versions"].keys()
    assert not (home / "models" / "small-cnn.training").exists()


def test_the_card_says_what_it_is_and_is_not(people, network):
    summary = _train(people)

    card = summary.card.read_text(encoding="utf-8")
    assert summary.card == summary.path.with_suffix(".md")
    assert card.startswith("# small-cnn\n")
    assert "18 photos of 5 people" in card
    assert "Nobody was left out" in card
    assert "No fair test" in card
    assert summary.sha256 in card
    assert "{" not in card


def test_without_pois_has_a_name_and_a_card_of_its_own(people, network):
    summary = _train(people, replace(OPTIONS, without_pois=True, pois=("ann",)))

    assert summary.name == "small-cnn-without-pois"
    assert (summary.people, summary.photos) == (2, 4)
    assert weights.kept("small-cnn") is None
    assert weights.kept("small-cnn-without-pois").facts["pois"] == ["ann"]
    card = summary.card.read_text(encoding="utf-8")
    assert "whoever has exactly 6 photos, and ann." in card


def test_progress_counts_photos_then_batches_and_knows_the_time_after_a_few(people, network):
    states: list[TrainState] = []
    _train(people, hooks=TrainHooks(states.append))

    photos = [state for state in states if state.unit == "photo"]
    batches = [state for state in states if state.unit == "batch"]
    assert [(state.done, state.total) for state in photos] == [(n, 18) for n in range(1, 19)]
    assert [(state.done, state.total) for state in batches] == [(n, 15) for n in range(1, 16)]
    assert [state.seconds_left is not None for state in batches] == [False] * 3 + [True] * 12


def test_bad_photos_are_named_and_left_out_with_people_of_whom_nothing_is_left(people, network):
    (people / "eve" / "eve_0001.png").write_bytes(b"no photo")
    whole = (people / "cid" / "cid_0002.png").read_bytes()
    (people / "cid" / "cid_0002.png").write_bytes(whole[: len(whole) // 2])

    summary = _train(people)

    named = {Path(failure.path).name: failure.reason for failure in summary.failures}
    assert named == {"eve_0001.png": "not-a-photo", "cid_0002.png": "truncated"}
    assert (summary.people, summary.photos) == (4, 16)
    assert network.specs[0].people == 4
    assert weights.kept("small-cnn").facts["left_out"] == 2


def test_a_stopped_training_goes_on_where_it_was(people, network):
    network.stop_in = 3
    with pytest.raises(InterruptedRunError, match=r"epoch 3 of 3; 2 are kept in .*--resume"):
        _train(people)
    network.stop_in, before = 0, len(network.seen)

    summary = _train(people, replace(OPTIONS, resume=True))

    assert len(network.seen) - before == 5  # the batches of one epoch
    assert [epoch.epoch for epoch in summary.epochs] == [1, 2, 3]
    assert [epoch.accuracy for epoch in summary.epochs] == pytest.approx([0.51, 0.52, 0.53])


def test_a_kill_between_record_and_checkpoint_counts_the_epoch_once(people, network, home):
    _stop(network, people, epoch=3)
    folder = home / "models" / "small-cnn.training"
    (folder / "epoch-0002").rename(folder / "epoch-0001")

    summary = _train(people, replace(OPTIONS, resume=True))

    assert [epoch.epoch for epoch in summary.epochs] == [1, 2, 3]


def test_an_unfinished_training_is_neither_lost_nor_continued_by_accident(people, network):
    _stop(network, people)

    with pytest.raises(UsageError, match=r"1 epochs? done; go on with --resume, or .*--restart"):
        _train(people)
    assert len(_train(people, replace(OPTIONS, restart=True)).epochs) == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"batch": 2}, "--batch 4, not 2"),
        ({"epochs": 9}, "--epochs 3, not 9"),
        ({"seed": 7}, "--seed 0, not 7"),
        ({"people": 3}, "--people all, not 3"),
    ],
)
def test_resuming_with_other_options_names_both(people, network, change, told):
    _stop(network, people)

    with pytest.raises(UsageError, match=f"begun with .*{told}.*--restart"):
        _train(people, replace(OPTIONS, resume=True, **change))


def test_resuming_with_other_photos_is_refused(people, network):
    _stop(network, people)
    (people / "ann" / "ann_0002.png").unlink()

    with pytest.raises(UsageError, match="begun with photos"):
        _train(people, replace(OPTIONS, resume=True))


def test_resuming_nothing_is_refused_and_stopped_in_the_first_epoch_starts_again(people, network):
    with pytest.raises(UsageError, match="no unfinished training; leave --resume out"):
        _train(people, replace(OPTIONS, resume=True))
    network.stop_in = 1
    with pytest.raises(InterruptedRunError, match="the same command starts again"):
        _train(people)
    network.stop_in = 0
    assert len(_train(people, replace(OPTIONS, batch=5)).epochs) == 3


def test_a_broken_record_says_to_start_over(people, network, home):
    _stop(network, people)
    (home / "models" / "small-cnn.training" / "epochs.json").write_text("[{")

    with pytest.raises(UsageError, match=r"epochs\.json: cannot be read.*--restart"):
        _train(people, replace(OPTIONS, resume=True))


def test_two_processes_do_not_train_the_same(people, network, home):
    (home / "models").mkdir(parents=True)
    with (
        FileLock(home / "models" / ".small-cnn.training.lock"),
        pytest.raises(FacesearchError, match="another process trains small-cnn"),
    ):
        _train(people)
    assert network.specs == []


def test_a_failed_training_keeps_its_checkpoint(people, network):
    network.stop_in, network.error = 2, DatasetError("the disk was pulled out")

    with pytest.raises(DatasetError):
        _train(people)
    assert make_plan(people, OPTIONS).done == 1


def test_new_weights_replace_the_old_only_when_they_are_done(people, network):
    old = _train(people)
    _stop(network, people)

    assert weights.sha256_of("small-cnn") == old.sha256


@pytest.mark.parametrize("options", [{"pois": ("ann",)}, {"resume": True, "restart": True}])
def test_options_that_exclude_each_other(options):
    with pytest.raises(UsageError):
        TrainOptions(**options)


class TestCommand:
    """``facesearch train`` as a person runs it."""

    @pytest.fixture
    def program(self, capfdbinary):
        from facesearch.cli.main import run

        def go(*arguments: object) -> tuple[int, str, str]:
            code = run([str(argument) for argument in ("train", "small-cnn", *arguments)])
            out, err = capfdbinary.readouterr()
            return code, out.decode(), err.decode()

        return go

    def test_it_says_what_it_takes_and_what_came_out(self, program, people, network):
        (people / "eve" / "eve_0001.png").write_bytes(b"no photo")

        code, out, err = program(people, "--epochs", 2, "--batch", 4)

        assert code == 0
        assert "small-cnn: 5 people, 18 photos, 631,493 weights; takes" in err
        assert re.search(r"about \d+\.\d s to go", err)
        assert "small-cnn: 4 people, 17 photos, 2 epochs in " in out
        assert "accuracy 52.0%, loss 0.5 on the photos it was taught" in out
        assert "left out: 1 photo that cannot be read" in out
        assert "eve_0001.png" in out

    def test_json(self, program, people, network):
        code, out, _ = program(people, "--epochs", 2, "--people", 3, "--json")

        told = json.loads(out)
        assert (code, told["schema"], told["people"], told["photos"]) == (0, 1, 3, 11)
        assert [epoch["epoch"] for epoch in told["epochs"]] == [1, 2]
        assert told["sha256"] == weights.sha256_of("small-cnn")

    def test_dry_run_trains_nothing(self, program, people, network, machine):
        machine(memory=1e6)
        code, out, _ = program(people, "--dry-run", "--json")
        told = json.loads(out)
        assert (code, network.specs) == (0, [])
        assert (told["people"], told["photos"], told["weights"]) == (5, 18, 631_493)
        assert "--people" in told["obstacle"] or "--batch" in told["obstacle"]
        code, out, _ = program(people, "--dry-run", "--without-pois", "--poi", "ann")
        what, steps, obstacle = out.splitlines()
        assert what.startswith("small-cnn-without-pois: 2 people, 4 photos")
        assert steps.startswith("10 epochs of 1 batch: roughly")
        assert obstacle.startswith("cannot be done here: ")

    def test_an_interrupted_training_is_one_line_and_130(self, program, people, network):
        network.stop_in = 2
        code, _, err = program(people, "--epochs", 3)

        assert code == 130
        assert err.splitlines()[-1].startswith("facesearch: interrupted in epoch 2 of 3")
        network.stop_in = 0
        _, out, _ = program(people, "--epochs", 3, "--dry-run")
        assert "unfinished: 1 of 3 epochs" in out
