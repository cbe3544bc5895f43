"""The cascade's own logic, over made-up networks."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.errors import ModelError, UsageError
from facesearch.faces import load_detector, mtcnn, smallest_findable
from facesearch.faces.mtcnn import MtcnnDetector, MtcnnNetworks, patches, pyramid, reading_order
from facesearch.recipes import DetectorOptions
from facesearch.records import Box, Face
from facesearch.runtimes import RuntimeOptions

GREY = np.full((120, 160, 3), 90, np.uint8)


class Proposals:
    """P-Net that fires in one cell of one level."""

    def __init__(self, level: int = 0, cell: tuple[int, int] = (5, 9), score: float = 0.9) -> None:
        self.level, self.cell, self.score = level, cell, score
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, batch: Any) -> dict[str, Any]:
        assert batch.dtype == np.float32
        count, height, width, _ = batch.shape
        face = np.zeros((count, -(-(height - 2) // 2) - 4, -(-(width - 2) // 2) - 4), np.float32)
        if len(self.sizes) == self.level:
            face[0][self.cell] = self.score
        self.sizes.append((height, width))
        return {"face": face, "box": np.zeros((*face.shape, 4), np.float32)}


class Patches:
    """R- or O-Net that gives every patch the same answer."""

    def __init__(self, size: int, score: float = 0.95) -> None:
        self.size, self.score = size, score
        self.counts: list[int] = []

    def __call__(self, batch: Any) -> dict[str, Any]:
        assert batch.shape[1:] == (self.size, self.size, 3)
        count = len(batch)
        self.counts.append(count)
        return {
            "face": np.full(count, self.score, np.float32),
            "box": np.zeros((count, 4), np.float32),
            "landmarks": np.tile(np.linspace(0, 0.9, 10, dtype=np.float32), (count, 1)),
        }


def _failing(_batch: Any) -> dict[str, Any]:
    raise ModelError("the network is out of memory")


def _detector(
    proposal: Any = None, refinement: Any = None, output: Any = None, min_score: float = 0.8
) -> MtcnnDetector:
    networks = MtcnnNetworks(
        proposal or Proposals(), refinement or Patches(24), output or Patches(48)
    )
    return MtcnnDetector(DetectorOptions().with_min_score(min_score), networks)


def test_a_cell_becomes_a_box_in_the_photos_pixels() -> None:
    face, *others = _detector().detect(GREY, 24)

    assert not others
    # Cell (5, 9) at scale 12/24: x from 2*9+1 to 2*9+12, doubled.
    assert face.box == Box(38.0, 22.0, 22.0, 22.0)
    assert face.score == pytest.approx(0.95)
    # Landmarks come as five x, then five y, shares of the box's width + 1.
    assert face.landmarks[0] == pytest.approx((38 - 1, 22 - 1 + 0.5 * 23))
    assert face.landmarks[4] == pytest.approx((38 - 1 + 0.4 * 23, 22 - 1 + 0.9 * 23))


def test_boxes_are_fitted_to_the_photo() -> None:
    rows, columns = pyramid_cells(120, 160, 0.5)
    face, *_ = _detector(Proposals(cell=(rows - 1, columns - 1))).detect(GREY[:118, :158], 24)

    assert face.box.x + face.box.width <= 157
    assert face.box.y + face.box.height <= 117


def pyramid_cells(height: int, width: int, scale: float) -> tuple[int, int]:
    return tuple(-(-(int(side * scale) - 2) // 2) - 4 for side in (height, width))  # type: ignore[return-value]


def test_patches_go_in_chunks_of_bounded_size() -> None:
    class Everywhere(Proposals):
        def __call__(self, batch: Any) -> dict[str, Any]:
            outputs = super().__call__(batch)
            shape = outputs["face"].shape
            outputs["face"] = np.random.default_rng(0).uniform(0.7, 1, shape).astype(np.float32)
            return outputs

    refinement = Patches(24, score=0.1)
    assert _detector(Everywhere(), refinement).detect(GREY, 12) == []

    assert len(refinement.counts) > 1
    assert max(refinement.counts) <= mtcnn.MAX_PATCHES


def test_each_stage_drops_what_is_below_its_threshold() -> None:
    output = Patches(48)
    assert _detector(Proposals(score=0.6)).detect(GREY, 24) == []
    assert _detector(refinement=Patches(24, 0.7), output=output).detect(GREY, 24) == []
    assert output.counts == []
    assert _detector(output=Patches(48, 0.94), min_score=0.95).detect(GREY, 24) == []
    assert len(_detector(output=Patches(48, 0.4), min_score=0.3).detect(GREY, 24)) == 1


@pytest.mark.parametrize("stage", ["proposal", "refinement", "output"])
def test_a_failing_network_is_never_no_faces(stage: str) -> None:
    with pytest.raises(ModelError, match="out of memory"):
        _detector(**{stage: _failing}).detect(GREY, 24)


def test_values_that_are_no_numbers_are_the_models_failure() -> None:
    for broken in [
        {"proposal": Proposals(score=float("nan"))},
        {"refinement": Patches(24, float("nan"))},
        {"output": Patches(48, float("nan"))},
    ]:
        with pytest.raises(ModelError, match="no numbers"):
            _detector(**broken).detect(GREY, 24)


@pytest.mark.parametrize(
    ("shape", "min_face"), [((1, 1), 20), ((5, 2000), 20), ((19, 300), 20), ((120, 160), 121)]
)
def test_photos_too_small_for_a_face_have_none(shape: tuple[int, int], min_face: float) -> None:
    proposals = Proposals()

    assert _detector(proposals).detect(np.zeros((*shape, 3), np.uint8), min_face) == []
    assert proposals.sizes == []


@pytest.mark.parametrize("min_face", [0, -3])
def test_a_smallest_face_without_size_is_refused(min_face: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        _detector().detect(GREY, min_face)


@given(st.integers(1, 5000), st.floats(5, 500), st.floats(0.3, 0.9))
def test_the_pyramid_goes_from_the_smallest_face_to_the_whole_photo(
    shorter: int, min_face: float, factor: float
) -> None:
    scales = pyramid(shorter, min_face, factor)

    assert all(int(shorter * scale) >= 12 for scale in scales)
    if shorter >= min_face + 1:
        assert scales[0] == 12 / min_face
    if scales:
        assert int(shorter * scales[-1] * factor) < 12


def test_levels_have_the_sizes_that_the_package_gives_them() -> None:
    proposals = Proposals()
    _detector(proposals).detect(np.zeros((250, 250, 3), np.uint8), 20)

    assert [height for height, _ in proposals.sizes] == [150, 106, 75, 53, 37, 26, 19, 13]


@pytest.mark.parametrize("size", [24, 48])
def test_patches_are_sampled_as_the_networks_learned_it(size: int) -> None:
    import tensorflow as tf

    random = np.random.default_rng(5)
    image = random.uniform(0, 255, (60, 90, 3)).astype(np.float32)
    starts = random.uniform(-15, 70, (40, 2))
    rows = np.column_stack([starts, starts + random.uniform(5, 60, (40, 2)), np.ones(40)])
    boxes = rows[:, [1, 0, 3, 2]] / [60, 90, 60, 90]

    expected = tf.image.crop_and_resize(
        image[None], boxes, np.zeros(40, int), (size, size), extrapolation_value=127.5
    ).numpy()

    difference = np.abs(patches(image, rows, size) - expected)
    # OpenCV rounds positions to 1/32 pixel; this image is pure noise, the worst case.
    assert difference.max() < 12
    assert difference.mean() < 1.5
    assert ((expected == 127.5).all(axis=-1) == (patches(image, rows, size) == 127.5).all(-1)).all()


@pytest.mark.parametrize("scale", [0.6, 0.43, 0.068])
def test_levels_are_shrunk_by_area(scale: float) -> None:
    import tensorflow as tf

    image = np.random.default_rng(5).uniform(0, 255, (250, 213, 3)).astype(np.float32)
    size = int(250 * scale), int(213 * scale)
    expected = tf.image.resize(image, size, tf.image.ResizeMethod.AREA).numpy()

    (level,) = mtcnn.levels(image, [scale])
    np.testing.assert_allclose(level, expected, atol=1e-2)


def _face(x: float, y: float, side: float = 40, score: float = 0.9) -> Face:
    return Face(Box(x, y, side, side), (), score)


def test_faces_are_numbered_as_people_read() -> None:
    top = [_face(10, 30), _face(100, 18), _face(200, 35)]
    bottom = [_face(0, 90), _face(150, 80)]

    assert reading_order([bottom[1], top[2], top[0], bottom[0], top[1]]) == [*top, *bottom]


def test_a_small_face_behind_is_not_in_the_row_of_a_large_one_in_front() -> None:
    behind, front = _face(300, 20, 20), _face(50, 60, 100)

    assert reading_order([front, behind]) == [behind, front]


@given(
    st.lists(
        st.builds(_face, st.integers(0, 200), st.integers(0, 200), st.integers(10, 80)),
        max_size=8,
        unique_by=lambda face: (face.box.x, face.box.y, face.box.width),
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_found_in_does_not_matter(faces: list[Face], random: Any) -> None:
    shuffled = list(faces)
    random.shuffle(shuffled)

    assert sorted(reading_order(faces), key=repr) == sorted(faces, key=repr)
    assert reading_order(shuffled) == reading_order(faces)


def test_an_unknown_detector_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="choose one of mtcnn"):
        load_detector(DetectorOptions(name="haar"), RuntimeOptions(device="cpu"))


def test_the_smallest_face_is_stated_in_original_pixels() -> None:
    options = DetectorOptions(min_face=20, min_face_share=0.02)

    found = smallest_findable(options, [500, 3000, 3000], [1.0, 1.0, 0.25])

    assert found.tolist() == [20, 60, 80]
