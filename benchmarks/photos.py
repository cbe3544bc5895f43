"""Which photos of Labeled Faces in the Wild a measurement takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facesearch.datasets import people

POI_PHOTOS = 6
"""Whoever has exactly so many photos is searched for, as in the course reports."""


def all_photos(lfw: Path) -> list[Path]:
    return sorted(lfw.glob("*/*.jpg"))


def spread(photos: Sequence[Path], count: int | None) -> list[Path]:
    """So many photos, evenly over all of them; None for all."""
    if count is None or count >= len(photos):
        return list(photos)
    return [photos[number * len(photos) // count] for number in range(count)]


def with_pois(lfw: Path, count: int) -> list[Path]:
    """So many photos, of which half at most show people of whom all six photos are among them."""
    six = [photos for _, photos in sorted(people(lfw).items()) if len(photos) == POI_PHOTOS]
    taken = six[: max(1, count // (2 * POI_PHOTOS))]
    pois = [photo for photos in taken for photo in photos]
    left_out = {photo for photos in six for photo in photos}
    others = [photo for photo in all_photos(lfw) if photo not in left_out]
    return sorted([*pois, *spread(others, max(0, count - len(pois)))])


def link(photos: Sequence[Path], folder: Path) -> Path:
    """Links to the photos, in folders of the same names; gives the folder back."""
    for photo in photos:
        place = folder / photo.parent.name
        place.mkdir(parents=True, exist_ok=True)
        (place / photo.name).symlink_to(photo.resolve())
    return folder
