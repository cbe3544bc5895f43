"""The photos that a network is trained on, and whom they show."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facesearch import datasets
from facesearch.errors import DatasetError, PhotoError
from facesearch.faces.crop import crop_faces
from facesearch.photos import PhotoLimits, read_photo
from facesearch.recipes import Recipe
from facesearch.records import Face, Failure, Pixels
from facesearch.systems import find_system
from facesearch.training.options import TrainOptions

People = Mapping[str, list[Path]]


def choose_people(folder: Path, options: TrainOptions) -> dict[str, list[Path]]:
    """The people of the folder that the options ask for, by name, with their photos.

    Raises:
        DatasetError: it is no folder of people, somebody named is not there, or too few are left.
    """
    everybody = datasets.people(folder)
    strangers = [name for name in options.pois if name not in everybody]
    if strangers:
        raise DatasetError(f"{folder}: has nobody named {', '.join(strangers)}; see --poi")
    if options.without_pois:
        everybody = {
            person: photos
            for person, photos in everybody.items()
            if len(photos) != options.poi_photos and person not in options.pois
        }
    wanted = len(everybody) if options.people is None else options.people
    if len(everybody) < max(wanted, 2):
        raise DatasetError(
            f"{folder}: leaves {len(everybody):,} people where {max(wanted, 2):,} are needed; "
            "give another folder or another --people"
        )
    return dict(list(everybody.items())[:wanted])


def digest(folder: Path, people: People) -> str:
    """SHA-256 (hex) over the photos' paths below the folder and their sizes, in order of paths.

    Raises:
        DatasetError: a photo's size cannot be read.
    """
    whole = hashlib.sha256()
    for path in sorted(path for photos in people.values() for path in photos):
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DatasetError(
                f"{path}: {error.strerror}; leave it out or copy it again"
            ) from error
        name = path.relative_to(folder).as_posix()
        whole.update(f"{name}\0{size}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


class LabelledPhotos:
    """Photos with the number of the person they show, read when their turn comes.

    Every photo is brought to the network's input as it will be when it is embedded.

    Attributes:
        people: names; their places are the numbers.
        failures: photos that could not be read, by path.
    """

    def __init__(self, people: People, system: str) -> None:
        self.people: list[str] = []
        self.failures: dict[Path, Failure] = {}
        self._recipe = find_system(system).recipe
        self._paths = [path for photos in people.values() for path in photos]
        self._labels = [person for person, photos in people.items() for _ in photos]
        self._number(self._labels)

    def __len__(self) -> int:
        return len(self._paths)

    def leave_out_bad(self, tell: Callable[[int, int], None]) -> None:
        """Read every photo once and leave out what cannot be, and people of whom nothing is left.

        Args:
            tell: called with how many of how many are read.

        Raises:
            DatasetError: fewer than two people are left.
        """
        good = []
        for number, path in enumerate(self._paths, 1):
            if self._read(path) is not None:
                good.append(number - 1)
            tell(number, len(self._paths))
        self._paths = [self._paths[number] for number in good]
        self._labels = [self._labels[number] for number in good]
        self._number(self._labels)
        if len(self.people) < 2:
            raise DatasetError(
                f"photos of {len(self.people)} people can be read where 2 are needed; "
                f"the first that cannot: {next(iter(self.failures.values())).message}"
            )

    def load(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See ``facesearch.runtimes.small_cnn.TrainingPhotos``."""
        read = {int(number): self._read(self._paths[number]) for number in chosen}
        found = {number: pixels for number, pixels in read.items() if pixels is not None}
        if not found:
            raise DatasetError(
                f"{self._paths[chosen[0]]}: neither this photo nor any other of its batch can be "
                "read any more; bring the folder back and go on with --resume"
            )
        pixels = np.stack(list(found.values())).astype(np.float32)
        return pixels, np.array([self._numbers[self._labels[number]] for number in found])

    def _number(self, labels: list[str]) -> None:
        self.people = list(dict.fromkeys(labels))
        self._numbers = {person: number for number, person in enumerate(self.people)}

    def _read(self, path: Path) -> Pixels | None:
        try:
            return network_input(path, self._recipe)
        except PhotoError as error:
            self.failures[path] = Failure(str(path), error.reason, str(error))
            return None


def network_input(path: Path, recipe: Recipe) -> Pixels:
    """A photo as a whole-photo recipe has it before it is embedded: (side, side, 3) RGB.

    Raises:
        PhotoError: it cannot be read.
    """
    photo = read_photo(path, PhotoLimits(max_side=recipe.max_side))
    whole = Face(None, (), 1.0)
    crops = crop_faces(photo.pixels, [whole], recipe.crop, recipe.extractor.input_size)
    pixels: Pixels = crops[0]
    return pixels
