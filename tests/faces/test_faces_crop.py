import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facesearch.errors import UsageError
from facesearch.faces import load_detector
from facesearch.faces.crop import CUTTERS, RESAMPLINGS, TEMPLATE, crop_faces, sharpness
from facesearch.recipes import CropOptions, DetectorOptions
from facesearch.records import Box, Face, Pixels
from facesearch.runtimes import RuntimeOptions

LANDMARKS = ((40.0, 50.0), (60.0, 50.0), (50.0, 62.0), (42.0, 73.0), (58.0, 73.0))


def _ramps(height: int = 120, width: int = 100) -> Pixels:
    """Red grows to the right, green downwards."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width)
    pixels[..., 1] = np.arange(height)[:, None]
    return pixels


def _face(box: Box, landmarks: tuple[tuple[float, float], ...] = LANDMARKS) -> Face:
    return Face(box, landmarks, 0.9)


def test_the_margin_is_a_share_of_the_longer_side_on_each_side() -> None:
    crop = crop_faces(
        _ramps(), [_face(Box(30, 40, 20, 40))], CropOptions(name="margin", margin=0.25), 60
    )[0]

    # 10 pixels each way: x 20..60, y 30..90, stretched to 60 pixels.
    assert (crop[0, 0, 0], crop[0, -1, 0]) == (20, 59)
    assert (crop[0, 0, 1], crop[-1, 0, 1]) == (30, 89)


def test_the_square_keeps_proportions() -> None:
    options = CropOptions(name="square", margin=0.0)
    crop = crop_faces(_ramps(), [_face(Box(30, 40, 20, 40))], options, 40)[0]

    assert (crop[0, 0, 0], crop[0, -1, 0]) == (20, 59)
    assert (crop[0, 0, 1], crop[-1, 0, 1]) == (40, 79)


def test_a_crop_ends_where_the_photo_ends() -> None:
    crop = crop_faces(
        _ramps(), [_face(Box(0, 80, 50, 39))], CropOptions(name="margin", margin=0.1), 55
    )[0]

    assert crop[0, 0, 0] == 0
    assert crop[-1, 0, 1] == 119


@pytest.mark.parametrize("size", [20, 224, 250, 400])
def test_a_whole_photo_is_what_pillow_makes_of_it(size: int) -> None:
    """Shrunk, grown, and in one direction each; on the pixel."""
    photo = Image.fromarray(np.random.default_rng(1).integers(0, 256, (120, 250, 3), np.uint8))
    options = CropOptions("whole", 0.0, "cubic")

    crop = crop_faces(np.asarray(photo), [Face(None, (), 1.0)], options, size)[0]

    np.testing.assert_array_equal(crop, np.asarray(photo.resize((size, size))))


@pytest.mark.parametrize("resampling", RESAMPLINGS)
def test_a_whole_photo_of_the_right_size_stays_as_it_is(resampling: str) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (250, 250, 3), np.uint8)
    options = CropOptions("whole", 0.0, resampling)

    assert (crop_faces(photo, [Face(None, (), 1.0)], options, 250)[0] == photo).all()


@pytest.mark.parametrize("name", ["margin", "square", "aligned"])
def test_where_there_is_no_box_no_face_is_cut_out(name: str) -> None:
    with pytest.raises(UsageError, match="no box"):
        crop_faces(_ramps(), [Face(None, (), 1.0)], CropOptions(name), 32)


def test_without_a_detector_the_photo_is_the_one_item() -> None:
    detector = load_detector(DetectorOptions("none"), RuntimeOptions())

    assert detector.detect(_ramps(), 0.0) == [Face(None, (), 1.0)]
    assert detector.landmarks(_ramps(), Box(0, 0, 9, 9)) == ()


@pytest.mark.parametrize("resampling", RESAMPLINGS)
@pytest.mark.parametrize("name", CUTTERS)
@given(
    x=st.floats(-30, 99), y=st.floats(-30, 119), width=st.floats(0.1, 300),
    height=st.floats(0.1, 300), margin=st.floats(0, 1),
)  # fmt: skip
def test_any_box_that_touches_the_photo_gives_a_crop(
    name: str, resampling: str, x: float, y: float, width: float, height: float, margin: float
) -> None:
    face = _face(Box(x, y, max(width, 0.1 - x), max(height, 0.1 - y)))

    crops = crop_faces(_ramps(), [face, face], CropOptions(name, margin, resampling), 32)

    assert crops.shape == (2, 32, 32, 3)
    assert crops.dtype == np.uint8
    assert (crops[0] == crops[1]).all()


def test_no_faces_no_crops() -> None:
    assert crop_faces(_ramps(), [], CropOptions(), 160).shape == (0, 160, 160, 3)


@pytest.mark.parametrize("box", [Box(-80, 10, 40, 40), Box(10, 300, 40, 40)])
def test_a_box_outside_the_photo_is_refused(box: Box) -> None:
    with pytest.raises(UsageError, match="outside the photo"):
        crop_faces(_ramps(), [_face(box)], CropOptions(name="margin", margin=0.1), 32)


def test_unknown_ways_are_refused_with_the_known_ones() -> None:
    face = _face(Box(30, 40, 20, 40))
    with pytest.raises(UsageError, match="margin, square, aligned"):
        crop_faces(_ramps(), [face], CropOptions(name="oval"), 32)
    with pytest.raises(UsageError, match="area, cubic, linear"):
        crop_faces(_ramps(), [face], CropOptions(resampling="lanczos"), 32)


def test_shrinking_averages_over_areas() -> None:
    checks = np.zeros((320, 320, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 255

    crop = crop_faces(
        checks, [_face(Box(0, 0, 320, 320))], CropOptions(name="margin", margin=0.0), 40
    )[0]

    assert set(np.unique(crop)) <= {127, 128}


def test_a_tall_box_shrinks_in_one_direction_and_grows_in_the_other() -> None:
    lines = np.zeros((400, 20, 3), np.uint8)
    lines[::2] = 255

    crop = crop_faces(
        lines, [_face(Box(0, 0, 20, 400))], CropOptions(name="margin", margin=0.0), 40
    )[0]

    assert set(np.unique(crop)) <= {127, 128}


@pytest.mark.parametrize("degrees", [0, 25, -40])
@pytest.mark.parametrize("scale", [0.7, 3.0])
def test_alignment_brings_landmarks_to_their_places(degrees: float, scale: float) -> None:
    """White dots at turned and scaled landmarks come out at the template's places."""
    turn = scale * np.exp(1j * np.radians(degrees))
    points = (TEMPLATE - 0.5) @ np.array([1, 1j]) * 100 * turn + (250 + 250j)
    pixels = np.zeros((500, 500, 3), np.uint8)
    radius = max(2, round(2 * scale))
    for point in points:
        x, y = round(point.real), round(point.imag)
        pixels[y - radius : y + radius + 1, x - radius : x + radius + 1] = 255
    face = _face(Box(200, 200, 100, 100), tuple((p.real, p.imag) for p in points))

    crop = crop_faces(pixels, [face], CropOptions(name="aligned", margin=0.1), 160)[0]

    for x, y in (TEMPLATE - 0.5) * [1.28, 1] + 0.5:
        assert crop[round(y * 159), round(x * 159), 0] > 150


