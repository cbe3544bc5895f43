"""A folder with a folder for each person: what is in it, and what of LFW it lacks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from facesearch.datasets import PHOTO_SUFFIXES, LfwPhoto, people
from facesearch.errors import DatasetError

FIRST_PHOTO = LfwPhoto("Aaron_Eckhart", 1)
FIRST_PHOTO_SHA256 = "b68ed8d50ba85209d826b962987077bc8e1826f7f2f325469f20738e1bc8bad2"
"""One photo as LFW was first published; its funneled and aligned versions have other bytes."""


@dataclass(frozen=True, slots=True)
class LfwCheck:
    """A folder held against LFW's list of people. Photos are paths relative to the folder.

    ``missing_photos`` are those of people who are there, files without bytes among them.
    ``original`` says whether the photos are as first published, None where that cannot be told.
    """

    missing_people: tuple[str, ...]
    missing_photos: tuple[str, ...]
    extra_people: tuple[str, ...]
    extra_photos: tuple[str, ...]
    original: bool | None

    @property
    def complete(self) -> bool:
        """Whether every photo of LFW is there."""
        return not self.missing_people and not self.missing_photos


@dataclass(frozen=True, slots=True)
class FolderCheck:
    """What is in a folder: ``photos`` in folders named after ``people``, ``loose`` beside them.

    ``empty`` are photos without bytes, as paths relative to the folder. ``lfw`` is None for a
    folder that is not LFW.
    """

    folder: str
    photos: int
    people: int
    loose: int
    empty: tuple[str, ...]
    lfw: LfwCheck | None = None


def check_folder(folder: Path, as_lfw: bool | None = None) -> FolderCheck:
    """Counts a folder's photos and people and, where it is LFW, names what is missing.

    Args:
        folder: one with a folder for each person.
        as_lfw: whether it should be LFW; None takes it for LFW where at least half of its people
            are LFW's.

    Raises:
        DatasetError: the folder is missing, cannot be read or holds nobody.
    """
    found = people(folder)
    try:
        empty = {photo for photos in found.values() for photo in photos if not photo.stat().st_size}
        loose = sum(entry.suffix.lower() in PHOTO_SUFFIXES for entry in folder.iterdir())
    except OSError as error:
        raise DatasetError(f"cannot read {folder}: {error.strerror}; check the disk") from error
    if as_lfw is None:
        as_lfw = 2 * len(found.keys() & lfw_people().keys()) >= len(found)
    return FolderCheck(
        folder=str(folder),
        photos=sum(map(len, found.values())),
        people=len(found),
        loose=loose,
        empty=_relative(folder, empty),
        lfw=_against_lfw(folder, found, empty) if as_lfw else None,
    )


def lfw_people() -> dict[str, int]:
    """LFW's people in order of their names, and how many photos there are of each."""
    text = files(__package__).joinpath("people.txt").read_text(encoding="utf-8")
    return {name: int(photos) for name, photos in (line.split("\t") for line in text.splitlines())}


def _against_lfw(folder: Path, found: dict[str, list[Path]], empty: set[Path]) -> LfwCheck:
    known = lfw_people()
    wanted = {
        LfwPhoto(person, number).path(folder)
        for person in known.keys() & found.keys()
        for number in range(1, known[person] + 1)
    }
    held = {photo for person in known.keys() & found.keys() for photo in found[person]}
    return LfwCheck(
        missing_people=tuple(sorted(known.keys() - found.keys())),
        missing_photos=_relative(folder, wanted - (held - empty)),
        extra_people=tuple(sorted(found.keys() - known.keys())),
        extra_photos=_relative(folder, held - wanted),
        original=_original(folder),
    )


def _relative(folder: Path, photos: set[Path]) -> tuple[str, ...]:
    return tuple(sorted(photo.relative_to(folder).as_posix() for photo in photos))


def _original(folder: Path) -> bool | None:
    try:
        data = FIRST_PHOTO.path(folder).read_bytes()
    except OSError:
        return None  # That it is missing is told by name.
    return hashlib.sha256(data).hexdigest() == FIRST_PHOTO_SHA256
