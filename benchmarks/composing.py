"""Large photos with known faces: photos of Labeled Faces in the Wild set onto real backgrounds.

    python -m benchmarks.composing FOLDER [--lfw FOLDER] [--photos N] [--format jpg|heic|png]

A background is made of corners of other photos, where faces seldom are, enlarged, blurred and given
the grain of a camera. The same seed gives the same pixels.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.photos import all_photos

FORMATS = ("jpg", "heic", "png")
_CORNER = 70
"""Side of the part of an LFW photo, 250 pixels wide, that a background takes."""
_HEAD = (45, 30, 205, 230)
"""The part of an LFW photo that is set in: the head with some of its surroundings."""
_FACE = 112.0
"""Height of a face in an LFW photo, about."""
_GRAIN = 4.0
_TRIES = 200


@dataclass(frozen=True, slots=True)
class Scene:
    """What to compose: a size in pixels, how many faces from .. to, and their height as a share of
    the shorter side from .. to, spread evenly over the logarithm.
    """

    width: int
    height: int
    faces: tuple[int, int]
    shares: tuple[float, float]


SINGLE = Scene(4000, 3000, (1, 4), (0.04, 0.40))
"""12 megapixels, as a telephone takes them."""
GROUP = Scene(6000, 4000, (24, 24), (0.05, 0.09))
"""24 megapixels with 24 faces."""


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """A photo and where its faces are, x, y, width, height in its pixels."""

    picture: Image.Image
    faces: tuple[tuple[float, float, float, float], ...]


def compose(scene: Scene, lfw: Sequence[Path], seed: int) -> Composed:
    """One photo. Faces lie apart; one that finds no place in many tries is left out."""
    rng = np.random.default_rng(seed)
    canvas = _background(scene, lfw, rng)
    low, high = np.log(scene.shares)
    wanted = int(rng.integers(scene.faces[0], scene.faces[1] + 1))
    heights = sorted(np.exp(rng.uniform(low, high, wanted)), reverse=True)
    taken: list[tuple[int, int, int, int]] = []
    faces = []
    for share in heights:
        factor = share * min(scene.width, scene.height) / _FACE
        size = _size(factor)
        place = _place(scene, size, taken, rng)
        if place is None:
            continue
        taken.append((*place, *size))
        photo = lfw[int(rng.integers(len(lfw)))]
        _set_in(canvas, photo, place, size)
        faces.append(_face_box(place, factor))
    return Composed(_grained(canvas, rng), tuple(faces))


def write(picture: Image.Image, target: Path) -> Path:
    """As a camera would, by the target's suffix."""
    if target.suffix == ".heic":
        import pillow_heif

        pillow_heif.register_heif_opener()
        # The encoder's own setting takes a minute for what a telephone's chip does at once.
        picture.save(target, quality=55, enc_params={"preset": "ultrafast"})
    elif target.suffix == ".png":
        picture.save(target, compress_level=3)
    else:
        picture.save(target, quality=92, subsampling="4:2:0")
    return target


def _size(factor: float) -> tuple[int, int]:
    return round((_HEAD[2] - _HEAD[0]) * factor), round((_HEAD[3] - _HEAD[1]) * factor)


def _face_box(place: tuple[int, int], factor: float) -> tuple[float, float, float, float]:
    """Faces are in the middle of LFW's photos."""
    width, height = 0.78 * _FACE * factor, _FACE * factor
    x = place[0] + (125 - _HEAD[0]) * factor - width / 2
    y = place[1] + (125 - _HEAD[1]) * factor - height / 2
    return x, y, width, height


def _background(scene: Scene, lfw: Sequence[Path], rng: np.random.Generator) -> Image.Image:
    canvas = Image.new("RGB", (scene.width, scene.height))
    columns, rows = 3, 2
    size = -(-scene.width // columns), -(-scene.height // rows)
    for column in range(columns):
        for row in range(rows):
            with Image.open(lfw[int(rng.integers(len(lfw)))]) as photo:
                x, y = (int(rng.integers(2)) * (side - _CORNER) for side in photo.size)
                corner = photo.convert("RGB").crop((x, y, x + _CORNER, y + _CORNER))
            enlarged = corner.resize(size, Image.Resampling.BICUBIC)
            canvas.paste(enlarged, (column * size[0], row * size[1]))
    return canvas.filter(ImageFilter.GaussianBlur(scene.width / 400))


def _place(
    scene: Scene,
    size: tuple[int, int],
    taken: Sequence[tuple[int, int, int, int]],
    rng: np.random.Generator,
) -> tuple[int, int] | None:
    """A free corner for a picture of that size, None where there is none."""
    width, height = size
    if width > scene.width or height > scene.height:
        return None
    for _ in range(_TRIES):
        x = int(rng.integers(scene.width - width + 1))
        y = int(rng.integers(scene.height - height + 1))
        apart = (
            x + width <= left or left + w <= x or y + height <= top or top + h <= y
            for left, top, w, h in taken
        )  # fmt: skip
        if all(apart):
            return x, y
    return None


def _set_in(
    canvas: Image.Image, photo: Path, place: tuple[int, int], size: tuple[int, int]
) -> None:
    """With soft edges, so that no frame is seen."""
    with Image.open(photo) as opened:
        head = opened.convert("RGB").crop(_HEAD).resize(size, Image.Resampling.BICUBIC)
    width, height = (round(side * 0.88) for side in size)
    mask = Image.new("L", size)
    mask.paste(255, (size[0] - width, size[1] - height, width, height))
    mask = mask.filter(ImageFilter.GaussianBlur(min(size) * 0.03))
    canvas.paste(head, place, mask)


def _grained(canvas: Image.Image, rng: np.random.Generator) -> Image.Image:
    pixels = np.asarray(canvas, np.float32)
    grain = rng.standard_normal(pixels.shape[:2], np.float32)[..., None] * _GRAIN
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--lfw", type=Path, default=os.environ.get("FACESEARCH_LFW", "../shared/lfw")
    )
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--format", choices=FORMATS, default="jpg")
    parser.add_argument("--group", action="store_true", help="24 megapixels with 24 faces")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    lfw = all_photos(options.lfw)
    scene = GROUP if options.group else SINGLE
    for seed in range(options.photos):
        composed = compose(scene, lfw, seed)
        target = options.folder / f"{seed:03}.{options.format}"
        write(composed.picture, target)
        print(target, len(composed.faces))


if __name__ == "__main__":
    main()