@pytest.mark.parametrize("resampling", RESAMPLINGS)
def test_a_larger_photo_of_the_same_gives_the_same_aligned_crop(resampling: str) -> None:
    import cv2

    rough = np.random.default_rng(9).integers(0, 256, (30, 30, 3), np.uint8)
    pixels = cv2.resize(rough, (300, 300), interpolation=cv2.INTER_CUBIC)
    points = (TEMPLATE - [0.5, 0.5]) * 150 @ [[0.94, 0.34], [-0.34, 0.94]] + [160, 140]
    face = _face(Box(100, 100, 90, 120), tuple((x, y) for x, y in points))
    large = cv2.resize(pixels, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    landmarks = tuple((5 * x + 2, 5 * y + 2) for x, y in points)
    options = CropOptions("aligned", 0.05, resampling)

    small_crop = crop_faces(pixels, [face], options, 160)[0].astype(int)
    large_crop = crop_faces(large, [_face(face.box, landmarks)], options, 160)[0]

    assert np.abs(small_crop - large_crop).mean() < 1.5


@pytest.mark.parametrize(
    "landmarks",
    [
        ((900.0, 50.0), (920.0, 50.0), (910.0, 62.0), (902.0, 73.0), (918.0, 73.0)),
        ((50.0, 60.0),) * 5,
        (),
    ],
)
def test_landmarks_of_no_use_leave_the_box(landmarks: tuple[tuple[float, float], ...]) -> None:
    face = _face(Box(30, 40, 20, 40), landmarks)
    plain = crop_faces(_ramps(), [face], CropOptions("margin", 0.1), 32)

    assert (crop_faces(_ramps(), [face], CropOptions("aligned", 0.1), 32) == plain).all()


def test_a_photo_is_not_changed() -> None:
    pixels = _ramps()
    pixels.flags.writeable = False

    for name in CUTTERS:
        crop_faces(pixels, [_face(Box(0, 0, 90, 90))], CropOptions(name, 0.1), 32)


def test_sharpness_falls_with_blur() -> None:
    random = np.random.default_rng(2)
    sharp = random.integers(0, 256, (160, 160, 3), np.uint8)
    blurred = ((sharp[:-1].astype(int) + sharp[1:]) // 2).astype(np.uint8)

    assert sharpness(sharp) > 2 * sharpness(blurred) > 0
    assert sharpness(np.full((160, 160, 3), 77, np.uint8)) == 0
