"""The cascade with the real networks, against the package's own ``detect_faces``."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facesearch.faces import Detector, load_detector, networks_of
from facesearch.recipes import DetectorOptions
from facesearch.records import Box, Face, Pixels
from facesearch.runtimes import Fetch, RuntimeOptions, make_ready


@pytest.fixture(scope="module")
def detector() -> Detector:
    options, runtime = DetectorOptions(min_score=0.8), RuntimeOptions(device="cpu")
    make_ready(networks_of(options), runtime, Fetch(offline=True))
    return load_detector(options, runtime)


@pytest.fixture(scope="module")
def package() -> Any:
    from mtcnn import MTCNN

    return MTCNN()


def _photos(lfw: Path, count: int) -> list[Path]:
    return random.Random(20).sample(sorted(lfw.glob("*/*.jpg")), count)


def _read(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))


def _pixels_apart(face: Face, expected: dict[str, Any]) -> float:
    box = [face.box.x, face.box.y, face.box.width, face.box.height]
    names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    points = [expected["keypoints"][name] for name in names]
    apart = np.abs(np.subtract(face.landmarks, points)).max()
    return float(max(apart, np.abs(np.subtract(box, expected["box"])).max()))


def _compare(detector: Detector, package: Any, photos: list[Path]) -> tuple[float, float]:
    """Shares of photos with as many faces, and of faces within a pixel."""
    same, near = [], []
    for path in photos:
        pixels = _read(path)
        ours, theirs = detector.detect(pixels, 20), package.detect_faces(pixels)
        same.append(len(ours) == len(theirs))
        for face in theirs:
            near.append(min((_pixels_apart(own, face) for own in ours), default=np.inf) <= 1)
    return float(np.mean(same)), float(np.mean(near))


@pytest.mark.lfw
def test_the_same_faces_as_the_package(detector: Detector, package: Any, lfw: Path) -> None:
    same, near = _compare(detector, package, _photos(lfw, 60))

    assert same == 1
    assert near >= 0.99


@pytest.mark.lfw
@pytest.mark.full
@pytest.mark.timeout(1800)
def test_the_same_faces_as_the_package_on_a_thousand_photos(
    detector: Detector, package: Any, lfw: Path
) -> None:
    same, near = _compare(detector, package, _photos(lfw, 1000))

    assert same >= 0.995
    assert near >= 0.99


@pytest.mark.lfw
def test_a_photos_faces_do_not_depend_on_photos_before(detector: Detector, lfw: Path) -> None:
    photos = [_read(path) for path in _photos(lfw, 12)]
    photos[3] = photos[3][:200, 20:]
    photos[7] = np.tile(photos[7], (2, 3, 1))

    first = [detector.detect(pixels, 20) for pixels in photos]
    backwards = [detector.detect(pixels, 20) for pixels in reversed(photos)][::-1]
    fresh = load_detector(DetectorOptions(min_score=0.8), RuntimeOptions(device="cpu"))

    assert any(len(faces) > 1 for faces in first)
    assert backwards == first
    assert fresh.detect(photos[7], 20) == first[7]


@pytest.mark.lfw
def test_landmarks_are_left_and_right_as_the_viewer_sees(detector: Detector, lfw: Path) -> None:
    faces = [face for path in _photos(lfw, 12) for face in detector.detect(_read(path), 60)]

    assert len(faces) >= 12
    for face in faces:
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        assert left_eye[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


@pytest.mark.lfw
def test_a_large_photo_with_many_faces_is_read_in_rows(detector: Detector, lfw: Path) -> None:
    face = _read(lfw / "Aaron_Eckhart" / "Aaron_Eckhart_0001.jpg")
    group = np.concatenate([np.concatenate([face] * 5, axis=1)] * 3, axis=0)

    found = detector.detect(group, 60)

    cells = [(face.box.center[1] // 250, face.box.center[0] // 250) for face in found]
    assert cells == [(row, column) for row in range(3) for column in range(5)]


@pytest.mark.parametrize("shape", [(1, 1), (5, 2000), (2000, 5), (20, 20), (37, 301), (300, 260)])
@pytest.mark.parametrize("value", [0, 127, 255])
def test_uniform_photos_of_any_size_have_no_faces(
    detector: Detector, shape: tuple[int, int], value: int
) -> None:
    assert detector.detect(np.full((*shape, 3), value, np.uint8), 20) == []


def test_noise_and_a_smallest_face_above_the_photo_give_no_faces(detector: Detector) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 230, 3), np.uint8)

    assert detector.detect(noise, 20) == []
    assert detector.detect(noise, 5000) == []


@pytest.mark.lfw
def test_a_smaller_smallest_face_than_the_window_is_possible(detector: Detector, lfw: Path) -> None:
    pixels = _read(lfw / "Aaron_Eckhart" / "Aaron_Eckhart_0001.jpg")
    small = np.asarray(Image.fromarray(pixels).resize((40, 40), Image.Resampling.BOX))

    assert len(detector.detect(small, 9)) == 1


def test_landmarks_of_a_drawn_box_are_near_those_found(detector: Detector, lfw: Path) -> None:
    apart = []
    for path in sorted(lfw.glob("*/*.jpg"))[::700]:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        for face in detector.detect(pixels, 40):
            drawn = detector.landmarks(pixels, face.box)
            assert len(drawn) == 5
            offsets = np.subtract(drawn, face.landmarks)
            apart.append(np.abs(offsets).max() / face.box.height)
    assert len(apart) > 10
    assert np.median(apart) < 0.04
    assert max(apart) < 0.15


def test_a_drawn_box_without_a_face_has_no_landmarks(detector: Detector) -> None:
    sky = np.full((200, 200, 3), 180, np.uint8)
    assert detector.landmarks(sky, Box(50, 50, 60, 80)) == ()
