"""The small network learns, goes on where it was stopped, and embeds with what was kept of it."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from facesearch import weights
from facesearch.errors import DatasetError, WeightsError
from facesearch.runtimes import NetworkSpec, load_network, small_cnn
from facesearch.runtimes.small_cnn import BatchDone, EpochDone, TrainingSpec

SPEC = TrainingSpec(people=3, epochs=3, batch=4, seed=5)
PHOTOS = 9


class ColorPhotos:
    """Three people, each known by a colour; remembers what was read."""

    def __init__(self) -> None:
        self.read: list[list[int]] = []

    def __len__(self) -> int:
        return PHOTOS

    def load(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        self.read.append(chosen.tolist())
        people = chosen % 3
        noise = np.random.default_rng(chosen).uniform(0, 60, (len(chosen), 250, 250, 3))
        noise[np.arange(len(chosen)), :, :, people] += 190
        return noise.astype(np.float32), people

    @property
    def epochs(self) -> list[list[int]]:
        """The photos read in each epoch, in order."""
        order = [number for batch in self.read for number in batch]
        return [order[start : start + PHOTOS] for start in range(0, len(order), PHOTOS)]


class Ear:
    """Hears all; ``stop_at`` is the batch of the whole training at which it interrupts."""

    def __init__(self, stop_at: int = 0) -> None:
        self.batches: list[BatchDone] = []
        self.epochs: list[EpochDone] = []
        self._stop_at = stop_at

    def batch_done(self, done: BatchDone) -> None:
        self.batches.append(done)
        if len(self.batches) == self._stop_at:
            raise KeyboardInterrupt

    def epoch_done(self, done: EpochDone) -> None:
        self.epochs.append(done)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    import h5py

    found: dict[str, NDArray[Any]] = {}
    with h5py.File(path, "r") as file:
        file.visititems(
            lambda name, item: found.update({name: item[()]}) if hasattr(item, "dtype") else None
        )
    return found


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ear, ColorPhotos]:
    """A training that nobody stopped: its folder, what it told, what it read."""
    folder, ear, photos = tmp_path_factory.mktemp("straight"), Ear(), ColorPhotos()
    small_cnn.train(SPEC, photos, folder, ear)
    return folder, ear, photos


def test_it_has_the_reports_619_million_weights() -> None:
    assert small_cnn.weight_count(5_749) == 618_967_349


def test_it_learns_and_tells_of_every_batch_and_epoch(
    straight: tuple[Path, Ear, ColorPhotos],
) -> None:
    _, ear, photos = straight

    assert ear.epochs[-1].loss < ear.epochs[0].loss / 5
    assert ear.epochs[-1].accuracy > ear.epochs[0].accuracy
    assert [done.epoch for done in ear.epochs] == [1, 2, 3]
    places = [(done.epoch, done.batch, done.batches) for done in ear.batches]
    assert places == [(epoch, batch, 3) for epoch in (1, 2, 3) for batch in (1, 2, 3)]
    assert [len(batch) for batch in photos.read] == [4, 4, 1] * 3


def test_every_epoch_sees_every_photo_once_in_another_order(
    straight: tuple[Path, Ear, ColorPhotos],
) -> None:
    _, _, photos = straight

    assert [sorted(epoch) for epoch in photos.epochs] == [list(range(PHOTOS))] * 3
    assert len({tuple(epoch) for epoch in photos.epochs}) == 3


def test_stopped_and_resumed_equals_never_stopped(
    straight: tuple[Path, Ear, ColorPhotos], tmp_path: Path
) -> None:
    folder, ear, photos = straight
    with pytest.raises(KeyboardInterrupt):
        small_cnn.train(SPEC, ColorPhotos(), tmp_path, Ear(stop_at=5))
    assert small_cnn.epochs_done(tmp_path) == 1
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / "training.index").write_bytes(b"torn while it was written")

    later, read = Ear(), ColorPhotos()
    small_cnn.train(SPEC, read, tmp_path, later)

    assert [done.epoch for done in later.epochs] == [2, 3]
    assert read.epochs == photos.epochs[1:]
    assert later.epochs[-1].loss == pytest.approx(ear.epochs[-1].loss, rel=1e-3)
    kept = _arrays(tmp_path / "embedding.h5")
    assert len(kept) == 6
    for name, array in _arrays(folder / "embedding.h5").items():
        np.testing.assert_allclose(kept[name], array, atol=1e-5, err_msg=name)


def test_one_checkpoint_is_left_and_trained_to_the_end_it_trains_no_more(
    straight: tuple[Path, Ear, ColorPhotos],
) -> None:
    folder, _, _ = straight
    again, read = Ear(), ColorPhotos()

    path = small_cnn.train(SPEC, read, folder, again)

    assert sorted(entry.name for entry in folder.iterdir()) == [
        "embedding.h5",
        "epoch-0003",
    ]
    assert path == folder / "embedding.h5"
    assert again.epochs == []


def test_kept_weights_embed_as_the_trained_network_does(
    straight: tuple[Path, Ear, ColorPhotos], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras
    import tensorflow as tf

    monkeypatch.setenv("FACESEARCH_HOME", str(tmp_path))
    folder, _, photos = straight
    weights.keep("small-cnn", folder / "embedding.h5", {})
    trained = small_cnn._new_model(keras, SPEC)
    untrained = keras.Sequential(trained.layers[:-1])
    pixels, _ = photos.load(np.arange(3))
    before = untrained(pixels).numpy()
    assert small_cnn._restore(tf, trained, folder) == 3

    embedded = load_network(NetworkSpec("small-cnn"))(pixels)["embedding"]

    assert trained.count_params() == small_cnn.weight_count(3)
    assert embedded.shape == (3, 107_648)
    np.testing.assert_allclose(embedded, untrained(pixels).numpy(), rtol=1e-4, atol=1e-3)
    assert np.abs(embedded - before).max() > 0.1


def test_another_seed_has_other_first_weights_and_the_same_the_same() -> None:
    import keras

    def first(seed: int) -> list[NDArray[Any]]:
        model = small_cnn._new_model(keras, TrainingSpec(people=2, seed=seed))
        return [weight for weight in model.get_weights() if weight.any()]  # biases begin at 0

    once, again, other = first(1), first(1), first(2)
    assert len(once) == 4
    assert all(np.array_equal(one, two) for one, two in zip(once, again, strict=True))
    assert not any(np.array_equal(one, two) for one, two in zip(once, other, strict=True))


def test_a_checkpoint_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "epoch-0002").mkdir()
    (tmp_path / "epoch-0002" / "training.index").write_bytes(b"no checkpoint at all")

    with pytest.raises(WeightsError, match=r"epoch-0002.*--restart"):
        small_cnn.train(SPEC, ColorPhotos(), tmp_path, Ear())


def test_a_checkpoint_of_another_network_is_refused(
    straight: tuple[Path, Ear, ColorPhotos],
) -> None:
    folder, _, _ = straight

    with pytest.raises(WeightsError, match=r"epoch-0003.*--restart"):
        small_cnn.train(TrainingSpec(people=4, epochs=4), ColorPhotos(), folder, Ear())


def test_what_is_wrong_with_the_photos_comes_out_as_itself(tmp_path: Path) -> None:
    class Gone(ColorPhotos):
        def load(self, chosen: NDArray[np.int64]) -> Any:
            raise DatasetError("the disk was pulled out")

    with pytest.raises(DatasetError, match=r"^the disk was pulled out$"):
        small_cnn.train(SPEC, Gone(), tmp_path, Ear())


def test_a_full_disk_is_told_and_the_checkpoint_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    class Filling(Ear):
        def epoch_done(self, done: EpochDone) -> None:
            if done.epoch == 2:
                monkeypatch.setattr("os.fsync", full)

    with pytest.raises(WeightsError, match=r"epoch-0002.*No space left"):
        small_cnn.train(SPEC, ColorPhotos(), tmp_path, Filling())
    assert small_cnn.epochs_done(tmp_path) == 1
