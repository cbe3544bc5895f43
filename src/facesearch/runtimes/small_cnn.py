"""Training the small network of the second course report, with a checkpoint after every epoch."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facesearch.errors import FacesearchError, ModelError, WeightsError
from facesearch.runtimes.keras_h5 import write_weights
from facesearch.runtimes.small_cnn_layers import DIM, SIDE, convolutions
from facesearch.runtimes.tensorflow_start import import_tensorflow
from facesearch.weights.cache import disk_errors

CONVOLUTION_WEIGHTS = 93_248
"""3x3 from 3 to 32, from 32 to 64 and from 64 to 128 channels, each with its biases."""
VALUES_PER_PHOTO = 4_391_596
"""The pixels of a photo and all that the layers make of them, as numbers of 4 bytes."""

_CHECKPOINT = "epoch-{:04d}"
_CHECKPOINTS = re.compile(r"epoch-(\d+)")


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """What is trained: one output for each of ``people``, all photos ``epochs`` times in batches
    of ``batch``. ``seed`` decides the first weights and the order of photos; ``threads`` is how
    many work on one operation.
    """

    people: int
    epochs: int = 10
    batch: int = 100
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True, slots=True)
class BatchDone:
    """``batch`` of ``batches`` in ``epoch``, both from 1. ``accuracy`` (0..1) and ``loss`` are
    means over the epoch so far.
    """

    epoch: int
    batch: int
    batches: int
    accuracy: float
    loss: float


@dataclass(frozen=True, slots=True)
class EpochDone:
    """An epoch, counted from 1. ``accuracy`` (0..1) and ``loss`` are means over its photos, each
    as the network stood when it saw that photo.
    """

    epoch: int
    accuracy: float
    loss: float
    seconds: float


class TrainingPhotos(Protocol):
    """Photos with the number of the person they show."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def load(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Read photos by number, from 0; called from another thread.

        Returns:
            (n, 250, 250, 3) RGB, 0..255, and (n,) people, from 0; those that cannot be read any
            more are left out.

        Raises:
            FacesearchError: not one of them can be read.
        """
        ...


class Listener(Protocol):
    """Is told how far the training is."""

    def batch_done(self, done: BatchDone) -> None:
        """After every batch."""
        ...

    def epoch_done(self, done: EpochDone) -> None:
        """After every epoch, before its checkpoint is written."""
        ...


def weight_count(people: int) -> int:
    """How many weights the network has that tells ``people`` apart."""
    return CONVOLUTION_WEIGHTS + people * (DIM + 1)


def epochs_done(folder: Path) -> int:
    """The epoch that the newest checkpoint in ``folder`` was written after; 0 without one."""
    found = (_CHECKPOINTS.fullmatch(path.name) for path in folder.glob("epoch-*"))
    return max((int(match[1]) for match in found if match), default=0)


def train(spec: TrainingSpec, photos: TrainingPhotos, folder: Path, listener: Listener) -> Path:
    """Train from the newest checkpoint in ``folder`` on, or from new weights.

    A training that was stopped and goes on sees the same photos in the same order as one that was
    not.

    Returns:
        A file in ``folder`` with the weights of the convolutions, which the embedding needs.

    Raises:
        ModelError: TensorFlow cannot be loaded, or fails.
        WeightsError: the checkpoint cannot be read, or nothing can be written.
        FacesearchError: what ``photos.load`` raises.
    """
    tf = import_tensorflow(spec.threads)
    import keras

    model = _new_model(keras, spec)
    start = _restore(tf, model, folder)
    epochs = _Epochs(spec, photos, listener)
    callbacks = [
        keras.callbacks.LambdaCallback(
            on_epoch_begin=epochs.begin, on_train_batch_end=epochs.batch, on_epoch_end=epochs.end
        ),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: _write_checkpoint(tf, model, folder, epoch + 1)
        ),
    ]
    try:
        model.fit(
            epochs.dataset(tf),
            initial_epoch=start,
            epochs=spec.epochs,
            shuffle=False,  # the order is already the epoch's own
            callbacks=callbacks,
            verbose=0,
        )
    except FacesearchError:
        raise
    except Exception as error:  # whatever TensorFlow makes of what happened in its threads
        if epochs.failure is not None:
            raise epochs.failure from error
        reason = " ".join(str(error).split())[:300]
        raise ModelError(f"training failed: {type(error).__name__} {reason}") from error
    target = folder / "embedding.h5"
    with disk_errors(target):
        write_weights(keras.Sequential(model.layers[:-1]), target)
    return target


class _Epochs:
    """Feeds the photos of each epoch in an order of its own, and tells what came of them."""

    def __init__(self, spec: TrainingSpec, photos: TrainingPhotos, listener: Listener) -> None:
        self._spec = spec
        self._photos = photos
        self._listener = listener
        self._batches = -(-len(photos) // spec.batch)
        self._epoch = 0
        self._started = 0.0
        self.failure: FacesearchError | None = None

    def dataset(self, tf: Any) -> Any:
        """The batches of one epoch, read while the one before is computed."""
        shapes = (
            tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32),
            tf.TensorSpec((None,), tf.int64),
        )
        batches = tf.data.Dataset.from_generator(self._load, output_signature=shapes)
        counted = batches.apply(tf.data.experimental.assert_cardinality(self._batches))
        return counted.prefetch(1)

    def begin(self, epoch: int, _logs: Any) -> None:
        self._epoch = epoch
        self._started = time.monotonic()

    def batch(self, batch: int, logs: Any) -> None:
        accuracy, loss = float(logs["accuracy"]), float(logs["loss"])
        self._listener.batch_done(
            BatchDone(self._epoch + 1, batch + 1, self._batches, accuracy, loss)
        )

    def end(self, epoch: int, logs: Any) -> None:
        seconds = time.monotonic() - self._started
        done = EpochDone(epoch + 1, float(logs["accuracy"]), float(logs["loss"]), seconds)
        self._listener.epoch_done(done)

    def _load(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        order = np.random.default_rng([self._spec.seed, self._epoch]).permutation(len(self._photos))
        try:
            for number in range(self._batches):
                start = number * self._spec.batch
                yield self._photos.load(order[start : start + self._spec.batch])
        except FacesearchError as error:
            self.failure = error  # TensorFlow passes on nothing but its text
            raise


def _new_model(keras: Any, spec: TrainingSpec) -> Any:
    """The network with weights from the seed alone, whatever else the process has drawn."""
    first, *rest = np.random.SeedSequence(spec.seed).generate_state(4) >> 1  # as int32 knows them
    layers = convolutions(keras)
    output = keras.layers.Dense(
        spec.people,
        activation="softmax",
        kernel_initializer=keras.initializers.GlorotUniform(int(first)),
        name="people",
    )
    model = keras.Sequential([keras.layers.Input((SIDE, SIDE, 3)), *layers, output])
    for layer, seed in zip((layer for layer in layers if layer.weights), rest, strict=True):
        draw = keras.initializers.GlorotUniform(int(seed))
        layer.kernel.assign(draw(layer.kernel.shape))
    # Compiled by XLA, a step on a CPU took twice the time and three times the memory.
    model.compile(
        keras.optimizers.Adam(),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


def _checkpoint(tf: Any, model: Any) -> Any:
    """All that a training is, as TensorFlow writes it: straight from where the numbers are, while
    Keras's ``save_weights`` holds two more copies of the largest array.
    """
    model.optimizer.build(model.trainable_variables)
    return tf.train.Checkpoint(
        weights=[variable.value for variable in model.weights],
        optimizer=[variable.value for variable in model.optimizer.variables],
    )


def _restore(tf: Any, model: Any, folder: Path) -> int:
    """Load the newest checkpoint, Adam's moments with it; how many epochs are done."""
    done = epochs_done(folder)
    if not done:
        return 0
    path = folder / _CHECKPOINT.format(done)
    try:
        _checkpoint(tf, model).read(str(path / "training")).assert_consumed()
    except Exception as error:  # whatever TensorFlow raises, it is no checkpoint of this network
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"{path}: the checkpoint cannot be read ({reason}); start over with --restart"
        ) from error
    return done


def _write_checkpoint(tf: Any, model: Any, folder: Path, epoch: int) -> None:
    """Keras's own ``BackupAndRestore`` overwrites its files in place: a kill in between leaves
    weights and an epoch that disagree. Here the one before stays until the new one is whole.
    """
    target = folder / _CHECKPOINT.format(epoch)
    partial = folder / "partial"
    with disk_errors(target):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _checkpoint(tf, model).write(str(partial / "training"))
        except tf.errors.OpError as error:
            raise OSError(None, " ".join(str(error).split())[:200]) from error
        for file in partial.iterdir():
            with file.open("rb+") as stream:
                os.fsync(stream.fileno())
        partial.rename(target)
        for older in folder.glob("epoch-*"):
            if older != target:
                shutil.rmtree(older)
