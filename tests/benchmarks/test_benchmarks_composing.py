from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from benchmarks.composing import FORMATS, GROUP, SINGLE, Scene, compose, write
from benchmarks.photos import all_photos
from PIL import Image

SMALL = Scene(800, 600, (1, 4), (0.04, 0.40))


@pytest.fixture
def lfw_like(faces_folder):
    return all_photos(faces_folder)


def test_the_same_seed_gives_the_same_pixels(lfw_like):
    first, again, other = (compose(SMALL, lfw_like, seed) for seed in (3, 3, 4))
    assert first.picture.tobytes() == again.picture.tobytes()
    assert first.faces == again.faces
    assert first.picture.tobytes() != other.picture.tobytes()


def test_faces_are_as_many_and_as_large_as_asked_and_lie_apart(lfw_like):
    heights = []
    for seed in range(40):
        made = compose(SMALL, lfw_like, seed)
        assert made.picture.size == (800, 600)
        assert 1 <= len(made.faces) <= 4
        for x, y, width, height in made.faces:
            assert 0 <= x < x + width <= 800
            assert 0 <= y < y + height <= 600
            heights.append(height / 600)
        for (x, y, w, h), (a, b, c, d) in combinations(made.faces, 2):
            assert x + w <= a or a + c <= x or y + h <= b or b + d <= y
    assert 0.039 <= min(heights) < 0.08
    assert 0.25 < max(heights) <= 0.401


def test_the_group_is_24_faces_in_24_megapixels(lfw_like):
    assert GROUP.width * GROUP.height == 24_000_000
    assert SINGLE.width * SINGLE.height == 12_000_000
    smaller = replace(GROUP, width=GROUP.width // 5, height=GROUP.height // 5)
    assert all(len(compose(smaller, lfw_like, seed).faces) == 24 for seed in range(5))


def test_a_face_is_where_it_is_said_to_be(lfw_like):
    scene = replace(SMALL, faces=(1, 1), shares=(0.3, 0.3))
    ((x, y, width, height),) = compose(scene, lfw_like, 1).faces
    middle = int(x + width / 2), int(y + height / 2)
    assert height == pytest.approx(180, abs=2)
    plain = compose(replace(scene, faces=(0, 0)), lfw_like, 1).picture
    with_face = compose(scene, lfw_like, 1).picture
    difference = np.abs(np.asarray(plain, int) - np.asarray(with_face, int)).max(axis=2)
    assert difference[middle[1] - 20 : middle[1] + 20, middle[0] - 20 : middle[0] + 20].mean() > 5


@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_is_written_in_full_size(lfw_like, tmp_path, format_):
    made = compose(SMALL, lfw_like, 0)
    file = write(made.picture, tmp_path / f"a.{format_}")
    with Image.open(file) as read:
        assert read.format == {"jpg": "JPEG", "heic": "HEIF", "png": "PNG"}[format_]
        assert read.size == (800, 600)
        away = np.abs(np.asarray(read.convert("RGB"), int) - np.asarray(made.picture, int))
    assert away.mean() < 6
