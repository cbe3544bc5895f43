"""``facesearch train``: from a folder of people to the weights that the embedding needs."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from facesearch import weights
from facesearch.cores import cores
from facesearch.errors import InterruptedRunError
from facesearch.records import Failure
from facesearch.runtimes import small_cnn
from facesearch.runtimes.small_cnn import BatchDone, EpochDone, TrainingSpec
from facesearch.training.card import write_card
from facesearch.training.photos import LabelledPhotos
from facesearch.training.planning import TrainPlan, require
from facesearch.training.unfinished import Unfinished

_TIMED_BATCHES = 3


@dataclass(frozen=True, slots=True)
class TrainState:
    """How far a training is: ``done`` of ``total`` of ``unit``; the rest is known once the network
    is trained. ``seconds_left`` is judged by the first batches of this run.
    """

    unit: Literal["photo", "batch"]
    done: int
    total: int
    epoch: int = 0
    accuracy: float = 0.0
    loss: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class TrainHooks:
    """Where a training tells of itself, for the library prints nothing."""

    on_progress: Callable[[TrainState], None] = lambda state: None


@dataclass(frozen=True, slots=True)
class TrainSummary:
    """What was trained. ``photos`` of ``people`` were seen in each of ``epochs``; ``failures`` were
    left out. ``path`` holds the weights that the embedding needs (``sha256``, hex), ``card`` says
    what they are. ``seconds`` is how long this run took.
    """

    name: str
    people: int
    photos: int
    epochs: tuple[EpochDone, ...]
    failures: tuple[Failure, ...]
    seconds: float
    path: Path
    card: Path
    sha256: str


def train(plan: TrainPlan, hooks: TrainHooks) -> TrainSummary:
    """Train as planned, and keep the weights that the embedding needs.

    After every epoch a checkpoint is written; whatever ends the run, it can go on from there.

    Raises:
        FacesearchError: not enough memory or disk, or another process trains the same.
        UsageError: there is an unfinished training and nobody said what to do with it, or it was
            asked something else.
        DatasetError: too few photos can be read.
        ModelError: the network failed.
        WeightsError: the checkpoint cannot be read, or the disk refuses.
        InterruptedRunError: Ctrl-C; the epochs that are done are kept.
    """
    started = time.monotonic()
    options, unfinished = plan.options, plan.unfinished
    require(plan)
    with unfinished.held():
        unfinished.require_choice(options.resume, options.restart)
        run = _Run(plan, hooks, unfinished.open(plan.settings(), options.restart))
        try:
            photos = run.readable_photos()
            trained = small_cnn.train(run.spec(photos), photos, unfinished.folder, run)
        except KeyboardInterrupt as interrupt:
            raise InterruptedRunError(_interrupted(unfinished, options.epochs)) from interrupt
        facts = _facts(plan, photos, run.epochs)
        path = weights.keep(options.name, trained, facts)
        card = write_card(path, facts)
        unfinished.remove()
    return TrainSummary(
        options.name,
        len(photos.people),
        len(photos),
        tuple(run.epochs),
        tuple(photos.failures.values()),
        round(time.monotonic() - started, 3),
        path,
        card,
        weights.sha256_of(options.name),
    )


class _Run:
    """Hears from the network how far it is, keeps a record and passes it on."""

    def __init__(self, plan: TrainPlan, hooks: TrainHooks, epochs: list[EpochDone]) -> None:
        self.epochs = epochs
        self._plan = plan
        self._hooks = hooks
        self._first: tuple[int, float] | None = None

    def readable_photos(self) -> LabelledPhotos:
        photos = LabelledPhotos(self._plan.people, self._plan.options.name)
        photos.leave_out_bad(
            lambda done, total: self._hooks.on_progress(TrainState("photo", done, total))
        )
        return photos

    def spec(self, photos: LabelledPhotos) -> TrainingSpec:
        options = self._plan.options
        return TrainingSpec(
            len(photos.people), options.epochs, options.batch, options.seed, cores()
        )

    def batch_done(self, done: BatchDone) -> None:
        now = time.monotonic()
        number = (done.epoch - 1) * done.batches + done.batch
        total = self._plan.options.epochs * done.batches
        self._first = self._first or (number, now)
        timed = number - self._first[0]
        left = None
        if timed >= _TIMED_BATCHES:
            left = (now - self._first[1]) / timed * (total - number)
        self._hooks.on_progress(
            TrainState("batch", number, total, done.epoch, done.accuracy, done.loss, left)
        )

    def epoch_done(self, done: EpochDone) -> None:
        self.epochs.append(done)
        self._plan.unfinished.record(self.epochs)


def _interrupted(unfinished: Unfinished, epochs: int) -> str:
    if not unfinished.done:
        return "interrupted before the first epoch was done; the same command starts again"
    return (
        f"interrupted in epoch {unfinished.done + 1} of {epochs}; {unfinished.done} are kept in "
        f"{unfinished.folder}: go on with the same command and --resume"
    )


def _facts(plan: TrainPlan, photos: LabelledPhotos, epochs: list[EpochDone]) -> dict[str, Any]:
    """What the card says of the weights, as JSON knows it."""
    options = plan.options
    packages = ("facesearch", "tensorflow", "keras", "numpy", "pillow")
    return {
        "people": len(photos.people),
        "photos": len(photos),
        "without_pois": options.without_pois,
        "poi_photos": options.poi_photos if options.without_pois else None,
        "pois": sorted(options.pois),
        "epochs": options.epochs,
        "batch": options.batch,
        "seed": options.seed,
        "accuracy": round(epochs[-1].accuracy, 6),
        "loss": round(epochs[-1].loss, 6),
        "folder": str(plan.folder.absolute()),
        "folder_digest": plan.digest,
        "left_out": len(photos.failures),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in packages},
    }
