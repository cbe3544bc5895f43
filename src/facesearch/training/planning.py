"""What a training takes, stated and checked before it starts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facesearch.errors import FacesearchError
from facesearch.runtimes.small_cnn import VALUES_PER_PHOTO, weight_count
from facesearch.training.options import TrainOptions
from facesearch.training.photos import People, choose_people, digest
from facesearch.training.unfinished import Unfinished

BYTES_PER_WEIGHT = 6 * 4
"""The weight, its gradient, Adam's two moments, and two more that Adam's step works with: for all
of LFW the process held 17.4 GB at its peak, where four numbers a weight are 9.9."""
BYTES_PER_PHOTO = 2 * 4 * VALUES_PER_PHOTO
"""What the layers make of a photo, and the gradients of it."""
PROCESS_BYTES = 700_000_000
"""TensorFlow itself."""
CHECKPOINT_BYTES = 3 * 4
"""For each weight: itself and Adam's two moments."""
SECONDS_PER_PHOTO = 0.025
SECONDS_PER_WEIGHT = 1.1e-8
"""For each step. Both were measured on two cores; the bar of a run knows better."""


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """What is going to be trained, on what, and what it takes.

    ``digest`` (SHA-256, hex) covers the names and sizes of the photos, ``weights`` counts those of
    the network while it is trained. Sizes are in bytes: ``memory`` and ``disk`` are what is needed
    at the peak, ``memory_available`` and ``disk_free`` what there is. ``seconds`` is a rough guess
    of a whole training. ``done`` epochs of an unfinished training are there.
    """

    options: TrainOptions
    folder: Path
    people: People
    digest: str
    weights: int
    memory: int
    memory_available: int
    disk: int
    disk_free: int
    seconds: float
    done: int

    @property
    def photos(self) -> int:
        """How many there are, before any is read."""
        return sum(len(photos) for photos in self.people.values())

    @property
    def batches(self) -> int:
        """Steps in an epoch."""
        return -(-self.photos // self.options.batch)

    @property
    def unfinished(self) -> Unfinished:
        """Where what is done is kept until all is."""
        return Unfinished(self.options.name)

    @property
    def obstacle(self) -> str:
        """Why it cannot be done here and what can; empty when it can."""
        if self.memory > self.memory_available:
            return (
                f"training {len(self.people):,} people needs {_gigabytes(self.memory)} of memory "
                f"and {_gigabytes(self.memory_available)} are available; {self._smaller()}"
            )
        if self.disk > self.disk_free:
            return (
                f"its checkpoints need {_gigabytes(self.disk)} and {self.unfinished.folder.parent} "
                f"has {_gigabytes(self.disk_free)} left; make room there, set FACESEARCH_HOME to "
                f"another folder, or train fewer with --people"
            )
        return ""

    def settings(self) -> dict[str, Any]:
        """All that decides what comes out, as JSON knows it."""
        return {**self.options.settings(), "photos (names and sizes)": self.digest}

    def _smaller(self) -> str:
        left = self.memory_available - PROCESS_BYTES - self.options.batch * BYTES_PER_PHOTO
        fitting = (left // BYTES_PER_WEIGHT - weight_count(0)) // (
            weight_count(1) - weight_count(0)
        )
        if fitting < 2:
            return f"close other programs, or take a --batch smaller than {self.options.batch}"
        return f"close other programs, or train the first that fit: --people {fitting}"


def make_plan(folder: Path, options: TrainOptions) -> TrainPlan:
    """Look at the folder and the machine; reads no photo.

    Raises:
        DatasetError: it is no folder of people, or leaves too few.
    """
    import psutil

    people = choose_people(folder, options)
    weights = weight_count(len(people))
    photos = sum(len(owned) for owned in people.values())
    steps = options.epochs * -(-photos // options.batch)
    batch = min(options.batch, photos)
    unfinished = Unfinished(options.name)
    return TrainPlan(
        options,
        folder,
        people,
        digest(folder, people),
        weights,
        memory=PROCESS_BYTES + weights * BYTES_PER_WEIGHT + batch * BYTES_PER_PHOTO,
        memory_available=psutil.virtual_memory().available,
        disk=2 * CHECKPOINT_BYTES * weights,
        disk_free=shutil.disk_usage(_existing(unfinished.folder)).free + unfinished.size(),
        seconds=options.epochs * photos * SECONDS_PER_PHOTO + steps * weights * SECONDS_PER_WEIGHT,
        done=unfinished.done,
    )


def require(plan: TrainPlan) -> None:
    """Refuse what cannot be done here, before anything is spent on it.

    Raises:
        FacesearchError: there is not enough memory or disk; names what would fit.
    """
    if plan.obstacle:
        raise FacesearchError(plan.obstacle)


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
