"""What a training is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from facesearch.errors import UsageError


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How the network is trained.

    ``people`` takes the first so many by name (None: all). ``without_pois`` leaves out whoever has
    exactly ``poi_photos`` photos, and those named in ``pois``. ``epochs`` is how often every photo
    is seen, ``batch`` how many photos make one step, ``seed`` decides the first weights and the
    order of photos. ``resume`` goes on with an unfinished training, ``restart`` forgets it.

    Raises:
        UsageError: options that exclude each other.
    """

    people: int | None = None
    without_pois: bool = False
    poi_photos: int = 6
    pois: tuple[str, ...] = ()
    epochs: int = 10
    batch: int = 100
    seed: int = 0
    resume: bool = False
    restart: bool = False

    def __post_init__(self) -> None:
        if self.pois and not self.without_pois:
            raise UsageError("--poi names whom to leave out; add --without-pois")
        if self.resume and self.restart:
            raise UsageError("--resume and --restart exclude each other; give one")

    @property
    def name(self) -> str:
        """The name that the weights are kept under."""
        return "small-cnn-without-pois" if self.without_pois else "small-cnn"

    def settings(self) -> dict[str, Any]:
        """All that decides what comes out, by option, as JSON knows it."""
        chosen: dict[str, Any] = {
            "--people": self.people or "all",
            "--epochs": self.epochs,
            "--batch": self.batch,
            "--seed": self.seed,
        }
        if self.without_pois:
            chosen |= {"--poi-photos": self.poi_photos, "--poi": sorted(self.pois)}
        return chosen
