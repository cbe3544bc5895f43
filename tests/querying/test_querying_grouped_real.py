"""A burst and copies of one photo, with the real networks: one row among others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

import facesearch

pytestmark = pytest.mark.weights


def save(photo: Image.Image, path: Path, second: int | None = None, quality: int = 92) -> None:
    exif = Image.Exif()
    if second is not None:
        exif[306] = f"2019:05:04 12:00:{second:02}"
    photo.save(path, exif=exif, quality=quality)


@pytest.fixture(scope="module")
def gallery(samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("grouped")
    others = sorted((samples / "train" / "madonna").iterdir())
    (folder / "photos").mkdir()
    for photo in others[1:6]:
        shutil.copy(photo, folder / "photos")
    with Image.open(others[0]) as opened:
        photo = opened.convert("RGB").resize((600, 600 * opened.height // opened.width))
    width, height = photo.size
    for n in range(4):  # the camera moves a little
        save(photo.crop((4 * n, 3 * n, width, height)), folder / "photos" / f"burst{n}.jpg", n)
    save(photo, folder / "photos" / "sent.jpg", quality=70)
    photo.save(folder / "photos" / "same.png")
    photo.save(folder / "photos" / "same.bmp")
    facesearch.index([folder / "photos"], store=folder / "faces.npz")
    return facesearch.open(folder / "faces.npz"), folder / "photos"


def test_one_row_for_the_burst_and_its_copies(gallery):
    opened, folder = gallery
    found = opened.query(folder / "burst0.jpg", k=20, group="similar").neighbors
    rows = [{Path(near.path).name for near in (first, *first.similar)} for first in found]
    assert {"burst0.jpg", "burst1.jpg", "burst2.jpg", "burst3.jpg", "sent.jpg"} <= rows[0]
    assert {"same.png", "same.bmp"} <= rows[0]
    assert sorted(len(row) for row in rows) == [1] * 5 + [7]
